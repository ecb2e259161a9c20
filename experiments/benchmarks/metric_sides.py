"""Times our metrics, their peers and the networks on these cores.

Prints a line for each, which `metrics` reads. The audio is generated guitar,
clipped to the seven input SDRs of the paper: seven estimates of one target.
"""

import argparse
import functools
import json
import statistics
import time
from collections.abc import Callable
from typing import Any

import jax
import numpy as np
import torch

from distortion_removal import metrics
from distortion_removal.audio.loudness import integrated_loudness
from distortion_removal.common import cores
from distortion_removal.datasets.sources.plucked_strings.synthesis import (
  render,
)
from distortion_removal.effects import tasks
from distortion_removal.effects.clipping import clip_to_sdr
from distortion_removal.metrics import fad
from distortion_removal.metrics.fad import log_mel, vggish
from experiments.benchmarks.networks import NETWORKS
from experiments.benchmarks.peers import vggish as peer
from third_party.import_vggish import from_state_dict

_MARK = "result: "
_RATE = 16_000
# Rates of the literature, besides the project's.
_OTHER_RATES = {"peaq": 48_000, "r_nonlin": 44_100}
# They cost as much as the metrics whose variants they are.
_LEFT_OUT = ("r_nonlin_paper", "fad_pytorch")

Run = Callable[[], Any]


def excerpt(rate: int, seconds: float) -> tuple[np.ndarray, np.ndarray]:
  """Renders clean `[1, time, 1]` and degraded `[levels, time, 1]` audio."""
  clean = render(0, seed=0, sample_rate=rate, seconds=seconds)[None]
  clean = np.float32(0.5 / np.abs(clean).max()) * clean
  levels = np.float32(tasks.get("hard_clip_sdr").evaluation_levels)
  repeated = np.repeat(clean, len(levels), axis=0)
  return clean, np.asarray(clip_to_sdr(repeated, levels))


def metric_run(
  name: str, rate: int, clean: np.ndarray, estimate: np.ndarray, weights: Any
) -> Run:
  """Prepares one metric of all estimates; for sets, their embeddings."""
  metric = metrics.get(name)
  if name == "fad":
    return lambda: fad.embed(estimate, sample_rate=rate, variables=weights)
  if metric.embed is not None:
    return lambda: metric.embed(estimate, sample_rate=rate)
  return lambda: metric.score(estimate, clean, estimate, sample_rate=rate)


def si_sdr_as_written(estimate: np.ndarray, target: np.ndarray) -> np.ndarray:
  """Computes SI-SDR of `[batch, time, 1]` in plain NumPy, in float64."""
  estimate, target = estimate.astype(np.float64), target.astype(np.float64)
  axes = (1, 2)
  dot = np.sum(estimate * target, axis=axes, keepdims=True)
  scaled = dot / np.sum(target**2, axis=axes, keepdims=True) * target
  noise = np.sum((estimate - scaled) ** 2, axis=axes)
  return 10.0 * np.log10(np.sum(scaled**2, axis=axes) / noise)


def vggish_runs(
  estimate: np.ndarray, weights: Any, network: torch.nn.Module
) -> dict[str, Run]:
  """Prepares the network alone on all estimates' patches, and PyTorch's."""
  patches = log_mel.patches(estimate, sample_rate=_RATE, hop_frames=50)

  def theirs() -> np.ndarray:
    with torch.inference_mode():
      return network(torch.from_numpy(patches)).numpy()

  return {
    "vggish": lambda: vggish.embed_patches(weights, patches),
    "vggish (peer)": theirs,
  }


def network_run(name: str, degraded: np.ndarray) -> Run:
  """Prepares a network of the paper's size, with its initial weights."""
  model, _ = NETWORKS[name]
  variables = jax.jit(model.init)(jax.random.key(0), degraded[:1])
  network = jax.jit(model.apply)
  return lambda: np.asarray(network(variables, degraded))


def take_turns(runs: dict[str, Run], repeats: int) -> dict[str, float]:
  """Returns median seconds of functions that take turns, after a warm-up."""
  for run in runs.values():
    run()
  times = {name: [] for name in runs}
  for _ in range(repeats):
    for name, run in runs.items():
      start = time.perf_counter()
      run()
      times[name].append(time.perf_counter() - start)
  return {name: statistics.median(values) for name, values in times.items()}


def show(name: str, rate: int, batch: int, ms_per_s: float) -> None:
  """Prints a row for `metrics`."""
  row = {"name": name, "rate": rate, "batch": batch, "ms_per_s": ms_per_s}
  print(_MARK + json.dumps(row), flush=True)


def main() -> None:
  """Measures all on the cores that this process may use."""
  parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
  parser.add_argument("--seconds", type=float, required=True)
  parser.add_argument("--repeats", type=int, required=True)
  parser.add_argument("--networks", nargs="*", required=True)
  options = parser.parse_args()
  torch.set_num_threads(cores.available())
  device = jax.devices()[0].device_kind
  print(f"jax {jax.__version__} on {device}, torch {torch.__version__}")
  torch.manual_seed(0)
  network = peer.VGGish().eval()
  state = {key: value.numpy() for key, value in network.state_dict().items()}
  weights = jax.device_put(from_state_dict(state))
  sums = dict.fromkeys((1, 7), 0.0)

  def measure(rate: int, batch: int, runs: dict[str, Run]) -> float:
    times = take_turns(runs, options.repeats)
    scale = 1e3 / (options.seconds * batch)
    for side, seconds in times.items():
      show(side, rate, batch, scale * seconds)
    return scale * next(iter(times.values()))

  for name in metrics.METRICS:
    if name in _LEFT_OUT:
      continue
    for rate in sorted({_RATE, _OTHER_RATES.get(name, _RATE)}):
      clean, degraded = excerpt(rate, options.seconds)
      for batch in sums:
        part = degraded[:batch]
        runs = {name: metric_run(name, rate, clean, part, weights)}
        if name == "si_sdr":
          runs["si_sdr (peer)"] = functools.partial(
            si_sdr_as_written, part, clean
          )
        ms_per_s = measure(rate, batch, runs)
        sums[batch] += ms_per_s if rate == _RATE else 0.0
        if name == "fad":
          measure(rate, batch, vggish_runs(part, weights, network))
  for batch in sums:
    _, degraded = excerpt(_RATE, options.seconds)
    audio = list(degraded[:batch])
    measure(
      _RATE,
      batch,
      {
        "loudness": lambda audio=audio: [
          integrated_loudness(x, sample_rate=_RATE) for x in audio
        ]
      },
    )
  for batch, total in sums.items():
    show("all metrics", _RATE, batch, total)
  _, degraded = excerpt(_RATE, options.seconds)
  for name in options.networks:
    for batch in sums:
      runs = {f"network {name}": network_run(name, degraded[:batch])}
      measure(_RATE, batch, runs)


if __name__ == "__main__":
  main()
