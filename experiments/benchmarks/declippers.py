"""Times the declippers, ours against NumPy's, side by side in one run.

  python -m experiments.benchmarks.declippers
  python -m experiments.benchmarks.declippers --methods nmf --path song.flac

A recording at 44.1 kHz, clipped to an input SDR, is cut into as many excerpts
as there are cores, so that all work. The peers of `peers/declippers.py` and
`peers/aspade.py` take turns with ours, an excerpt in a process of its own on
each core, where NumPy starts no further threads; janssen is SciPy's already and
has none. Medians count, ours after compilation.

Beside them stands how well the results agree. Other work on the machine slows
all sides, but not alike: mind the load.
"""

import argparse
import concurrent.futures
import functools
import json
import multiprocessing
import os
import statistics
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import soundfile

from distortion_removal.audio import resampling
from distortion_removal.datasets.sources.plucked_strings.synthesis import (
  render,
)
from distortion_removal.declipping import declipper
from distortion_removal.effects.clipping import sdr_clip_threshold
from distortion_removal.metrics.si_sdr import sdr
from experiments.benchmarks.aspade import machine, take_turns
from experiments.benchmarks.aspade_sides import CORES, Row
from experiments.benchmarks.peers import aspade, declippers

_RATE = 44_100


class Setting(NamedTuple):
  """A declipper, its options, and samples of an excerpt: one segment of it."""

  name: str
  samples: int
  options: dict[str, Any]


_FRAME = {"frame": 8192, "hop": 2048}
_FAST = {"s": 8, "r": 1, "epsilon": 1.41}
SETTINGS = {
  "nmf": Setting(
    "nmf",
    108 * 4096,
    {"frame": 4096, "hop": 1024, "rank": 128, "iterations": 400},
  ),
  "nmf-half-overlapping": Setting(
    "nmf",
    54 * 8192,
    {"frame": 8192, "hop": 4096, "rank": 128, "iterations": 300},
  ),
  "parabola": Setting("parabola", 26 * 8192, _FRAME | {"iterations": 500}),
  "aspade": Setting("aspade", 26 * 8192, _FRAME | _FAST),
  "janssen": Setting(
    "janssen", 26 * 8192, {"frame": 8192, "hop": 4096, "order": 512}
  ),
}
SIDES = ("ours float32", "ours float64", "NumPy float32", "NumPy float64")


def load(path: Path | None, samples: int, channels: int) -> np.ndarray:
  """Returns excerpts `[cores, samples, channels]` of a file or guitars."""
  count = CORES * samples
  if path is None:
    strings = [
      render(0, seed=seed, sample_rate=_RATE, seconds=count / _RATE)[:, 0]
      for seed in range(channels)
    ]
    # Each is heard in all channels, loudest in its own.
    audio = np.stack(strings, axis=1) @ (1 + np.eye(channels)) / 2
  else:
    audio, rate = soundfile.read(path, dtype="float32", always_2d=True)
    audio = resampling.resample(audio[:, :channels], rate, _RATE)
  if len(audio) < count or audio.shape[1] < channels:
    raise SystemExit(
      f"{path}: {count / _RATE:.1f} s in {channels} channels are needed; give "
      "a longer file or --channels 1"
    )
  audio = audio[:count].astype(np.float32)
  return (audio / abs(audio).max()).reshape(CORES, samples, channels)


def restore(
  excerpts: np.ndarray, level: float, *, setting: Setting, precision: str
) -> np.ndarray:
  """Declips with ours."""
  name, _, options = setting
  if name == "aspade":
    options = options | {"relative": True}
  if name != "janssen":
    options = options | {"precision": precision}
  audio = excerpts.astype(precision)
  return declipper(name)(audio, level, **options)[0]


def restore_excerpt(
  excerpt: np.ndarray, level: float, *, setting: Setting, precision: str
) -> np.ndarray:
  """Declips `[time, channels]` with the peer."""
  name, _, options = setting
  excerpt = excerpt.astype(precision)
  if name == "nmf":
    return declippers.nmf(excerpt, (-level, level), **options)
  if name == "parabola":
    call = functools.partial(declippers.parabola, rails=(-level, level))
  else:
    # Its epsilon is absolute: audio in units of the rail.
    excerpt, options = excerpt / excerpt.max(), options | {"redundancy": 2}

    def call(channel: np.ndarray, **options: Any) -> np.ndarray:
      restored, _ = aspade.batched(channel, 1.0, dtype=precision, **options)
      return level * restored

  return np.stack([call(x, **options) for x in excerpt.T], axis=1)


