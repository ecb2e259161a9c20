"""The excerpts of a survey: the loudest seconds of each recording."""

import itertools
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from distortion_removal.audio import files
from distortion_removal.audio.resampling import resample_blocks
from distortion_removal.common.errors import UserError
from distortion_removal.common.files import replacing, write_whole
from distortion_removal.common.log import note
from distortion_removal.datasets.sources.audio_folder import (
  MIN_SECONDS,
  check_suffix,
  file_version,
  list_files,
  remix,
)
from distortion_removal.datasets.splits import SPLITS_CSV

FOLDER = "excerpts"
UNUSED = "noise, not used.wav"
_PINS = f'file,group,split\n"{UNUSED}",,train\n*.wav,,test\n'
_STEPS_PER_SECOND = 10  # An excerpt starts at one of these.


def cut_folder(
  path: Path, output: Path, *, seconds: float, sample_rate: int, count: int
) -> dict:
  """Cuts excerpts of all recordings, unless they lie there; describes them.

  Args:
    path: folder of recordings, searched recursively.
    output: gets the folder `excerpts`, all of it for `test`.
    seconds: length of an excerpt, at most.
    sample_rate: of the excerpts in Hz.
    count: number of excerpts of each recording, at most.

  Raises:
    UserError: no recording can be used, or other excerpts lie there.
  """
  if not path.is_dir():
    raise UserError(f"{path}: not a folder of recordings")
  if count < 1 or not seconds >= MIN_SECONDS:
    raise UserError(
      f"{count} excerpts of {seconds:g} s: choose 1 or more, of "
      f"{MIN_SECONDS:g} s or more"
    )
  found = list_files(path, "*")
  # What this makes is no recording.
  inside = output.absolute()
  names = [x for x in found if inside not in (path.absolute() / x).parents]
  form = {"seconds": seconds, "sample_rate": sample_rate, "count": count}
  wanted = form | {"recordings": {x: file_version(path / x) for x in names}}
  folder, record = output / FOLDER, output / FOLDER / ".source.json"
  if folder.exists():
    if not record.exists() or json.loads(record.read_text()) != wanted:
      raise UserError(
        f"{folder}: excerpts of other recordings, or other ones of these; "
        "choose another --output, or remove the folder"
      )
    return form
  output.mkdir(parents=True, exist_ok=True)
  with replacing(folder) as partial:
    partial.mkdir()
    for name in names:
      _cut_recording(path / name, partial / f"{name}.wav", **form)
    if not any(partial.iterdir()):
      raise UserError(f"{path}: no recording that can be used")
    (partial / SPLITS_CSV).write_text(_PINS)
    # A data set needs something to train on.
    noise = np.random.default_rng(0).uniform(-1, 1, (2 * sample_rate, 1))
    files.write(partial / UNUSED, noise, sample_rate, subtype="FLOAT")
    write_whole(partial / record.name, json.dumps(wanted))
  return form


def _cut_recording(
  path: Path, target: Path, *, seconds: float, sample_rate: int, count: int
) -> None:
  """Writes a recording's excerpts; one that cannot be read is left out."""
  try:
    check_suffix(path)
    found = [
      audio / peak
      for audio in loudest(path, seconds, sample_rate, count)
      if (peak := np.abs(audio).max(initial=0.0)) > 0
      and len(audio) >= MIN_SECONDS * sample_rate
    ]
  except files.AudioFileError as error:
    note(f"left out: {error}")
    return
  if not found:
    note(f"left out: {path}: silent, or shorter than {MIN_SECONDS:g} s")
    return
  target.parent.mkdir(parents=True, exist_ok=True)
  for k, audio in enumerate(found, 1):
    name = target if count == 1 else target.with_suffix(f".{k}.wav")
    files.write(name, audio, sample_rate, subtype="FLOAT")


def loudest(
  path: Path, seconds: float, sample_rate: int, count: int
) -> list[np.ndarray]:
  """Returns the loudest seconds of equal parts of a recording, `[time, 1]`.

  They have the largest energy of all that lie in their part and start at a
  tenth of a second; the earliest of equal ones. There are fewer parts where
  they would be shorter than an excerpt; a shorter recording is taken whole.
  """
  step = sample_rate // _STEPS_PER_SECOND
  energies = [
    np.sum(block.astype(float) ** 2)
    for block in _blocks(path, sample_rate, step)
    if len(block) == step
  ]
  length = round(seconds * sample_rate)
  steps = -(-length // step)
  parts = min(count, max(1, len(energies) // steps))
  edges = np.linspace(0, len(energies), parts + 1).astype(int)
  starts = []
  for low, high in itertools.pairwise(edges):
    total = np.cumsum(np.concatenate([[0.0], energies[low:high]]))
    windows = total[steps:] - total[:-steps]
    starts.append(step * (low + int(np.argmax(windows)) if len(windows) else 0))
  return _sections(path, sample_rate, step, starts, length)


def _sections(
  path: Path, sample_rate: int, step: int, starts: list[int], length: int
) -> list[np.ndarray]:
  """Reads sections that start at whole steps."""
  found: list[list[np.ndarray]] = [[] for _ in starts]
  for position, block in enumerate(_blocks(path, sample_rate, step)):
    for section, start in zip(found, starts, strict=True):
      if start <= position * step < start + length:
        section.append(block)
  return [np.concatenate(section)[:length] for section in found]


def _blocks(path: Path, sample_rate: int, frames: int) -> Iterator[np.ndarray]:
  """Yields a recording in mono at a rate, `[frames, 1]`, the last one shorter.

  No more than a block is in memory.
  """
  pending = np.zeros((0, 1), np.float32)
  with files.open_reader(path) as reader:
    mono = (remix(block, 1) for block in reader.blocks())
    for block in resample_blocks(mono, reader.sample_rate, sample_rate):
      pending = np.concatenate([pending, block])
      whole = len(pending) // frames * frames
      yield from np.split(pending[:whole], whole // frames) if whole else ()
      pending = pending[whole:]
  if len(pending):
    yield pending
