"""Times a training step of Demucs, ours against PyTorch's, side by side.

  python -m experiments.benchmarks.train_step --channels=64 --depth=6

A step is forward, backward and Adam on the same batch from the same weights;
the two take turns in one process on all its cores, and the median counts.
PyTorch runs as it is fastest, with its fused Adam. The losses are printed so
that equal work shows. At the size above it needs about 10 GB of memory.

Other work on the machine slows PyTorch more than us: where the printed load
is not near zero, go by the ratio of the minima.
"""

import argparse
import os
import platform
import statistics
import time
from collections.abc import Callable

import flax.traverse_util
import jax
import jax.numpy as jnp
import numpy as np
import optax

from distortion_removal.models.demucs import Demucs
from third_party.demucs_weights import from_state_dict, reference

_SAMPLE_RATE = 16_000
_LEARNING_RATE = 3e-4

Step = Callable[[], float]


def our_step(model: Demucs, params, audio, clean) -> Step:
  """Our step as a function that trains once more and returns the loss."""
  optimizer = optax.adam(_LEARNING_RATE)

  def loss(params):
    return jnp.abs(model.apply({"params": params}, audio) - clean).mean()

  def update(params, state):
    value, gradient = jax.value_and_grad(loss)(params)
    updates, state = optimizer.update(gradient, state)
    return optax.apply_updates(params, updates), state, value

  update = jax.jit(update, donate_argnums=(0, 1))
  train_state = [params, optimizer.init(params)]

  def step() -> float:
    *train_state[:], value = update(*train_state)
    jax.block_until_ready(train_state)
    return float(value)

  return step


def reference_step(network, audio, clean) -> Step:
  """The same in PyTorch."""
  import torch

  optimizer = torch.optim.Adam(
    network.parameters(), lr=_LEARNING_RATE, fused=True
  )
  audio, clean = (torch.from_numpy(x).swapaxes(1, 2) for x in (audio, clean))

  def step() -> float:
    optimizer.zero_grad(set_to_none=True)
    loss = (network(audio)[:, 0] - clean).abs().mean()
    loss.backward()
    optimizer.step()
    return float(loss.detach())

  return step


def step_flops(model: Demucs, params, batch: int, length: int) -> float:
  """Multiplications and additions of a step's matrix products.

  Every weight meets every frame of its layer once in the forward pass, and
  twice in the backward pass.
  """
  time, frames = model.valid_length(length), []
  time *= 2 if model.resample else 1
  for _ in range(model.depth):
    time = (time - model.kernel_size) // model.stride + 1
    frames.append(time)
  total = 0
  for path, leaf in flax.traverse_util.flatten_dict(params).items():
    block, _, index = path[0].partition("_")
    level = int(index.split("_")[0]) if index else model.depth - 1
    level = model.depth - 1 - level if block == "decoder" else level
    total += leaf.size * frames[level] * (leaf.ndim > 1)
  return 3 * 2 * batch * total


def seconds_of(step: Step) -> tuple[float, float]:
  """Wall time of one step, and its loss."""
  start = time.perf_counter()
  loss = step()
  return time.perf_counter() - start, loss


def parse_arguments() -> argparse.Namespace:
  """Reads the command line."""
  parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
  parser.add_argument("--channels", type=int, default=64)
  parser.add_argument("--depth", type=int, default=6)
  parser.add_argument("--batch", type=int, default=4)
  parser.add_argument("--seconds", type=float, default=2.0)
  parser.add_argument("--repeats", type=int, default=7)
  return parser.parse_args()


def report(runs: dict[str, list[tuple[float, float]]], flops: float) -> None:
  """Prints a line for each of the two, and PyTorch's time over ours."""
  medians, minima = {}, {}
  for name, measured in runs.items():
    times, losses = zip(*measured, strict=True)
    medians[name], minima[name] = statistics.median(times), min(times)
    print(
      f"{name:8s} median {medians[name]:.3f} s, min {minima[name]:.3f} s, "
      f"{flops / medians[name] / 1e9:.0f} GFLOP/s, "
      f"loss {losses[0]:.6f} to {losses[-1]:.6f}"
    )
  print(
    f"PyTorch / ours = {medians['PyTorch'] / medians['ours']:.2f} "
    f"(of the minima: {minima['PyTorch'] / minima['ours']:.2f})"
  )


def main() -> None:
  """Runs the benchmark."""
  arguments = parse_arguments()
  import torch

  cores = len(os.sched_getaffinity(0))
  torch.set_num_threads(cores)
  model = Demucs(
    channels=arguments.channels, depth=arguments.depth, normalize=False
  )
  length = int(arguments.seconds * _SAMPLE_RATE)
  rng = np.random.default_rng(0)
  shape = (2, arguments.batch, length, 1)
  audio, clean = rng.uniform(-0.5, 0.5, shape).astype(np.float32)
  network = reference(model)
  state = {key: value.numpy() for key, value in network.state_dict().items()}
  params = jax.tree.map(jnp.array, from_state_dict(state, model))
  flops = step_flops(model, params, arguments.batch, length)
  count = sum(leaf.size for leaf in jax.tree.leaves(params))
  print(f"{platform.machine()}, {cores} cores, load {os.getloadavg()[0]:.1f}")
  print(f"jax {jax.__version__}, torch {torch.__version__}")
  print(f"{count:,} parameters, {flops / 1e9:.0f} GFLOP a step")
  steps = {
    "ours": our_step(model, params, audio, clean),
    "PyTorch": reference_step(network, audio, clean),
  }
  del params, state
  for step in steps.values():
    # Compilation, and the allocation of the optimiser's state.
    step()
    step()
  runs = {name: [] for name in steps}
  for _ in range(arguments.repeats):
    for name, step in steps.items():
      runs[name].append(seconds_of(step))
  report(runs, flops)


if __name__ == "__main__":
  main()
