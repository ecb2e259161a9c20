"""Times the exact inverse of the overdrive, and the search of its settings.

  python -m experiments.benchmarks.inversion
  python -m experiments.benchmarks.inversion --candidates 1 256 --seconds 3

The blind estimate comes first, cold and warm: its first call compiles all,
without a compilation cache. Then the inverse under many settings at once takes
turns with loops written apart (`peers/inversion.py`): NumPy over candidates
side by side, Numba where it is installed, and pure Python for one candidate.
Medians count, ours after compilation; ratios are the peers' times over ours.
Other work on the machine slows all sides, but not alike: mind the load.
"""

import argparse
import functools
import json
import os
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import jax
import numpy as np

from distortion_removal.datasets.sources.plucked_strings.synthesis import (
  render,
)
from distortion_removal.effects import overdrive
from distortion_removal.effects.invertible import OVERDRIVE, Parameters, invert
from distortion_removal.inversion.estimate import estimate
from experiments.benchmarks.aspade import machine, take_turns
from experiments.benchmarks.aspade_sides import Row
from experiments.benchmarks.peers import inversion as peers

_RATE = 16_000
_GAIN_DB, _COLOUR, _SCALE = 35.0, 20.0, 0.4


def recording(seconds: float) -> np.ndarray:
  """Returns a guitar through the overdrive, `[time]`, in 16 bits."""
  clean = render(0, seed=0, sample_rate=_RATE, seconds=seconds)
  audio = overdrive.overdrive(
    clean[None], np.array([_GAIN_DB]), colour=_COLOUR
  )[0, :, 0]
  return np.rint(_SCALE * np.float64(audio) * 2**15) / 2**15


def undo(audio: np.ndarray, settings: np.ndarray) -> np.ndarray:
  """Undoes settings `[4, candidates]` with ours; `[time, candidates]`."""
  with jax.enable_x64(True):
    function = jax.jit(invert, static_argnums=0)
    signal, _ = function(OVERDRIVE, audio[:, None], Parameters(*settings))
    return np.asarray(signal)


def time_search(audio: np.ndarray, repeats: int) -> Row:
  """Measures the blind estimate; the first time it compiles."""
  times = []
  for _ in range(1 + repeats):
    start = time.perf_counter()
    found = estimate(OVERDRIVE, audio, _RATE)
    times.append(time.perf_counter() - start)
  return {
    "cold_s": times[0],
    "warm_s": statistics.median(times[1:]),
    "gain_error_db": found.gain_db - _GAIN_DB,
    "scale_error": found.parameters.scale / _SCALE - 1.0,
    "times_s": times,
  }


def compare(
  audio: np.ndarray, candidates: int, options: argparse.Namespace
) -> Row:
  """Measures all inverses of so many candidates, the first the true one."""
  spread = np.linspace(0.0, 1.0, candidates)
  settings = np.stack(
    [
      10.0 ** ((_GAIN_DB + 5.0 * spread) / 20.0),
      _SCALE * (1.0 + 0.1 * spread),
      np.full(candidates, _COLOUR / 200.0),
      np.zeros(candidates),
    ]
  )
  runs: dict[str, Callable[[], np.ndarray]] = {
    "ours": functools.partial(undo, audio, settings),
    "NumPy": functools.partial(peers.many, audio, settings),
  }
  if candidates == 1:
    only = tuple(settings[:, 0].tolist())
    runs["Python"] = lambda: peers.one(audio, only)[:, None]
  if numba := peers.compiled():
    numba(audio[:100], settings)  # compiles
    runs["Numba"] = functools.partial(numba, audio, settings)
  measured = take_turns(runs, options.repeats, options.peer_repeats)
  ours = measured["ours"][1]
  return {
    "candidates": candidates,
    "seconds": len(audio) / _RATE,
    "load": os.getloadavg()[0],
    "median_s": {k: statistics.median(t) for k, (t, _) in measured.items()},
    # Of the true settings; wrong ones leave a track that rounding decides.
    "largest_difference": max(
      float(np.abs(x[:, 0] - ours[:, 0]).max()) for _, x in measured.values()
    ),
    "times_s": {k: t for k, (t, _) in measured.items()},
  }


def report(row: Row) -> None:
  """Prints the medians, and the peers' over ours."""
  median_s = row["median_s"]
  for name, seconds in median_s.items():
    line = f"  {row['candidates']:4d} candidate(s)  {name:8s}{seconds:9.4f} s"
    if name != "ours":
      line += f"; over ours: {seconds / median_s['ours']:.2f}"
    print(line, flush=True)
  print(f"    they differ by {row['largest_difference']:.1e} at most")


def parse_arguments() -> argparse.Namespace:
  """Reads the command line."""
  parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
  add = parser.add_argument
  add("--candidates", nargs="+", type=int, default=[1, 16, 256])
  add("--seconds", type=float, default=10.0, help="of audio")
  add("--repeats", type=int, default=5)
  add("--peer-repeats", type=int, default=3)
  add("-o", "--output", type=Path, default=Path(os.devnull), help="JSON")
  return parser.parse_args()


def main() -> None:
  """Runs the benchmark."""
  options = parse_arguments()
  jax.config.update("jax_enable_compilation_cache", False)
  results = {"machine": machine(), "inverse": []}
  print(", ".join(f"{k} {v}" for k, v in results["machine"].items()))
  audio = recording(options.seconds)
  row = results["search"] = time_search(audio, options.repeats)
  print(
    f"  blind estimate of {options.seconds:g} s: {row['cold_s']:.2f} s cold, "
    f"{row['warm_s']:.2f} s warm (off by {row['gain_error_db']:.4f} dB)",
    flush=True,
  )
  for candidates in options.candidates:
    results["inverse"].append(compare(audio, candidates, options))
    report(results["inverse"][-1])
  options.output.write_text(json.dumps(results, indent=1))


if __name__ == "__main__":
  main()