def sdr_db(estimate: np.ndarray, target: np.ndarray) -> float:
  """Returns the ratio of all samples together, in dB."""
  pair = (x.reshape(1, -1, 1) for x in (estimate, target))
  return float(sdr(*pair, sample_rate=1)[0])


def compare(
  setting: Setting,
  clean: np.ndarray,
  pool: concurrent.futures.Executor,
  options: argparse.Namespace,
) -> Row:
  """Measures all sides of a method; a row of numbers."""
  level = float(
    sdr_clip_threshold(clean.reshape(1, -1, 1), options.input_sdr)[0]
  )
  clipped = np.clip(clean, -level, level)

  def peer(**arguments: Any) -> np.ndarray:
    call = functools.partial(restore_excerpt, level=level, **arguments)
    return np.stack(list(pool.map(call, clipped)))

  runs = {}
  for side in options.sides:
    library, precision = side.split()
    if setting.name == "janssen" and side != "ours float64":
      continue
    ours = functools.partial(restore, clipped, level)
    call = ours if library == "ours" else peer
    runs[side] = functools.partial(call, setting=setting, precision=precision)
  measured = take_turns(runs, options.repeats, options.peer_repeats)
  reference = measured.get("NumPy float64")
  sides = {}
  for side, (times, restored) in measured.items():
    seconds = clipped.shape[0] * clipped.shape[1] / _RATE
    sides[side] = {
      "times_real_time": seconds / statistics.median(times),
      "delta_sdr_db": sdr_db(restored, clean) - sdr_db(clipped, clean),
      "times_s": times,
    }
    if reference and side != "NumPy float64":
      sides[side]["snr_db"] = sdr_db(restored, reference[1])
  return {
    "method": setting.name,
    "channels": clipped.shape[2],
    "input_sdr_db": options.input_sdr,
    "clipped_percent": 100 * float(np.mean(abs(clipped) >= level)),
    "load": os.getloadavg()[0],
    "options": setting.options,
    "sides": sides,
  }


def report(row: Row) -> None:
  """Prints the sides, and the peers' times over ours."""
  for name, side in row["sides"].items():
    line = f"  {name:14s}{side['times_real_time']:8.2f} x real time, "
    line += f"ΔSDR {side['delta_sdr_db']:.3f} dB"
    if "snr_db" in side:
      line += f", {side['snr_db']:.1f} dB from NumPy float64"
    if not name.startswith("ours"):
      line += "; its time over ours:"
      for own, other in row["sides"].items():
        if own.startswith("ours"):
          ratio = other["times_real_time"] / side["times_real_time"]
          line += f" {ratio:.2f} ({own.split()[1]})"
    print(line, flush=True)


def parse_arguments() -> argparse.Namespace:
  """Reads the command line."""
  parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
  add = parser.add_argument
  add("--methods", nargs="+", choices=SETTINGS, default=list(SETTINGS))
  add("--channels", nargs="+", type=int, default=[1, 2])
  add("--sides", nargs="+", choices=SIDES, default=SIDES)
  add("--input-sdr", type=float, default=7.0)
  add("--repeats", type=int, default=3)
  add("--peer-repeats", type=int, default=3)
  add("--path", type=Path, help="a file in place of generated guitars")
  add("-o", "--output", type=Path, default=Path(os.devnull), help="JSON")
  return parser.parse_args()


def main() -> None:
  """Runs the benchmark."""
  options = parse_arguments()
  results = {"machine": machine(), "rows": []}
  print(", ".join(f"{k} {v}" for k, v in results["machine"].items()))
  # Of the peers' processes: they start later.
  os.environ.update(OPENBLAS_NUM_THREADS="1", OMP_NUM_THREADS="1")
  context = multiprocessing.get_context("spawn")
  with concurrent.futures.ProcessPoolExecutor(CORES, context) as pool:
    list(pool.map(abs, range(CORES)))  # starts all
    for name in options.methods:
      for channels in options.channels:
        samples = SETTINGS[name].samples
        clean = load(options.path, samples, channels)
        size = f"{CORES} x {samples / _RATE:.1f} s, {channels} channels"
        print(f"{name}, {options.input_sdr:g} dB, {size}:", flush=True)
        row = compare(SETTINGS[name], clean, pool, options)
        report(row)
        results["rows"].append(row)
        options.output.write_text(json.dumps(results, indent=1))


if __name__ == "__main__":
  main()
