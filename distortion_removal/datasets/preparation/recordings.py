"""Recordings, each read and stored on its own until the data set is complete.

In any process, and on any machine that sees the folder, a recording is read,
encoded and measured: its records lie in `NAME.records`, one after the other,
and what is known of them in `NAME.json`, which is written last. A recording
that has its JSON file is complete.
"""

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
from typing import Any

import numpy as np
import tensorflow_datasets as tfds

from distortion_removal.audio.files import AudioFileError
from distortion_removal.audio.loudness import integrated_loudness
from distortion_removal.common.errors import UserError
from distortion_removal.common.files import replacing, write_whole


@dataclasses.dataclass(frozen=True)
class Recording:
  """A recording, or some minutes of synthetic sound, read on its own.

  Attributes:
    name: its name in the splits.
    group: what stays on one side of the splits together.
    read: yields its examples in order, or, in place of one that is left out,
      why: "silent" or "short". It can be pickled.
    version: changes when what is read does.
    size: bytes of the file, or of what is made; a measure of the work.
    split: the one it is pinned to; None leaves it to `splits.assign`.
  """

  name: str
  group: str
  read: Callable[[], Iterable[dict | str]]
  version: str
  size: int = 0
  split: str | None = None

  @property
  def file_name(self) -> str:
    """The stored files' name, without a suffix."""
    key = os.fsencode(f"{self.name}\0{self.version}")
    return hashlib.sha256(key).hexdigest()[:32]


@dataclasses.dataclass(frozen=True)
class StoredExcerpt:
  """A stored excerpt's measurements and place."""

  id: str  # as in its record
  frames: int  # samples per channel
  peak: float  # on the recording's own scale
  loudness_lufs: float | None  # BS.1770-4; None where it has none
  digest: str  # SHA-256 of its samples, at a peak of 1
  offset: int  # bytes before its record in the file of records
  size: int  # bytes of its record
  part: str = ""  # the file of records, without a suffix
  group: str = ""  # its recording's


@dataclasses.dataclass(frozen=True)
class StoredRecording:
  """A stored recording's excerpts, or why there are none."""

  excerpts: list[StoredExcerpt]
  left_out: dict[str, int]  # numbers of "silent" and of "short" excerpts
  reason: str | None = None  # why it cannot be read


@dataclasses.dataclass(frozen=True)
class RecordingStore:
  """A folder of stored recordings, and the form of their records."""

  folder: Path  # seen by every process, and machine, that stores recordings
  features: tfds.features.FeaturesDict
  sample_rate: int

  def add(self, recording: Recording) -> int:
    """Stores a recording, unless it lies there whole; returns its size."""
    facts = self._file(recording.file_name, "json")
    # What could not be read may only have been out of reach.
    if facts.is_file() and self.load(recording).reason is None:
      return recording.size
    excerpts, left_out = [], {"silent": 0, "short": 0}
    reason = None
    records = self._file(recording.file_name, "records")
    try:
      with replacing(records) as partial, partial.open("wb") as file:
        for example in recording.read():
          if isinstance(example, str):
            left_out[example] += 1
            continue
          record = self.encode(example)
          excerpts.append(self._measure(example, file.tell(), len(record)))
          file.write(record)
    except AudioFileError as error:
      excerpts, reason = [], error.reason
    except OSError as error:
      # A file's own writes do not name it.
      error.filename = error.filename or str(records)
      raise
    content = StoredRecording(excerpts, left_out, reason)
    write_whole(facts, json.dumps(dataclasses.asdict(content)))
    return recording.size

  def load(self, recording: Recording) -> StoredRecording:
    """Reads what is known of a stored recording."""
    facts = self._file(recording.file_name, "json")
    content = json.loads(facts.read_text())
    place = {"part": recording.file_name, "group": recording.group}
    excerpts = [StoredExcerpt(**e | place) for e in content.pop("excerpts")]
    return StoredRecording(excerpts, **content)

  def records(self, excerpts: Iterable[StoredExcerpt]) -> Iterator[bytes]:
    """Yields the records of excerpts, one at a time."""
    for part, members in itertools.groupby(excerpts, lambda e: e.part):
      with self._file(part, "records").open("rb") as file:
        for excerpt in members:
          file.seek(excerpt.offset)
          yield file.read(excerpt.size)

  def encode(self, example: dict) -> bytes:
    """Encodes an example; the same one always gives the same bytes."""
    encoded = self.features.encode_example(example)
    proto = self._serializer.get_tf_example(encoded)
    return proto.SerializeToString(deterministic=True)

  @functools.cached_property
  def _serializer(self) -> tfds.core.ExampleSerializer:
    return tfds.core.ExampleSerializer(self.features.get_serialized_info())

  def _measure(self, example: dict, offset: int, size: int) -> StoredExcerpt:
    clean = np.ascontiguousarray(example["clean"], np.float32)
    peak = float(example["peak"])
    loudness = integrated_loudness(clean * peak, sample_rate=self.sample_rate)
    return StoredExcerpt(
      id=os.fsdecode(example["id"]),
      frames=len(clean),
      peak=peak,
      loudness_lufs=float(loudness) if np.isfinite(loudness) else None,
      digest=hashlib.sha256(clean).hexdigest(),
      offset=offset,
      size=size,
    )

  def _file(self, name: str, suffix: str) -> Path:
    return self.folder / f"{name}.{suffix}"


def store_all(
  recordings: Sequence[Recording], store: RecordingStore, jobs: int
) -> Iterator[int]:
  """Stores recordings, in `jobs` processes, and yields each one's size.

  Processes are spawned, for JAX's threads do not survive a fork: a script that
  gets here needs its `if __name__ == "__main__"`.
  """
  if jobs == 1:
    yield from map(store.add, recordings)
    return
  context = multiprocessing.get_context("spawn")
  with futures.ProcessPoolExecutor(jobs, context) as pool:
    try:
      # The long ones first, so that no process ends up alone with one.
      order = sorted(recordings, key=lambda each: each.size, reverse=True)
      done = futures.as_completed(pool.submit(store.add, r) for r in order)
      for future in done:
        yield future.result()
    except BrokenProcessPool:
      raise UserError(
        "a process that read recordings was killed, perhaps for its memory; "
        "run this again with --jobs=1, it goes on where it was"
      ) from None
    finally:
      pool.shutdown(wait=False, cancel_futures=True)


def store_with_beam(
  recordings: Sequence[Recording], store: RecordingStore, options: Any
) -> None:
  """Stores recordings with Apache Beam, on any number of machines, and waits.

  The recordings and `--data-dir` must lie where every machine sees them.
  """
  import apache_beam as beam

  with beam.Pipeline(options=options) as pipeline:
    _ = (
      pipeline
      | "recordings" >> beam.Create(recordings)
      # Otherwise one worker gets them all.
      | "spread" >> beam.Reshuffle()
      | "store" >> beam.Map(store.add)
    )
