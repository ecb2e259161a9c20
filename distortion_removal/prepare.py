"""Stores recordings, or synthetic ones, as the excerpts that training reads.

python -m distortion_removal.prepare --dataset=audio_folder --path=FOLDER
"""

import argparse
import json
import os
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from distortion_removal.common import log
from distortion_removal.common.errors import (
  OneLineParser,
  UserError,
  one_line_errors,
)
from distortion_removal.common.files import one_line
from distortion_removal.datasets.opening import (
  DATASETS,
  open_builder,
  prepare_command,
)
from distortion_removal.datasets.preparation import description
from distortion_removal.datasets.preparation.prepare import prepare
from distortion_removal.effects.tasks import TASKS

if TYPE_CHECKING:
  from distortion_removal.datasets.sources.builder import CleanAudioBuilder


def _summary(builder: "CleanAudioBuilder") -> str:
  """Says what was stored, what was left out, where, and how to use it."""
  folder = Path(builder.data_dir)
  report = json.loads((folder / description.REPORT_FILE).read_text())
  lines = [f"{builder.name} for the task {builder.builder_config.task.name}"]
  lines += [
    f"  {split:<6}{count['excerpts']:>7} excerpts{count['minutes']:>9.1f} min"
    for split, count in report["splits"].items()
  ]
  if skipped := report["skipped"]:
    files = "file" if len(skipped) == 1 else "files"
    lines.append(f"  skipped {len(skipped)} {files}: see report.json")
  for key in ("silent_excerpts", "short_remainders"):
    if report[key]:
      lines.append(f"  left out {report[key]} {key.replace('_', ' ')}")
  if leaks := report["leaks"]:
    lines.append(
      f"  left out {len(leaks)} excerpts that are also in a split to test on: "
      "see report.json"
    )
  lines += [
    f"in {one_line(folder)}",
    "train on it with",
    f"  {_train_command(builder)}",
  ]
  return "\n".join(lines)


def _train_command(builder: "CleanAudioBuilder") -> str:
  config = builder.builder_config
  fields = {
    "dataset": builder.name,
    "task": config.task.name,
    "data_dir": os.fspath(builder.data_dir_root),
    "sample_rate": config.sample_rate,
    "channels": config.channels,
    "excerpt_seconds": f"{float(config.excerpt_seconds)}",
  }
  words = [f"--config.data.{name}={value}" for name, value in fields.items()]
  command = ["python", "-m", "distortion_removal.main"]
  return shlex.join(
    [*command, "--config=configs/demucs_guitar_overdrive.py", *words]
  )


def _describe(builder: "CleanAudioBuilder") -> str:
  """Describes a prepared data set, and draws it beside its records.

  Raises:
    UserError: it is not prepared.
  """
  folder = Path(builder.data_dir)
  if not builder.is_stored:
    raise UserError(
      f"{folder}: not prepared, nothing to describe; run: "
      f"{prepare_command(builder)}"
    )
  facts = json.loads((folder / description.DESCRIPTION_FILE).read_text())
  picture = folder / description.PLOT_FILE
  description.plot(facts).savefig(picture, dpi=150)
  return f"{description.to_text(facts)}\n{one_line(picture)}"


def parser() -> OneLineParser:
  """Makes the parser of the command line."""
  parser = OneLineParser(
    prog="python -m distortion_removal.prepare",
    description="Stores clean recordings as excerpts for training.",
    allow_abbrev=False,
  )
  add = parser.add_argument
  add("--dataset", default="audio_folder", help=", ".join(DATASETS))
  add("--path", help="folder of recordings: WAV, FLAC, AIFF, Ogg or MP3")
  add("--include", metavar="GLOB", help="only files so named ('input_*')")
  add("--task", help=f"{', '.join(TASKS)} (default: the data set's own)")
  add("--data-dir", help="folder of all data sets (~/tensorflow_datasets)")
  add("--sample-rate", type=int, default=16_000, help="Hz (16000)")
  add("--channels", type=int, default=1, help="1 or 2 (1)")
  add("--excerpt-seconds", type=float, default=10.0, help="(10)")
  for split, default in (("train", 40), ("valid", 2), ("test", 3)):
    help = f"to make for a synthetic data set ({default})"
    add(f"--{split}-minutes", type=float, metavar="MINUTES", help=help)
  add("--seed", type=int, help="of a synthetic data set (0)")
  add(
    "--offline",
    action="store_true",
    default=None,
    help="never download (signaltrain)",
  )
  add("--overwrite", action="store_true", help="replace a prepared data set")
  add(
    "--jobs",
    type=_count,
    default=0,
    help="worker processes (default: chosen from the data size)",
  )
  add(
    "--beam-options",
    metavar="OPTIONS",
    default="",
    help="read the recordings with Apache Beam ('--runner=DirectRunner')",
  )
  add(
    "--describe",
    action="store_true",
    help="show what a prepared data set is like, and draw it",
  )
  return parser


def _count(text: str) -> int:
  if not text.isdigit():
    raise argparse.ArgumentTypeError(f"{text!r} is no number of processes")
  return int(text)


def _store_statistics(builder: "CleanAudioBuilder") -> None:
  """Stores what Open-Unmix needs: who trains may not be allowed to write."""
  from distortion_removal.datasets import spectrum_statistics

  rate = builder.builder_config.sample_rate
  transform = spectrum_statistics.open_unmix_transform(rate)
  spectrum_statistics.spectrum_statistics(builder, **transform)


def main(argv: Sequence[str] | None = None) -> None:
  """Runs the command line, see `--help`."""
  with one_line_errors():
    options = vars(parser().parse_args(argv))
    how = {name: options.pop(name) for name in ("overwrite", "jobs")}
    how["beam_options"] = shlex.split(options.pop("beam_options"))
    is_described = options.pop("describe")
    builder = open_builder(
      **{k: value for k, value in options.items() if value not in (None, "")}
    )
    if is_described:
      log.say(_describe(builder))
      return
    log.setup()
    # Needs JAX, which takes seconds to import.
    from distortion_removal.common import devices

    devices.check_platform()
    builder = prepare(builder, **how)
    _store_statistics(builder)
    log.say(_summary(builder))


if __name__ == "__main__":
  main()
