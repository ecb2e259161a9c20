"""Spreads work over devices and processes; no other file does.

The train state is replicated, not stacked: it goes into `jax.pmap` with
`in_axes=None` and comes out with `out_axes=None`, so that it looks the same on
one CPU and on a pod. Batches carry a leading axis of local devices.
"""

import hashlib
import os
import platform
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from distortion_removal.common.errors import UserError
from distortion_removal.common.log import logger

AXIS = "batch"
AUTO = "auto"
DEVICES = (AUTO, "cpu", "gpu", "tpu")


def check_platform() -> None:
  """Starts JAX on its platform; commands that need it do so before any work.

  Where several are asked for and the first is missing, a warning says so.

  Raises:
    UserError: it does not start; the message says what would.
  """
  asked = jax.config.jax_platforms or ""
  try:
    jax.devices()
  except Exception as error:  # AssertionError among others
    reason = str(error).partition(" (set JAX_PLATFORMS=")[0].rstrip(".")
    where = f"JAX_PLATFORMS={asked}: " if asked else ""
    raise UserError(
      f"{where}JAX does not start{reason and f' ({reason})'}; here it has "
      f"{_platforms()}: unset JAX_PLATFORMS, or set it to cpu"
    ) from None
  first = asked.partition(",")[0]
  if first and not _has(first):
    logger.warning(
      "JAX_PLATFORMS=%s: there is no %s here; %s is used",
      asked,
      first,
      jax.default_backend(),
    )


def use(device: str) -> None:
  """Starts JAX on one of `DEVICES`, whatever JAX_PLATFORMS says.

  "auto" leaves the choice to that, see `check_platform`.

  Raises:
    UserError: there is no such device.
  """
  if device == AUTO:
    check_platform()
    return
  jax.config.update("jax_platforms", device)
  if not _has(device):
    raise UserError(
      f"--device={device}: JAX has no {device} here, only {_platforms()}; "
      "leave it out, or install JAX for it"
    )


def keep_compiled(run: Path | None = None) -> None:
  """Keeps compiled programs on disk: what needs them again starts sooner.

  They go to the user's cache folder, a gigabyte at most, or into the folder of
  a `run`; the variable JAX_COMPILATION_CACHE_DIR names another, or none if it
  is empty. Where nothing can be written there, nothing is kept. The first call
  of a process counts.
  """
  if "JAX_COMPILATION_CACHE_DIR" in os.environ:
    return
  try:
    if run is None:
      caches = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
      folder = Path(caches) / "distortion_removal" / f"jax-{_processor()}"
    else:
      folder = run / "compiled" / _processor()
    folder.mkdir(parents=True, exist_ok=True)
  except (OSError, RuntimeError):  # the latter without a home
    return
  if os.access(folder, os.W_OK):
    jax.config.update("jax_compilation_cache_dir", str(folder))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.3)
    if run is None:
      jax.config.update("jax_compilation_cache_max_size", 1 << 30)


def _processor() -> str:
  """Returns a name for what programs are compiled for: a home may be shared."""
  try:
    text = Path("/proc/cpuinfo").read_text()
    lines = {
      x for x in text.splitlines() if x.startswith(("flags", "Features"))
    }
    text = "".join(sorted(lines))
  except OSError:
    text = platform.machine() + platform.processor()
  return hashlib.sha256(text.encode()).hexdigest()[:8]


def _has(device: str) -> bool:
  try:
    return bool(jax.devices(device))
  except RuntimeError:
    return False


def _platforms() -> str:
  """Returns the platforms that JAX finds where it may choose."""
  try:
    jax.config.update("jax_platforms", None)
    found = {device.platform for device in jax.devices()}
  except Exception:
    found = set()
  return " and ".join(sorted(found | {"cpu"}))


def initialize_distributed() -> None:
  """Joins the processes of a pod; call it before any other use of JAX.

  Raises:
    UserError: nothing here says who the others are, or they do not answer.
  """
  try:
    jax.distributed.initialize()
  except (ValueError, RuntimeError) as error:
    reason = str(error).splitlines()[0].rstrip(".")
    raise UserError(
      f"--distributed: the processes do not find each other ({reason}); it is "
      "for TPU slices, Slurm and MPI jobs: leave it out elsewhere"
    ) from None


