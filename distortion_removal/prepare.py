"""Stores recordings, or synthetic ones, as the excerpts that training reads.

python -m distortion_removal.prepare --dataset=audio_folder --path=FOLDER
"""

import argparse
import contextlib
import json
import os
import shlex
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from distortion_removal import datasets, log
from distortion_removal.datasets import description, tasks
from distortion_removal.errors import (
  OneLineParser,
  UserError,
  one_line_errors,
)

if TYPE_CHECKING:
  from distortion_removal.datasets.builder import CleanAudioBuilder


def prepare(
  builder: "CleanAudioBuilder",
  *,
  overwrite: bool = False,
  jobs: int = 1,
  beam_options: Sequence[str] = (),
) -> "CleanAudioBuilder":
  """Stores a data set; one that lies there already is taken as it is.

  The statistics that some networks scale their input by are stored along.

  The data set is written to a folder of another name and renamed once it is
  complete; a failure removes that folder. The recordings that were read by then
  stay in a folder `parts` beside it, and the next preparation goes on there.

  Args:
    builder: from `datasets.open_builder`.
    overwrite: replace what lies there, once the new one is complete.
    jobs: processes that read recordings; 0 for as many as are worth it. What is
      stored does not depend on it.
    beam_options: Apache Beam's, `--runner=DirectRunner` and the like; with any,
      Beam's workers read the recordings.

  Returns:
    The builder, ready to read.

  Raises:
    UserError: there is nothing to store, or the data set that lies there came
      from another source.
    OSError: the disk is full, or the folder cannot be written.
  """
  folder = Path(builder.data_dir)
  if datasets.is_prepared(builder) and not overwrite:
    _check_same_source(builder)
    return builder
  with _set_aside(folder):
    builder = _reopen(builder)
    builder.jobs = jobs
    try:
      builder.download_and_prepare(**_beam(beam_options))
    except OSError:
      # Another process of the same run may have been faster.
      if not datasets.is_prepared(builder):
        raise
  shutil.rmtree(folder.with_name(datasets.PARTS), ignore_errors=True)
  builder = _reopen(builder)
  from distortion_removal.datasets import statistics  # needs JAX: seconds

  rate = builder.builder_config.sample_rate
  statistics.spectrum_statistics(builder, **statistics.usual_transform(rate))
  return builder


def _beam(options: Sequence[str]) -> dict:
  """What tells TFDS to use Beam, which is how other builders are told, too."""
  if not options:
    return {}
  import tensorflow_datasets as tfds

  from distortion_removal.datasets import beam_pipeline

  parsed = beam_pipeline.parse_options(options)
  return {"download_config": tfds.download.DownloadConfig(beam_options=parsed)}


@contextlib.contextmanager
def _set_aside(folder: Path) -> Iterator[None]:
  """Moves a data set away, to put it back if its replacement fails."""
  aside = folder.with_name(f"{folder.name}.replaced")
  if folder.exists():
    # Left behind by a process that was killed.
    shutil.rmtree(aside, ignore_errors=True)
    folder.rename(aside)
  try:
    yield
  except BaseException:
    if aside.exists():
      aside.rename(folder)
    raise
  shutil.rmtree(aside, ignore_errors=True)


def _reopen(builder: "CleanAudioBuilder") -> "CleanAudioBuilder":
  """A builder that knows what lies there now; they look only when made."""
  return type(builder)(
    config=builder.builder_config, data_dir=builder.data_dir_root
  )


def _check_same_source(builder: "CleanAudioBuilder") -> None:
  stored, source = builder.info.metadata.get("source", {}), builder.source()
  # A set prepared by an older version says less of its source.
  changed = [k for k in source if k in stored and stored[k] != source[k]]
  if changed:
    raise UserError(
      f"{builder.data_dir}: holds a data set of different "
      f"{', '.join(changed)}; choose another --data-dir or pass --overwrite"
    )


def summary(builder: "CleanAudioBuilder") -> str:
  """What was stored, what was left out, where it lies and how to use it."""
  folder = Path(builder.data_dir)
  report = json.loads((folder / "report.json").read_text())
  lines = [f"{builder.name} for the task {builder.builder_config.task.name}"]
  lines += [
    f"  {split:<6}{count['excerpts']:>7} excerpts{count['minutes']:>9.1f} min"
    for split, count in report["splits"].items()
  ]
  if skipped := report.get("skipped"):
    files = "file" if len(skipped) == 1 else "files"
    lines.append(f"  skipped {len(skipped)} {files}: see report.json")
  for key in ("silent_excerpts", "short_remainders"):
    if report.get(key):
      lines.append(f"  left out {report[key]} {key.replace('_', ' ')}")
  if leaks := report.get("leaks"):
    lines.append(
      f"  left out {len(leaks)} excerpts that are also in a split to test on: "
      "see report.json"
    )
  lines += [f"in {folder}", "train on it with", f"  {train_command(builder)}"]
  return "\n".join(lines)


def train_command(builder: "CleanAudioBuilder") -> str:
  """The command line that trains on the data set."""
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


def _parser() -> OneLineParser:
  parser = OneLineParser(
    prog="python -m distortion_removal.prepare",
    description="Stores clean recordings as excerpts for training.",
    allow_abbrev=False,
  )
  add = parser.add_argument
  add("--dataset", default="audio_folder", help=", ".join(datasets.DATASETS))
  add("--path", help="folder of recordings: WAV, FLAC, AIFF, Ogg or MP3")
  add("--include", metavar="GLOB", help="only files so named ('input_*')")
  add("--task", help=f"{', '.join(tasks.TASKS)} (the data set's own)")
  add("--data-dir", help="where data sets lie (~/tensorflow_datasets)")
  add("--sample-rate", type=int, default=16_000, help="Hz (16000)")
  add("--channels", type=int, default=1, help="1 or 2 (1)")
  add("--excerpt-seconds", type=float, default=10.0, help="(10)")
  for split, default in (("train", 40), ("valid", 2), ("test", 3)):
    help = f"to make, of a synthetic data set ({default})"
    add(f"--{split}-minutes", type=float, metavar="MINUTES", help=help)
  add("--seed", type=int, help="of a synthetic data set (0)")
  add(
    "--offline",
    action="store_true",
    default=None,
    help="never download (signaltrain)",
  )
  add("--overwrite", action="store_true", help="replace what lies there")
  add("--jobs", type=_count, default=0, help="processes (as many as pay)")
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
  """A number of processes, for argparse."""
  if not text.isdigit():
    raise argparse.ArgumentTypeError(f"{text!r} is no number of processes")
  return int(text)


def describe(builder: "CleanAudioBuilder") -> str:
  """What a prepared data set is like, and where the picture of it lies.

  Raises:
    UserError: it is not prepared.
  """
  folder = Path(builder.data_dir)
  facts = description.read(folder)
  picture = folder / description.PLOT
  description.plot(facts).savefig(picture, dpi=150)
  return f"{description.to_text(facts)}\n{picture}"


def main(argv: Sequence[str] | None = None) -> None:
  """The command line, see `--help`."""
  with one_line_errors():
    options = vars(_parser().parse_args(argv))
    how = {name: options.pop(name) for name in ("overwrite", "jobs")}
    how["beam_options"] = shlex.split(options.pop("beam_options"))
    is_described = options.pop("describe")
    given = {
      key: value for key, value in options.items() if value not in (None, "")
    }
    builder = datasets.open_builder(**given)
    if is_described:
      print(describe(builder))
      return
    log.setup()
    print(summary(prepare(builder, **how)))


if __name__ == "__main__":
  main()
