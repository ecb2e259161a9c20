"""Times A-SPADE, ours against NumPy's, side by side in one run.

  python -m experiments.benchmarks.aspade
  python -m experiments.benchmarks.aspade --settings survey --seconds 3 \
    --peer-repeats 1 --output survey.json

The peers of `peers/aspade.py` take turns with ours on all cores, or ours is on
the accelerator if there is one: NumPy in batches of frames, where SciPy spreads
the FFTs over the cores ("batched"), the same with a batch of its own for every
core ("threaded"), and frame by frame. Medians count. What a frame's iteration
takes is the time over the iterations that a side itself counted; frame by
frame, only a few frames are done, from which the whole is extrapolated.

Beside them stands what the FFTs alone would take, and how well the results
agree. Other work on the machine slows all sides, but not alike: mind the load.
"""

import argparse
import functools
import json
import os
import platform
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import jax
import numpy as np
import scipy

from distortion_removal.effects.clipping import sdr_clip_threshold
from distortion_removal.metrics.si_sdr import sdr
from experiments import provenance
from experiments.benchmarks import aspade_sides
from experiments.benchmarks.aspade_sides import (
  CORES,
  PEERS,
  SETTINGS,
  Result,
  Row,
)

# From elsewhere: the MATLAB toolbox of the survey's authors under GNU Octave,
# one core of another machine, the survey's setting.
_OCTAVE_MS = 1.6


def take_turns(
  runs: dict[str, Callable[[], Result]], repeats: int, peer_repeats: int
) -> dict[str, tuple[list[float], Result]]:
  """Seconds of each run, and its result; ours have compiled before."""
  times, results = {name: [] for name in runs}, {}
  for name, run in runs.items():
    if name.startswith("ours"):
      run()
  for turn in range(max(repeats, peer_repeats)):
    for name, run in runs.items():
      if turn < (repeats if name.startswith("ours") else peer_repeats):
        start = time.perf_counter()
        results[name] = run()
        times[name].append(time.perf_counter() - start)
  return {name: (times[name], results[name]) for name in runs}


def sdr_db(estimate: np.ndarray, target: np.ndarray) -> float:
  """The ratio of `[time]` signals in dB."""
  pair = estimate[None, :, None], target[None, :, None]
  return float(sdr(*pair, sample_rate=1)[0])


def compare(
  name: str, input_sdr_db: float, clean: np.ndarray, options: argparse.Namespace
) -> Row:
  """Measures all sides at one level of clipping; a row of numbers."""
  setting = SETTINGS[name]
  level = float(sdr_clip_threshold(clean[None, :, None], input_sdr_db)[0])
  # Exact in float32: the same work in either precision.
  clipped = np.clip(clean, -level, level)
  sides = aspade_sides.make_sides(
    options.precision, options.peers, options.frame_by_frame_frames
  )
  runs = {
    side: functools.partial(
      function, clipped.astype(np.float64), level, **setting.options
    )
    for side, function in sides.items()
  }
  measured = take_turns(runs, options.repeats, options.peer_repeats)
  whole = next(r for s, (_, r) in measured.items() if "frame" not in s)
  reference = measured.get("batched float64", (None, whole))[1]
  seconds = len(clean) / setting.sample_rate
  sides = {}
  for side, (times, (restored, iterations)) in measured.items():
    count = max(1, int(iterations.sum()))
    per_iteration = statistics.median(times) / count
    numbers = {"ms_per_frame_iteration": 1e3 * per_iteration}
    if side.startswith("frame"):
      numbers["s_per_s"] = per_iteration * int(reference[1].sum()) / seconds
    else:
      gain_db = sdr_db(restored, clean) - sdr_db(clipped, clean)
      numbers["s_per_s"] = statistics.median(times) / seconds
      numbers["delta_sdr_db"] = gain_db
      numbers["snr_db"] = sdr_db(restored, reference[0])
    sides[side] = {**numbers, "iterations": count, "times_s": times}
  return {
    "setting": name,
    "input_sdr_db": input_sdr_db,
    "seconds": seconds,
    "clipped_percent": 100 * float(np.mean(np.abs(clipped) >= level)),
    "load": os.getloadavg()[0],
    "sides": sides,
  }


