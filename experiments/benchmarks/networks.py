"""Times the networks, ours against PyTorch's, side by side in one run.

  python -m experiments.benchmarks.networks
  python -m experiments.benchmarks.networks --networks umx crafx --repeats 15

Per network, from the same weights: a training step (forward, backward, Adam)
and inference on a batch, and the real-time factor of one long recording. The
two take turns on all cores, or on the accelerator where both have one, and the
medians count. PyTorch runs eagerly and as it is fastest, with its fused Adam
and without gradients in inference. The losses are printed so that equal work
shows, and the speed reached stands beside that of a large matrix product.

Demucs and UMX have their authors' PyTorch packages as peers; those of
Wave-U-Net and CRAFx are in `peers/`, the former because its authors' needs
TensorFlow 1, the latter because the only source there was is not free. Other
work on the machine slows PyTorch more than us: where the printed load is not
near zero, go by the ratio of the minima.
"""

import argparse
import dataclasses
import os
import platform
import statistics
import time
from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import torch

from distortion_removal import describe, losses, objectives
from distortion_removal.models.crafx import CRAFx
from distortion_removal.models.demucs import Demucs
from distortion_removal.models.umx import UMX
from distortion_removal.models.wave_unet import WaveUNet
from experiments.benchmarks.peers import crafx, wave_unet
from third_party import demucs_weights, open_unmix_weights

_SAMPLE_RATE = 16_000
_LEARNING_RATE = 1e-4
_MATRIX = 2048
# Dropout is off, so that both sides have the same loss.
NETWORKS = {
  "demucs_64_6": (Demucs(channels=64, depth=6), demucs_weights),
  "demucs_16_4": (Demucs(channels=16, depth=4), demucs_weights),
  "wave_unet": (WaveUNet(), wave_unet),
  "crafx": (CRAFx(dropout=0.0), crafx),
  "umx": (UMX(dropout=0.0), open_unmix_weights),
}

Run = Callable[[], float]


@dataclasses.dataclass
class Pair:
  """A network on both sides, with the same weights.

  Attributes:
    model: ours.
    variables: ours.
    peer: PyTorch's.
    dtype: that both compute in, "float32" or "bfloat16".
  """

  model: nn.Module
  variables: dict[str, Any]
  peer: torch.nn.Module
  dtype: str

  @property
  def device(self) -> str:
    """Where PyTorch runs."""
    return "cuda" if torch.cuda.is_available() else "cpu"

  def tensor(self, audio: np.ndarray) -> torch.Tensor:
    """Audio `[batch, time, channels]` as PyTorch's networks take it."""
    return torch.from_numpy(audio).swapaxes(1, 2).contiguous().to(self.device)

  def autocast(self) -> torch.autocast:
    """PyTorch's way to compute in `dtype`."""
    lower = self.dtype == "bfloat16"
    return torch.autocast(self.device, torch.bfloat16, enabled=lower)


def make_pair(name: str, dtype: str) -> Pair:
  """Makes a network of `NETWORKS` on both sides."""
  model, port = NETWORKS[name]
  torch.manual_seed(0)
  peer = port.reference(model)
  # The one of UMX is put between Fourier transforms.
  state = getattr(peer, "network", peer).state_dict()
  state = {key: value.numpy() for key, value in state.items()}
  variables = port.from_state_dict(state, model)
  if "params" not in variables:
    variables = {"params": variables}
  variables = jax.tree.map(jnp.array, variables)
  pair = Pair(model.clone(dtype=dtype), variables, peer, dtype)
  peer.to(pair.device)
  return pair


def our_step(pair: Pair, audio: np.ndarray, clean: np.ndarray) -> Run:
  """Our training step as a function that trains on and returns the loss."""
  optimizer = optax.adam(_LEARNING_RATE)
  spectral = hasattr(pair.model, "magnitudes")
  objective = objectives.get(
    "magnitudes" if spectral else "waveform",
    pair.model,
    losses.l2 if spectral else losses.l1,
  )

  def update(params, model_state, opt_state, audio, clean):
    def loss(params):
      variables = {"params": params, **model_state}
      return objective(variables, audio, clean, jax.random.key(0))

    (value, model_state), gradient = jax.value_and_grad(loss, has_aux=True)(
      params
    )
    updates, opt_state = optimizer.update(gradient, opt_state)
    return optax.apply_updates(params, updates), model_state, opt_state, value

  update = jax.jit(update, donate_argnums=(0, 1, 2))
  model_state = jax.tree.map(jnp.copy, pair.variables)
  params = model_state.pop("params")
  state = [params, model_state, optimizer.init(params)]
  audio, clean = jax.device_put((audio, clean))

  def run() -> float:
    *state[:], value = update(*state, audio, clean)
    jax.block_until_ready(state)
    return float(value)

  return run


def peer_step(pair: Pair, audio: np.ndarray, clean: np.ndarray) -> Run:
  """The same in PyTorch."""
  network = pair.peer.train()
  optimizer = torch.optim.Adam(
    network.parameters(), lr=_LEARNING_RATE, fused=True
  )
  audio, clean = pair.tensor(audio), pair.tensor(clean)

  def run() -> float:
    optimizer.zero_grad(set_to_none=True)
    with pair.autocast():
      if hasattr(network, "magnitudes"):
        wanted = network.transform(clean).abs()
        loss = ((network.magnitudes(audio) - wanted) ** 2).mean()
      else:
        estimate = network(audio).reshape(clean.shape)
        loss = (estimate - clean).abs().mean()
    loss.backward()
    optimizer.step()
    return float(loss.detach())

  return run


