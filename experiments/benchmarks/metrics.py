"""Times the metrics, and compares them with inference, in one run.

  python -m experiments.benchmarks.metrics
  python -m experiments.benchmarks.metrics --cores 2 --networks umx crafx

Every metric scores one estimate, and a batch of them that share one target, on
one core and on all, each in a process of its own. Medians count, in
milliseconds per second of audio of an estimate. Three are compared with others
in the same run: SI-SDR with NumPy as its equations read, VGGish with PyTorch;
PEAQ with what PQevalAudio takes under GNU Octave, published elsewhere. Then
networks of the paper's size work on the same batch, and the time of all metrics
stands beside theirs. VGGish has random weights, which cost the same.
"""

import argparse
import functools
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from experiments import provenance

_OCTAVE_S = 4.0  # per second of mono audio, published as 4 to 5
_MARK = "result: "

Row = dict[str, Any]


def measure(cores: int, options: argparse.Namespace) -> list[Row]:
  """Runs `metric_sides` in a process that may use so many cores."""
  chosen = sorted(os.sched_getaffinity(0))[:cores]
  command = [sys.executable, "-m", "experiments.benchmarks.metric_sides"]
  command += [f"--seconds={options.seconds}", f"--repeats={options.repeats}"]
  command += ["--networks", *options.networks]
  process = subprocess.Popen(
    command,
    stdout=subprocess.PIPE,
    text=True,
    preexec_fn=functools.partial(os.sched_setaffinity, 0, chosen),
  )
  rows = []
  for line in process.stdout:
    if line.startswith(_MARK):
      rows.append({"cores": cores, **json.loads(line.removeprefix(_MARK))})
      print_row(rows[-1])
    else:
      print(line, end="")
  if process.wait():
    sys.exit(process.returncode)
  return rows


def print_row(row: Row) -> None:
  """Prints one measurement."""
  print(
    f"  {row['cores']} core(s)  {row['name']:30s}{row['rate']:6d} Hz  "
    f"{row['batch']} estimate(s){row['ms_per_s']:10.4f} ms per s of audio",
    flush=True,
  )


def ratios(rows: list[Row]) -> list[str]:
  """Divides the others' times by ours, a line each."""
  times = {
    (r["cores"], r["name"], r["rate"], r["batch"]): r["ms_per_s"] for r in rows
  }
  lines = []
  for (cores, name, rate, batch), ms in times.items():
    where = f"{cores} core(s), {batch} estimate(s)"
    peer = times.get((cores, f"{name} (peer)", rate, batch))
    if peer is not None:
      lines.append(f"{name}, {where}: peer / ours = {peer / ms:.2f}")
    if name == "peaq" and rate == 48_000:
      ratio = 1e3 * _OCTAVE_S / ms
      lines.append(f"peaq, {where}: Octave / ours = {ratio:.0f}")
    if name == "all metrics":
      lines += [
        f"{other}, {where}: metrics take {ms / took:.2f} of inference"
        for (c, other, _, b), took in times.items()
        if (c, b) == (cores, batch) and other.startswith("network ")
      ]
  return lines


def parse_arguments() -> argparse.Namespace:
  """Reads the command line."""
  everything = len(os.sched_getaffinity(0))
  networks = ["demucs_64_6", "wave_unet", "crafx", "umx"]
  parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
  add = parser.add_argument
  add("--cores", nargs="+", type=int, default=sorted({1, everything}))
  add("--seconds", type=float, default=10.0, help="of audio")
  add("--repeats", type=int, default=7)
  add("--networks", nargs="*", choices=networks, default=networks)
  add("-o", "--output", type=Path, default=Path(os.devnull), help="JSON lines")
  return parser.parse_args()


def main() -> None:
  """Runs the benchmark."""
  options = parse_arguments()
  load = os.getloadavg()[0]
  print(f"commit {provenance.commit()}, load {load:.1f}", flush=True)
  rows = []
  for cores in options.cores:
    rows += measure(cores, options)
  print(*ratios(rows), sep="\n")
  lines = [json.dumps(row) + "\n" for row in rows]
  options.output.write_text("".join(lines))


if __name__ == "__main__":
  main()
