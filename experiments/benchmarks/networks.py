"""Times the networks, ours against PyTorch's, side by side in one run.

  python -m experiments.benchmarks.networks
  python -m experiments.benchmarks.networks --networks umx crafx --repeats 15

Per network, from the same weights: a training step (forward, backward, Adam)
and inference on a batch, and the real-time factor of one long recording. The
two take turns on all cores, or on the GPU where both have one, and the medians
count. PyTorch runs eagerly and as it is fastest, with its fused Adam and
without gradients in inference; float32 is float32 in products, too. The losses
are printed so that equal work shows, and the speed reached stands beside that
of a large matrix product.

Demucs and UMX have their authors' PyTorch packages as peers; those of the
others are in `peers/`: Wave-U-Net's because its authors' needs TensorFlow 1,
CRAFx' because the only source there was is not free, the hybrid's because the
network is our own. It is timed alone, without its declippers. Other work on the
machine slows PyTorch more than us: where the printed load is not near zero, go
by the ratio of the minima.
"""

import argparse
import json
import os
import platform
import statistics
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import flax.linen as nn
import jax
import numpy as np
import torch

from distortion_removal.models import describe
from distortion_removal.models.crafx import CRAFx
from distortion_removal.models.demucs import Demucs
from distortion_removal.models.hybrid import Hybrid
from distortion_removal.models.umx import UMX
from distortion_removal.models.wave_unet import WaveUNet
from experiments.benchmarks import sides
from experiments.benchmarks.peers import crafx, hybrid, wave_unet
from third_party import demucs_weights, open_unmix_weights

_SAMPLE_RATE = 16_000
# Rows of the matrices; the smaller ones do not fill a GPU.
_MATRIX = {"cpu": 2048, "cuda": 8192}
# Dropout is off, so that both sides have the same loss.
NETWORKS = {
  "demucs_64_6": (Demucs(channels=64, depth=6), demucs_weights),
  "demucs_16_4": (Demucs(channels=16, depth=4), demucs_weights),
  "wave_unet": (WaveUNet(), wave_unet),
  "crafx": (CRAFx(dropout=0.0), crafx),
  "umx": (UMX(dropout=0.0), open_unmix_weights),
  # As many estimates as in configs/hybrid_hard_clip.py.
  "hybrid": (Hybrid(estimates=4), hybrid),
}

Row = dict[str, Any]


