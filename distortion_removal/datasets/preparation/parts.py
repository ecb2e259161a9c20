"""What one recording gives a data set, stored until the set is complete.

A part is read, encoded and measured on its own, in any process and on any
machine that sees the folder: its records lie in `NAME.records`, one after the
other, and what is known of them in `NAME.json`, which is written last. A part
that has its JSON file is complete, and a preparation that was interrupted
takes it as it is.
"""

import contextlib
import dataclasses
import functools
import hashlib
import itertools
import json
import multiprocessing
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent import futures
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

import numpy as np
import tensorflow_datasets as tfds

from distortion_removal.audio.integrity import AudioFileError
from distortion_removal.common.errors import UserError
from distortion_removal.common.files import write_whole


@dataclasses.dataclass(frozen=True)
class Part:
  """A recording, or whatever else is read, or made, on its own.

  Attributes:
    name: what the splits know it by.
    read: yields its examples in order, or, in place of one that is left out,
      why: "silent" or "short". It can be pickled.
    version: changes when what is read does.
    size: of the file, or of what is made, in bytes; a measure of the work.
  """

  name: str
  read: Callable[[], Iterable[dict | str]]
  version: str
  size: int = 0

  @property
  def file_name(self) -> str:
    """Of what is stored, without a suffix."""
    key = os.fsencode(f"{self.name}\0{self.version}")
    return hashlib.sha256(key).hexdigest()[:32]


@dataclasses.dataclass(frozen=True)
class Excerpt:
  """What is known of a stored excerpt.

  Attributes:
    id: as in its record.
    frames: its length in samples.
    peak: on the recording's own scale.
    loudness_lufs: BS.1770-4; None where it has none.
    digest: of its samples, at a peak of 1.
    offset: of its record in the part's file, in bytes.
    size: of its record, in bytes.
    part: the stored part that it is of.
    group: what stays on one side of the splits together with it.
  """

  id: str
  frames: int
  peak: float
  loudness_lufs: float | None
  digest: str
  offset: int
  size: int
  part: str = ""
  group: str = ""


@dataclasses.dataclass(frozen=True)
class Content:
  """What a part holds.

  Attributes:
    excerpts: in order.
    left_out: how many excerpts are "silent" or "short".
    reason: why it cannot be read; None where it can.
  """

  excerpts: list[Excerpt]
  left_out: dict[str, int]
  reason: str | None = None


@dataclasses.dataclass(frozen=True)
class Encoder:
  """Turns examples into records; the same example gives the same bytes."""

  features: tfds.features.FeaturesDict
  sample_rate: int

  @functools.cached_property
  def _serializer(self) -> tfds.core.ExampleSerializer:
    return tfds.core.ExampleSerializer(self.features.get_serialized_info())

  def encode(self, example: dict) -> bytes:
    """The record of an example."""
    encoded = self.features.encode_example(example)
    proto = self._serializer.get_tf_example(encoded)
    return proto.SerializeToString(deterministic=True)

  def describe(self, example: dict, offset: int, size: int) -> Excerpt:
    """Measures an example whose record lies at `offset`."""
    # A second, which reading a data set need not wait.
    from distortion_removal.audio.loudness import integrated_loudness

    clean = np.ascontiguousarray(example["clean"], np.float32)
    peak = float(example["peak"])
    loudness = integrated_loudness(clean * peak, sample_rate=self.sample_rate)
    identity = example["id"]
    return Excerpt(
      id=os.fsdecode(identity),
      frames=len(clean),
      peak=peak,
      loudness_lufs=float(loudness) if np.isfinite(loudness) else None,
      digest=hashlib.sha256(clean).hexdigest(),
      offset=offset,
      size=size,
    )


def store(part: Part, *, folder: Path, encoder: Encoder) -> int:
  """Reads, encodes and stores a part, unless it lies there whole.

  Args:
    part: what to read.
    folder: where parts lie.
    encoder: of its examples.

  Returns:
    The part's size.

  Raises:
    OSError: the disk is full, or the folder cannot be written.
  """
  records = folder / f"{part.file_name}.records"
  facts = folder / f"{part.file_name}.json"
  # What could not be read may only have been out of reach.
  if facts.is_file() and load(part, folder).reason is None:
    return part.size
  # A name of its own: another process may be storing the same part.
  partial = records.with_name(f".{records.name}.{os.getpid()}.partial")
  excerpts, left_out = [], {"silent": 0, "short": 0}
  reason = None
  try:
    with _named_errors(partial), partial.open("wb") as file:
      try:
        for example in part.read():
          if isinstance(example, str):
            left_out[example] += 1
            continue
          record = encoder.encode(example)
          excerpts.append(encoder.describe(example, file.tell(), len(record)))
          file.write(record)
      except AudioFileError as error:
        excerpts, reason = [], error.reason
    partial.replace(records)
  finally:
    partial.unlink(missing_ok=True)
  content = Content(excerpts, left_out, reason)
  write_whole(facts, json.dumps(dataclasses.asdict(content)))
  return part.size


@contextlib.contextmanager
def _named_errors(path: Path) -> Iterator[None]:
  """Names the file in an error of the disk; a file's own writes do not."""
  try:
    yield
  except OSError as error:
    if error.filename is None:
      error.filename = str(path)
    raise


def load(part: Part, folder: Path) -> Content:
  """What is known of a stored part."""
  stored = json.loads((folder / f"{part.file_name}.json").read_text())
  excerpts = [
    Excerpt(**excerpt | {"part": part.file_name})
    for excerpt in stored.pop("excerpts")
  ]
  return Content(excerpts, **stored)


def records(excerpts: Iterable[Excerpt], folder: Path) -> Iterator[bytes]:
  """The records of excerpts, one at a time."""
  for part, members in itertools.groupby(excerpts, lambda e: e.part):
    with (folder / f"{part}.records").open("rb") as file:
      for excerpt in members:
        file.seek(excerpt.offset)
        yield file.read(excerpt.size)


def store_all(
  parts: Sequence[Part], jobs: int, *, folder: Path, encoder: Encoder
) -> Iterator[int]:
  """Stores parts, in `jobs` processes.

  Processes are spawned, for JAX's threads do not survive a fork: a script that
  gets here needs its `if __name__ == "__main__"`.

  Yields:
    The size of each part, as soon as it is stored, in any order.

  Raises:
    UserError: a process was killed.
    OSError: as `store`; what is stored so far stays.
  """
  work = functools.partial(store, folder=folder, encoder=encoder)
  if jobs == 1:
    yield from map(work, parts)
    return
  context = multiprocessing.get_context("spawn")
  with futures.ProcessPoolExecutor(jobs, context) as pool:
    try:
      # The long ones first, so that no process ends up alone with one.
      order = sorted(parts, key=lambda part: part.size, reverse=True)
      for future in futures.as_completed(pool.submit(work, p) for p in order):
        yield future.result()
    except BrokenProcessPool:
      raise UserError(
        "a process that read recordings was killed, perhaps for its memory; "
        "run this again with --jobs=1, it goes on where it was"
      ) from None
    finally:
      pool.shutdown(wait=False, cancel_futures=True)