def our_inference(pair: Pair, audio: np.ndarray) -> Run:
  """Our inference as a function that returns the output's mean square."""
  function = jax.jit(lambda v, x: pair.model.apply(v, x))
  audio = jax.device_put(audio)

  def run() -> float:
    return float(jnp.mean(function(pair.variables, audio) ** 2))

  return run


def peer_inference(pair: Pair, audio: np.ndarray) -> Run:
  """The same in PyTorch."""
  audio = pair.tensor(audio)

  def run() -> float:
    pair.peer.eval()
    with torch.inference_mode(), pair.autocast():
      return float(pair.peer(audio).float().square().mean())

  return run


def alternate(runs: dict[str, Run], repeats: int) -> dict[str, list[tuple]]:
  """Seconds and results of functions that take turns, after a warm-up."""
  for run in runs.values():
    # Compilation, and the allocation of the optimiser's state.
    run()
    run()
  measured = {name: [] for name in runs}
  for _ in range(repeats):
    for name, run in runs.items():
      start = time.perf_counter()
      value = run()
      measured[name].append((time.perf_counter() - start, value))
  return measured


def matrix_product(dtype: str, device: str) -> dict[str, Run]:
  """Both sides' product of two large square matrices."""
  ours = jnp.ones((_MATRIX, _MATRIX), dtype)
  theirs = torch.ones(
    _MATRIX, _MATRIX, dtype=getattr(torch, dtype), device=device
  )
  product = jax.jit(jnp.matmul)
  return {
    "ours": lambda: float(product(ours, ours)[0, 0]),
    "PyTorch": lambda: float((theirs @ theirs)[0, 0]),
  }


def report(
  label: str,
  measured: dict[str, list[tuple[float, float]]],
  gigaflop: float,
  audio_seconds: float,
) -> None:
  """Prints a line for each of the two, and PyTorch's time over ours."""
  times = {name: [x[0] for x in runs] for name, runs in measured.items()}
  for name, runs in measured.items():
    median = statistics.median(times[name])
    speed = f", {audio_seconds / median:.1f} x real time" * bool(audio_seconds)
    print(
      f"  {label:9s} {name:8s} median {median:.4f} s, "
      f"min {min(times[name]):.4f} s, {gigaflop / median:.0f} GFLOP/s{speed}, "
      f"result {runs[0][1]:.6g} to {runs[-1][1]:.6g}"
    )
  ratios = [
    of(times["PyTorch"]) / of(times["ours"]) for of in (statistics.median, min)
  ]
  print(
    f"  {label:9s} PyTorch / ours = {ratios[0]:.2f} (minima {ratios[1]:.2f})",
    flush=True,
  )


def benchmark(name: str, options: argparse.Namespace) -> None:
  """Times and reports one network."""
  pair = make_pair(name, options.dtype)
  length = round(options.seconds * _SAMPLE_RATE)
  rng = np.random.default_rng(0)
  shape = (2, options.batch, length, 1)
  audio, clean = rng.uniform(-0.5, 0.5, shape).astype(np.float32)
  long = rng.uniform(-0.5, 0.5, (1, round(options.file * _SAMPLE_RATE), 1))
  count = sum(leaf.size for leaf in jax.tree.leaves(pair.variables["params"]))
  multiply_adds = describe.multiply_adds(pair.model, length) * options.batch
  gigaflop = 2 * multiply_adds / 1e9
  print(f"{name}: {count:,} parameters, {gigaflop:.1f} GFLOP forward")
  runs = {
    "ours": our_inference(pair, audio),
    "PyTorch": peer_inference(pair, audio),
  }
  batch_seconds = options.batch * options.seconds
  measured = alternate(runs, options.repeats)
  report("inference", measured, gigaflop, batch_seconds)
  runs = {
    "ours": our_inference(pair, np.float32(long)),
    "PyTorch": peer_inference(pair, np.float32(long)),
  }
  share = options.file * _SAMPLE_RATE / (length * options.batch)
  measured = alternate(runs, max(3, options.repeats // 3))
  report("file", measured, gigaflop * share, options.file)
  runs = {
    "ours": our_step(pair, audio, clean),
    "PyTorch": peer_step(pair, audio, clean),
  }
  # Backward, a product for the weights' gradient and one for the input's.
  report("training", alternate(runs, options.repeats), 3 * gigaflop, 0.0)


def parse_arguments() -> argparse.Namespace:
  """Reads the command line."""
  parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
  add = parser.add_argument
  add("--networks", nargs="+", choices=NETWORKS, default=list(NETWORKS))
  add("--batch", type=int, default=4, help="items")
  add("--seconds", type=float, default=2.0, help="s of an item")
  add("--file", type=float, default=30.0, help="s of the long recording")
  add("--repeats", type=int, default=7)
  add("--dtype", choices=("float32", "bfloat16"), default="float32")
  return parser.parse_args()


def main() -> None:
  """Runs the benchmark."""
  options = parse_arguments()
  cores = len(os.sched_getaffinity(0))
  torch.set_num_threads(cores)
  device = "cuda" if torch.cuda.is_available() else "cpu"
  print(f"{platform.machine()}, {cores} cores, load {os.getloadavg()[0]:.1f}")
  print(f"jax {jax.__version__} on {jax.devices()[0].device_kind}")
  print(f"torch {torch.__version__} on {device}, both {options.dtype}")
  runs = matrix_product(options.dtype, device)
  print(f"product of two {_MATRIX} x {_MATRIX} matrices:")
  report("peak", alternate(runs, 5), 2 * _MATRIX**3 / 1e9, 0.0)
  for name in options.networks:
    benchmark(name, options)


if __name__ == "__main__":
  main()
