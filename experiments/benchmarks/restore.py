"""Times the command `restore` on whole files, next to other programs.

  python -m experiments.benchmarks.restore
  python -m experiments.benchmarks.restore --seconds 10 60 --sides fast demucs

A generated guitar, mono, as long as each of `--seconds`, is clipped at an input
SDR of 7 dB (44.1 kHz; for the shipped hybrid 16 kHz), or overdriven, and goes
from file to file: by the declippers next to ffmpeg's adeclip, by the inverse of
the overdrive, by the hybrid, and by a Demucs (1.0 M) and UMX next to PyTorch's
networks of the same size and weights in `apply_model` of the package demucs,
with the same chunks and overlap. Every side has a process of its own on
`--cores` of the cores. Starting and compiling do not count; sides of the same
recording take turns, and medians count.

Memory is the process's peak above what it held with everything loaded; ffmpeg's
is all it holds. A side that would take longer than `--budget` seconds for a
length, going by the one before, leaves it out. Other work on the machine slows
all sides, but not alike: mind the load, and the minima.
"""

import argparse
import contextlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import soundfile

from distortion_removal.datasets.sources.plucked_strings.synthesis import (
  render,
)
from distortion_removal.effects import overdrive
from distortion_removal.effects.clipping import sdr_clip_threshold
from distortion_removal.metrics.si_sdr import si_sdr
from experiments.benchmarks import restore_sides
from experiments.benchmarks.aspade import machine
from experiments.benchmarks.aspade_sides import Row
from experiments.benchmarks.restore_sides import GROUPS, Group

_LOOP_SECONDS = 30.0  # of guitar, which is repeated
_WARM_SECONDS = 60.0  # longer recordings are cut into equal pieces
_COMPARED_SECONDS = 60.0
_INPUT_SDR_DB, _GAIN_DB, _COLOUR = 7.0, 35.0, 20.0
SIDES = [side for group in GROUPS for side in (*group.ours, group.peer) if side]


def write_recording(file: Path, group: Group, seconds: float) -> None:
  """Writes a distorted guitar as 16-bit WAV, unless it is there."""
  if file.exists():
    return
  length = round(seconds * group.rate)
  loop = render(0, seed=0, sample_rate=group.rate, seconds=_LOOP_SECONDS)
  clean = np.resize(loop[:, 0] / abs(loop).max(), length)
  if group.distortion == "clipped":
    level = sdr_clip_threshold(loop[None] / abs(loop).max(), _INPUT_SDR_DB)[0]
    audio = np.clip(clean, -level, level)
  else:
    gain_db = np.array([_GAIN_DB])
    audio = overdrive.overdrive(clean[None, :, None], gain_db, colour=_COLOUR)
    audio = 0.5 * audio[0, :, 0] / abs(audio).max()
  soundfile.write(file, audio, group.rate, subtype="PCM_16")


@contextlib.contextmanager
def started(
  side: str, source: Path, warm: Path, folder: Path, cores: int
) -> Iterator[subprocess.Popen]:
  """Starts a side on some of the cores, and waits until it is warm."""
  module = "experiments.benchmarks.restore_sides"
  target = folder / f"{side}.wav"
  words = [side, str(cores), source, target, warm, folder]
  process = subprocess.Popen(
    [sys.executable, "-m", module, *words],
    stdin=subprocess.PIPE,
    stdout=subprocess.PIPE,
    stderr=subprocess.DEVNULL,
    text=True,
    env=os.environ | {"OMP_NUM_THREADS": str(cores)},
  )
  with process:
    read(process)
    yield process
    process.stdin.close()


def read(process: subprocess.Popen) -> Row:
  """Reads the next line of a side."""
  line = process.stdout.readline()
  if not line:
    raise SystemExit(f"{process.args[3]}: fails; run {process.args} to see why")
  return json.loads(line)