def report(row: Row, limits_ms: dict[str, float]) -> None:
  """Prints the sides, and how far ours are from the others and the limit."""
  for name, side in row["sides"].items():
    print(
      f"  {name:23s}{side['s_per_s']:9.3f} s per s"
      f"{side['ms_per_frame_iteration']:9.4f} ms per frame iteration"
      f"{side['iterations']:9d} iterations",
      end="",
    )
    if "snr_db" in side:
      print(
        f", ΔSDR {side['delta_sdr_db']:.3f} dB, "
        f"{side['snr_db']:.1f} dB from batched float64",
        end="",
      )
    print()
  for precision, limit_ms in limits_ms.items():
    mine = row["sides"][f"ours {precision}"]
    mine_ms = mine["ms_per_frame_iteration"]
    ratios = [
      f"{side['s_per_s'] / mine['s_per_s']:.2f} {name}"
      for name, side in row["sides"].items()
      if not name.startswith("ours")
    ]
    if row["setting"] == "survey":
      ratio = _OCTAVE_MS / mine_ms
      ratios.append(
        f"{ratio:.1f} Octave ({_OCTAVE_MS} ms, published elsewhere)"
      )
    print(
      f"  times of others / ours {precision}: {', '.join(ratios)}\n"
      f"  FFTs alone {limit_ms:.4f} ms: ours takes {mine_ms / limit_ms:.2f} x",
      flush=True,
    )


def machine() -> Row:
  """Describes the machine, the libraries and the commit of the run."""
  return {
    "machine": platform.machine(),
    "cores": CORES,
    "device": jax.devices()[0].device_kind,
    "jax": jax.__version__,
    "numpy": np.__version__,
    "scipy": scipy.__version__,
    "commit": provenance.commit(),
    "load": os.getloadavg()[0],
  }


def parse_arguments() -> argparse.Namespace:
  """Reads the command line."""
  parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
  add = parser.add_argument
  precisions = ("float32", "float64")
  add("--settings", nargs="+", choices=SETTINGS, default=list(SETTINGS))
  add("--input-sdr", nargs="+", type=float, default=[1.0, 7.0, 20.0])
  add("--seconds", type=float, default=10.0, help="of audio")
  add("--repeats", type=int, default=3)
  add("--peer-repeats", type=int, default=3)
  add("--precision", nargs="+", choices=precisions, default=precisions)
  add("--peers", nargs="*", choices=PEERS, default=PEERS)
  add("--frame-by-frame-frames", type=int, default=4)
  add("--audio", type=Path, help="a file in place of generated playing")
  add("--memory", action="store_true", help="also measure memory (Linux)")
  add("-o", "--output", type=Path, default=Path(os.devnull), help="JSON")
  return parser.parse_args()


def main() -> None:
  """Runs the benchmark."""
  options = parse_arguments()
  results = {"machine": machine(), "rows": [], "limits_ms": {}, "memory": []}
  print(", ".join(f"{k} {v}" for k, v in results["machine"].items()))
  for name in options.settings:
    setting = SETTINGS[name]
    clean = aspade_sides.load(
      options.audio, setting.sample_rate, options.seconds
    )
    sizes = setting.options["frame"], setting.options["redundancy"]
    limits = {
      p: aspade_sides.transforms_ms(*sizes, p) for p in options.precision
    }
    results["limits_ms"][name] = limits
    for level in options.input_sdr:
      print(f"{name}, {level:g} dB, {options.seconds:g} s:", flush=True)
      row = compare(name, level, clean, options)
      report(row, limits)
      results["rows"].append(row)
    for seconds in (10.0, 60.0) if options.memory else ():
      for precision in options.precision:
        row = aspade_sides.peak_memory(name, seconds, precision)
        print(*(f"{value}" for value in row.values()), flush=True)
        results["memory"].append(row)
    options.output.write_text(json.dumps(results, indent=1))


if __name__ == "__main__":
  main()