def _sharding(*axes: str) -> NamedSharding:
  mesh = Mesh(np.array(jax.local_devices()), (AXIS,))
  return NamedSharding(mesh, PartitionSpec(*axes))


def batch_sharding() -> NamedSharding:
  """Returns the sharding of `[devices, batch, …]` over the local devices."""
  return _sharding(AXIS)


def replicate(tree: Any) -> Any:
  """Copies every array of `tree` to all local devices, without a new axis."""
  return jax.device_put(tree, _sharding())


def split_batch(tree: Any) -> Any:
  """Reshapes `[batch, …]` arrays to `[local devices, batch per device, …]`."""
  devices = jax.local_device_count()
  return jax.tree.map(
    lambda x: x.reshape((devices, x.shape[0] // devices, *x.shape[1:])), tree
  )


def join_batch(tree: Any) -> Any:
  """Reverses `split_batch`, to NumPy arrays on the host."""
  return jax.tree.map(lambda x: np.asarray(x).reshape(-1, *x.shape[2:]), tree)


def map_train(function: Callable) -> Callable:
  """Compiles `(state, batch) -> (state, metrics)` over all devices.

  The state is replicated and its memory reused. `function` must reduce over
  `AXIS` whatever has to be equal on all devices.
  """
  return jax.pmap(
    function, AXIS, in_axes=(None, 0), out_axes=None, donate_argnums=0
  )


def map_eval(function: Callable) -> Callable:
  """Compiles `(variables, batch) -> outputs` over all devices, stacked."""
  return jax.pmap(function, AXIS, in_axes=(None, 0))


def in_batches(
  function: Callable[..., jax.Array], size: int
) -> Callable[..., np.ndarray]:
  """Wraps a jitted function of `[batch, …]` arrays to take any number of items.

  It is called with batches of `size`, rounded up to a multiple of the local
  devices, over which they are spread; what else it needs is replicated.
  """
  sharding = batch_sharding()
  size += -size % jax.local_device_count()

  def call(*arrays: np.ndarray) -> np.ndarray:
    outputs, count = [], len(arrays[0])
    for start in range(0, count, size):
      # The last item fills the last batch.
      items = np.minimum(np.arange(start, start + size), count - 1)
      # Not waited for: all batches are under way at once.
      batch = jax.device_put([x[items] for x in arrays], sharding)
      outputs.append(function(*batch))
    return np.concatenate([np.asarray(output) for output in outputs])[:count]

  return call


def local_batch_size(batch_size: int, parts: int = 1) -> int:
  """Returns this process's share of a batch, of the same size for all devices.

  Args:
    batch_size: examples of a batch over all devices.
    parts: parts of equal size that each device makes of its share.

  Raises:
    UserError: it does not divide; the message has the nearest sizes that do.
  """
  shares = jax.device_count() * parts
  if rest := batch_size % shares:
    lower = batch_size - rest
    choices = f"{lower} or {lower + shares}" if lower else f"{shares}"
    over = f"{jax.device_count()} devices"
    if parts > 1:
      over += f" times config.accumulate {parts}"
    raise UserError(
      f"config.batch_size {batch_size} does not divide over {over}; choose "
      f"{choices}"
    )
  return batch_size // jax.process_count()


def process() -> tuple[int, int]:
  """Returns the index of this process, and the number of processes."""
  return jax.process_index(), jax.process_count()


def wait_for_all(name: str) -> None:
  """Waits until all processes have reached the barrier `name`."""
  if jax.process_count() > 1:
    from orbax.checkpoint import multihost

    # They may be hours apart, too long for collectives of devices. A process
    # that dies ends the wait at once.
    week_ms = 7 * 24 * 3600 * 1000
    multihost.get_barrier_sync_fn()(key=name, timeout_ms=week_ms)


def is_main_process() -> bool:
  """Returns whether this process writes the logs."""
  return jax.process_index() == 0