def compare(
  sides: list[str],
  files: tuple[Path, Path],
  cores: int,
  options: argparse.Namespace,
) -> dict[str, Row]:
  """Times sides that take turns; returns seconds and memory of each.

  Args:
    sides: their names.
    files: the recording, and the one to warm up with.
    cores: number of cores.
    options: the command line's.
  """
  times = {side: [] for side in sides}
  with contextlib.ExitStack() as stack:
    processes = {
      side: stack.enter_context(started(side, *files, files[0].parent, cores))
      for side in sides
    }
    for turn in range(options.repeats):
      for side, process in processes.items():
        if not turn or sum(times[side]) < options.budget:
          print(file=process.stdin, flush=True)
          times[side].append(read(process)["s"])
    peaks = {}
    for side, process in processes.items():
      process.stdin.close()
      peaks[side] = read(process)["peak_bytes"]
  return {
    side: {
      "side": side,
      "cores": cores,
      "median_s": statistics.median(times[side]),
      "times_s": times[side],
      "peak_bytes": peaks[side],
      "load": os.getloadavg()[0],
    }
    for side in sides
  }


def report(group: Group, rows: dict[str, Row], folder: Path) -> None:
  """Prints a line for each side, and how it compares with the peer."""
  peer = rows.get(group.peer)
  for side, row in rows.items():
    ratio = ""
    if peer is not None and row is not peer:
      ratio = f", {group.peer} / ours {peer['median_s'] / row['median_s']:.2f}"
      ratio += f" (minima {min(peer['times_s']) / min(row['times_s']):.2f})"
      if side in restore_sides.NETWORKS:
        pair = (folder / f"{name}.wav" for name in (side, group.peer))
        ratio += f", SI-SDR of one to the other {agreement_db(*pair):.1f} dB"
    print(
      f"  {side:15s} {row['seconds']:5g} s, {row['cores']} cores:"
      f"{row['seconds'] / row['median_s']:8.2f} x real time"
      f"{row['peak_bytes'] / 1e6:7.0f} MB{ratio}",
      flush=True,
    )


def agreement_db(*files: Path) -> float:
  """Returns how well two results agree, from their first minute."""
  pair = []
  for file in files:
    with soundfile.SoundFile(file) as sound:
      frames = round(_COMPARED_SECONDS * sound.samplerate)
      pair.append(sound.read(frames, dtype="float32")[None, :, None])
  return float(si_sdr(*pair, sample_rate=1)[0])


def benchmark(options: argparse.Namespace, folder: Path) -> Iterator[Row]:
  """Compares the sides of each group at each length and number of cores."""
  asked = set(options.sides)
  for group in GROUPS:
    sides = [side for side in (*group.ours, group.peer) if side in asked]
    name = f"{group.distortion}_{group.rate}"
    for cores in options.cores if sides else ():
      speeds = {}
      for seconds in sorted(options.seconds):
        warm_seconds = min(seconds, _WARM_SECONDS)
        files = []
        for length in (seconds, warm_seconds):
          files.append(folder / f"{name}_{length:g}.wav")
          write_recording(files[-1], group, length)
        chosen = [
          side
          for side in sides
          if seconds * speeds.get(side, 0.0) <= options.budget
        ]
        rows = compare(chosen, tuple(files), cores, options)
        for side, row in rows.items():
          row["seconds"] = seconds
          speeds[side] = row["median_s"] / seconds
        report(group, rows, folder)
        left_out = ", ".join(side for side in sides if side not in chosen)
        if left_out:
          print(f"  {seconds:g} s are too much for {left_out}")
        yield from rows.values()


def parse_arguments() -> argparse.Namespace:
  """Reads the command line."""
  parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
  add = parser.add_argument
  cores = len(os.sched_getaffinity(0))
  lengths = [10.0, 60.0, 600.0, 3600.0]
  add("--sides", nargs="+", choices=SIDES, default=SIDES)
  add("--seconds", nargs="+", type=float, default=lengths, help="of audio")
  add("--cores", nargs="+", type=int, default=sorted({1, min(2, cores)}))
  add("--repeats", type=int, default=3)
  add("--budget", type=float, default=120.0, help="s for a side and length")
  add("-o", "--output", type=Path, default=Path(os.devnull), help="JSON lines")
  return parser.parse_args()


def main() -> None:
  """Runs the benchmark."""
  options = parse_arguments()
  print(", ".join(f"{k} {v}" for k, v in machine().items()), flush=True)
  with tempfile.TemporaryDirectory() as name, options.output.open("w") as file:
    folder = Path(name)
    restore_sides.write_networks(folder)
    for row in benchmark(options, folder):
      print(json.dumps(row), file=file, flush=True)


if __name__ == "__main__":
  main()