def inputs(
  model: nn.Module, audio: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
  """Makes what a network is given: for a hybrid, audio over its rail and more.

  Args:
    model: the network.
    audio: `[batch, time, channels]` between -0.5 and 0.5; half of it is clipped
      for a hybrid, with signs and estimates as further channels.
    rng: draws the estimates.
  """
  if not isinstance(model, Hybrid):
    return audio
  audio = np.clip(4 * audio, -1, 1)
  signs = np.trunc(audio)
  excess = rng.exponential(0.5, (model.estimates, *audio.shape))
  estimates = audio + signs * excess
  return np.float32(np.concatenate([audio, signs, *estimates], -1))


def alternate(
  runs: dict[str, sides.Run], repeats: int
) -> dict[str, list[tuple[float, float]]]:
  """Times functions that take turns; returns seconds and results of each."""
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


def compare(
  network: str,
  part: str,
  runs: dict[str, sides.Run],
  repeats: int,
  gigaflop: float,
) -> list[Row]:
  """Measures both sides of a part of the work.

  Args:
    network: a key of `NETWORKS`.
    part: the part of the work: "inference" and the like.
    runs: the functions of both sides.
    repeats: number of runs of each.
    gigaflop: operations of one run.

  Returns:
    A row for each side.
  """
  rows = []
  for side, measured in alternate(runs, repeats).items():
    times, results = zip(*measured, strict=True)
    median = statistics.median(times)
    rows.append(
      {
        "network": network,
        "part": part,
        "side": side,
        "median_s": median,
        "min_s": min(times),
        "gigaflop_per_s": gigaflop / median,
        "first_result": results[0],
        "last_result": results[-1],
      }
    )
  return rows


def benchmark(name: str, options: argparse.Namespace) -> Iterator[list[Row]]:
  """Compares the sides of one network, part by part."""
  pair = sides.make_pair(*NETWORKS[name], options.dtype)
  length = round(options.seconds * _SAMPLE_RATE)
  file_length = round(options.file * _SAMPLE_RATE)
  rng = np.random.default_rng(0)
  shape = (2, options.batch, length, 1)
  audio, clean = rng.uniform(-0.5, 0.5, shape).astype(np.float32)
  long = rng.uniform(-0.5, 0.5, (1, file_length, 1)).astype(np.float32)
  audio, long = (inputs(pair.model, x, rng) for x in (audio, long))
  count = sum(leaf.size for leaf in jax.tree.leaves(pair.variables["params"]))
  multiply_adds = describe.multiply_adds(pair.model, length) * options.batch
  gigaflop = 2 * multiply_adds / 1e9
  print(f"{name}: {count:,} parameters, {gigaflop:.1f} GFLOP forward")
  runs = {
    "ours": sides.our_inference(pair, audio),
    "PyTorch": sides.peer_inference(pair, audio),
  }
  yield compare(name, "inference", runs, options.repeats, gigaflop)
  runs = {
    "ours": sides.our_inference(pair, long),
    "PyTorch": sides.peer_inference(pair, long),
  }
  share = file_length / (length * options.batch)
  repeats = max(3, options.repeats // 3)
  yield compare(name, "file", runs, repeats, gigaflop * share)
  runs = {
    "ours": sides.our_step(pair, audio, clean),
    "PyTorch": sides.peer_step(pair, audio, clean),
  }
  # Backward, a product for the weights' gradient and one for the input's.
  yield compare(name, "training", runs, options.repeats, 3 * gigaflop)


def peak(dtype: str) -> list[Row]:
  """Compares the sides' products of two large matrices."""
  size = _MATRIX[sides.device()]
  print(f"product of two {size} x {size} matrices:")
  runs = sides.matrix_products(size, dtype)
  return compare("", "peak", runs, 5, 2 * size**3 / 1e9)


def report(rows: list[Row], audio_seconds: float) -> None:
  """Prints a line for each side, and PyTorch's time over ours."""
  for row in rows:
    speed = f", {audio_seconds / row['median_s']:.1f} x real time"
    print(
      f"  {row['part']:9s} {row['side']:8s} median {row['median_s']:.4f} s, "
      f"min {row['min_s']:.4f} s, {row['gigaflop_per_s']:.0f} GFLOP/s"
      f"{speed if audio_seconds else ''}, "
      f"result {row['first_result']:.6g} to {row['last_result']:.6g}"
    )
  ours, theirs = rows
  print(
    f"  {ours['part']:9s} PyTorch / ours = "
    f"{theirs['median_s'] / ours['median_s']:.2f} "
    f"(minima {theirs['min_s'] / ours['min_s']:.2f})",
    flush=True,
  )


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
  add("--output", type=Path, default=os.devnull, help="rows, JSON lines")
  return parser.parse_args()


def main() -> None:
  """Runs the benchmark."""
  options = parse_arguments()
  cores = len(os.sched_getaffinity(0))
  sides.settle(cores)
  print(f"{platform.machine()}, {cores} cores, load {os.getloadavg()[0]:.1f}")
  print(f"jax {jax.__version__} on {jax.devices()[0].device_kind}")
  print(f"torch {torch.__version__} on {sides.device()}, both {options.dtype}")
  batch_seconds = options.batch * options.seconds
  seconds = {"inference": batch_seconds, "file": options.file}
  with options.output.open("w") as file:

    def record(rows: list[Row]) -> None:
      report(rows, seconds.get(rows[0]["part"], 0.0))
      file.writelines(json.dumps(row) + "\n" for row in rows)
      file.flush()

    record(peak(options.dtype))
    for name in options.networks:
      for rows in benchmark(name, options):
        record(rows)


if __name__ == "__main__":
  main()
