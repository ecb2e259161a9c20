"""Writes recordings, prepares data sets of them, and reads what is stored."""

import json
from pathlib import Path

import numpy as np
import soundfile

from distortion_removal.datasets import opening
from distortion_removal.datasets.preparation.prepare import prepare


def sine(seconds, rate=16_000, level=0.5, frequency_hz=440.0):
  """A sine `[time, 1]`."""
  time_s = np.arange(round(seconds * rate)) / rate
  return level * np.sin(2 * np.pi * frequency_hz * time_s)[:, None]


def put(path, audio, rate=16_000, **kwargs):
  """Writes an audio file, and its folder if need be."""
  path.parent.mkdir(parents=True, exist_ok=True)
  soundfile.write(path, audio, rate, **kwargs)
  return path


def build(dataset, data_dir, overwrite=False, **options):
  """Opens a data set and prepares it."""
  builder = opening.open_builder(dataset, data_dir=str(data_dir), **options)
  return prepare(builder, overwrite=overwrite)


def records(builder):
  """All records by id, and the split of each."""
  return {
    record["id"].decode(errors="surrogateescape"): record | {"split": split}
    for split in builder.info.splits
    for record in opening.read_split(builder, split)
  }


def splits_of(builder):
  """The split of each record, by id."""
  return {name: record["split"] for name, record in records(builder).items()}


def report(builder):
  """The report beside the records."""
  return json.loads((Path(builder.data_dir) / "report.json").read_text())


def skipped(builder):
  """The reason for each file that was left out."""
  return {row["file"]: row["reason"] for row in report(builder)["skipped"]}


def record_files(builder):
  """The bytes of the array_records."""
  files = Path(builder.data_dir).glob("*.array_record*")
  return {file.name: file.read_bytes() for file in files}
