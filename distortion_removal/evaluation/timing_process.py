"""Times one method on one device, in a process of its own: see `timing`.

Reads a request, one JSON object, from stdin, and prints a JSON line for each
batch size as soon as it is measured. With `--device` it only names the device.
"""

import json
import resource
import statistics
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jax
import ml_collections
import numpy as np

from distortion_removal.common.devices import check_platform
from distortion_removal.common.errors import one_line_errors
from distortion_removal.evaluation import methods
from distortion_removal.evaluation.methods import Method

_FASTER = 1.05  # the gain of a larger batch that makes the next one worth it
_MAX_SECONDS = 30.0  # of repeats of a batch size, unless one takes more


def measure(
  method: Method,
  degraded: np.ndarray,
  clean: np.ndarray,
  *,
  repeats: int,
  largest: int,
) -> Iterator[dict[str, Any]]:
  """Times a method at batch sizes 1, 2, 4, … until that makes it no faster.

  Every repeat goes through all items, the same whatever the batch size. The
  first of them, where a size does not divide their number, come twice to fill
  up the last batch.

  Args:
    method: the method, from `methods`.
    degraded: `[items, time, channels]`.
    clean: the clean audio, in the same shape.
    repeats: number of repeats; fewer where they take minutes.
    largest: the largest batch size to try.

  Yields:
    `batch`, `seconds_per_item` and the number of `repeats`.
  """
  batch, best = 1, np.inf
  while batch <= largest:
    starts = range(0, len(degraded), batch)
    groups = [np.arange(k, k + batch) % len(degraded) for k in starts]
    method(degraded[groups[0]], clean[groups[0]])  # compiles
    times = []
    while len(times) < repeats and sum(times) < _MAX_SECONDS:
      start = time.perf_counter()
      for group in groups:
        method(degraded[group], clean[group])
      times.append(time.perf_counter() - start)
    seconds = statistics.median(times) / (batch * len(groups))
    yield {"batch": batch, "seconds_per_item": seconds, "repeats": len(times)}
    if not seconds < best / _FASTER:
      return
    batch, best = 2 * batch, seconds


def peak_bytes() -> int | None:
  """Returns this process's peak of resident memory, or the device's.

  None for an accelerator that does not report it.
  """
  device = jax.local_devices()[0]
  if device.platform != "cpu":
    return (device.memory_stats() or {}).get("peak_bytes_in_use")
  status = Path("/proc/self/status")
  if status.is_file():
    # `ru_maxrss` would begin with the peak of the process that started this.
    for line in status.read_text().splitlines():
      if line.startswith("VmHWM:"):
        return 1024 * int(line.split()[1])
  peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
  return peak if sys.platform == "darwin" else 1024 * peak


def device_name() -> str:
  """Returns `cpu`, or `gpu:KIND` for an accelerator."""
  check_platform()
  device = jax.local_devices()[0]
  if device.platform == "cpu":
    return "cpu"
  return f"{device.platform}:{device.device_kind}"


def main() -> None:
  """Measures what the request on stdin asks for."""
  request = json.load(sys.stdin)
  with np.load(request["audio"]) as audio:
    degraded, clean = audio["degraded"], audio["clean"]
  device = device_name()
  # With the device in use, what comes on top is the method's own.
  jax.block_until_ready(jax.jit(lambda x: x + 1)(np.zeros(1, np.float32)))
  before = peak_bytes() if device == "cpu" else 0
  try:
    config = ml_collections.ConfigDict(request["config"])
    if request["is_network"]:
      # Without a batch of its own, it processes as many items as it is given.
      method = methods.network(Path(request["workdir"]), config)
    else:
      method = methods.baseline(request["method"], config)
    limits = {key: request[key] for key in ("repeats", "largest")}
    for row in measure(method, degraded, clean, **limits):
      peak = peak_bytes()
      # Linux counts approximately: its peak may even fall a little.
      memory = None if peak is None else max(0, peak - before)
      row |= {"device": device, "peak_memory_bytes": memory}
      print(json.dumps(row), flush=True)
  except Exception as error:
    # A batch size that does not fit ends it; the smaller ones are measured.
    is_xla = "RESOURCE_EXHAUSTED" in str(error)
    if not is_xla and not isinstance(error, MemoryError):
      raise


if __name__ == "__main__":
  with one_line_errors():
    if sys.argv[1:] == ["--device"]:
      print(device_name())
    else:
      main()
