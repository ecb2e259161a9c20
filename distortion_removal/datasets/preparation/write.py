"""Writes a data set: recordings stored, sorted into splits, and described.

`recordings.py` stores them, by as many processes as there are, or by Apache
Beam; then they are sorted into splits, what leaks is left out, and the records
are copied, in order, into array_record files. So the files' bytes do not
depend on who stored the recordings. What is stored stays in the folder `parts`
beside the data set until it is complete, for the next preparation if this one
is interrupted. Meanwhile the disk holds the audio twice.
"""

import contextlib
import dataclasses
import errno
import itertools
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import tensorflow_datasets as tfds
from array_record.python.array_record_module import ArrayRecordWriter

from distortion_removal.common import cores
from distortion_removal.common.errors import UserError
from distortion_removal.common.files import as_text, write_whole
from distortion_removal.common.log import Progress, note
from distortion_removal.datasets import splits
from distortion_removal.datasets.preparation import description
from distortion_removal.datasets.preparation.recordings import (
  Recording,
  RecordingStore,
  StoredExcerpt,
  StoredRecording,
  store_all,
  store_with_beam,
)

PARTS_FOLDER = "parts"
_SHARD_BYTES = 256 << 20


class RecordingBuilder(Protocol):
  """The part of a data set's builder that preparing needs."""

  name: str
  info: tfds.core.DatasetInfo
  builder_config: Any
  data_dir: str
  data_dir_root: Path
  data_path: Path
  is_stored: bool
  jobs: int
  BYTES_PER_PROCESS: int

  def download_and_prepare(self, **options: Any) -> None:
    """Writes the data set by `write`, in a folder that TFDS renames."""

  def source(self) -> dict:
    """Returns where the audio comes from, as JSON types."""

  def recordings(self) -> list[Recording]:
    """Returns what is read on its own, in the order of the records."""


def write(
  builder: RecordingBuilder, download_config: tfds.download.DownloadConfig
) -> list[tfds.core.SplitInfo]:
  """Writes all files of a data set; returns TFDS's facts of its splits."""
  builder.info.metadata["source"] = builder.source()  # as it is read from here
  recordings = builder.recordings()
  _assign(recordings)  # mistakes show early
  store = _store(builder, recordings, download_config)
  stored = {each.name: store.load(each) for each in recordings}
  skipped = _skipped(stored)
  usable = [each for each in recordings if each.name not in skipped]
  if not usable:
    raise UserError(f"{builder.name}: none of {len(stored)} files is usable")
  members = {
    split: [stored[each.name] for each in found]
    for split, found in _assign(usable).items()
  }
  kept, doubles = without_leaks(
    {
      split: [excerpt for each in found for excerpt in each.excerpts]
      for split, found in members.items()
    }
  )
  if not kept.get("train"):
    why = f": {len(doubles)} are held out, too" if doubles else ""
    raise UserError(f"{builder.name}: not a single excerpt to train on{why}")
  infos = [
    _write_split(builder, split, excerpts, store)
    for split, excerpts in kept.items()
    if excerpts
  ]
  left_out = {
    split: {
      reason: sum(each.left_out[reason] for each in found)
      for reason in ("silent", "short")
    }
    for split, found in members.items()
  }
  _write_facts(builder, kept, skipped, left_out, doubles)
  return infos


def _assign(recordings: Sequence[Recording]) -> dict[str, list[Recording]]:
  """Sorts recordings into splits, in each as they come."""
  pins = splits.Pins(
    groups={each.name: each.group for each in recordings},
    sides={each.group: each.split for each in recordings if each.split},
  )
  sides = splits.assign(pins.groups, pins)
  split_of = {name: split for split, names in sides.items() for name in names}
  members = {split: [] for split in sides}
  for each in recordings:
    members[split_of[each.name]].append(each)
  return members


def without_leaks(
  members: Mapping[str, Sequence[StoredExcerpt]],
) -> tuple[dict[str, list[StoredExcerpt]], list[dict[str, str]]]:
  """Leaves out of training what validation or test hold, too.

  The same sound under two names is left out of `train` where `valid` or `test`
  has it, and out of `valid` where `test` has it. Only equal samples are
  noticed: not a copy that is shifted or was compressed with loss.

  Returns:
    The excerpts that stay, by split, and the report's rows of the others.
  """
  for kind in ("id", "group"):
    _check_disjoint(members, kind)
  doubles, kept, leaks = {}, {}, []
  for split in sorted(members, key=splits.SPLITS.index, reverse=True):
    leaks += [
      {"excerpt": e.id, "split": split} | doubles[e.digest]
      for e in members[split]
      if e.digest in doubles
    ]
    kept[split] = [e for e in members[split] if e.digest not in doubles]
    # Only now: within a split a double does no harm.
    for e in kept[split]:
      doubles.setdefault(e.digest, {"same_as": e.id, "in": split})
  return {split: kept[split] for split in members}, leaks


def _check_disjoint(
  members: Mapping[str, Sequence[StoredExcerpt]], kind: str
) -> None:
  sides = {}
  for split, excerpts in members.items():
    for value in {getattr(excerpt, kind) for excerpt in excerpts}:
      if sides.setdefault(value, split) != split:
        raise UserError(
          f"{kind} {value!r} is in {sides[value]} and in {split}: what is "
          "tested on would be trained on; keep it on one side"
        )


def _store(
  builder: RecordingBuilder,
  recordings: Sequence[Recording],
  download_config: tfds.download.DownloadConfig,
) -> RecordingStore:
  """Stores the recordings that are not stored yet."""
  folder = Path(builder.data_dir).parent / PARTS_FOLDER
  folder.mkdir(exist_ok=True)
  sample_rate = builder.builder_config.sample_rate
  store = RecordingStore(folder, builder.info.features, sample_rate)
  if download_config.beam_options:
    store_with_beam(recordings, store, download_config.beam_options)
    return store
  size = sum(each.size for each in recordings)
  enough = builder.BYTES_PER_PROCESS
  jobs = builder.jobs or min(cores.available(), 1 + size // enough)
  with Progress(
    max(1, size), "prepared %.0f %%", unit="B", is_shown=size > enough
  ) as progress:
    for done in store_all(recordings, store, jobs):
      progress.advance(done)
  return store


def _skipped(stored: Mapping[str, StoredRecording]) -> dict[str, str]:
  """Prints the recordings that cannot be used; returns reasons by name."""
  skipped = {n: s.reason for n, s in stored.items() if s.reason is not None}
  for name, reason in skipped.items():
    note(f"skipped {name}: {reason}")
  return skipped


def _write_split(
  builder: RecordingBuilder,
  split: str,
  excerpts: Sequence[StoredExcerpt],
  store: RecordingStore,
) -> tfds.core.SplitInfo:
  """Writes excerpts, in order, to as many array_record files as they need."""
  config = builder.builder_config
  excerpt_bytes = 2 * config.excerpt_frames * config.channels
  per_shard = max(1, _SHARD_BYTES // excerpt_bytes)
  count = -(-len(excerpts) // per_shard)
  template = tfds.core.ShardedFileTemplate(
    data_dir=builder.data_path,
    dataset_name=builder.name,
    split=split,
    filetype_suffix="array_record",
  )
  records = store.records(excerpts)
  lengths = [0] * count
  for shard in range(count):
    path = template.sharded_filepath(shard_index=shard, num_shards=count)
    with _open_shard(path) as writer:
      for record in itertools.islice(records, per_shard):
        writer.write(record)
        lengths[shard] += 1
  return tfds.core.SplitInfo(
    name=split,
    shard_lengths=lengths,
    num_bytes=sum(excerpt.size for excerpt in excerpts),
    filename_template=template,
  )


@contextlib.contextmanager
def _open_shard(path: os.PathLike) -> Iterator[ArrayRecordWriter]:
  """Opens an array_record for writing; its disk errors become `OSError`s."""
  try:
    with contextlib.closing(
      ArrayRecordWriter(os.fspath(path), "group_size:1")
    ) as writer:
      yield writer
  except RuntimeError as error:
    for code in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
      if os.strerror(code) in str(error):
        raise OSError(code, os.strerror(code), str(path)) from error
    raise


def _write_facts(
  builder: RecordingBuilder,
  kept: Mapping[str, Sequence[StoredExcerpt]],
  skipped: Mapping[str, str],
  left_out: Mapping[str, Mapping[str, int]],
  doubles: list[dict[str, str]],
) -> None:
  """Writes a report, the set's description, and digests of its excerpts."""
  rate = builder.builder_config.sample_rate
  counts = {
    split: {
      "excerpts": len(excerpts),
      "minutes": round(sum(e.frames for e in excerpts) / rate / 60, 3),
    }
    for split, excerpts in kept.items()
  }
  builder.info.metadata.update(
    task=dataclasses.asdict(builder.builder_config.task), splits=counts
  )
  report = {
    "skipped": [
      {"file": as_text(name), "reason": as_text(why)}
      for name, why in skipped.items()
    ],
    "silent_excerpts": sum(each["silent"] for each in left_out.values()),
    "short_remainders": sum(each["short"] for each in left_out.values()),
    "leaks": [{k: as_text(v) for k, v in row.items()} for row in doubles],
    "splits": counts,
  }
  described = {
    split: description.describe(excerpts, rate, left_out[split]["silent"])
    for split, excerpts in kept.items()
    if excerpts
  }
  digests = {split: [e.digest for e in each] for split, each in kept.items()}
  for name, content in (
    (description.REPORT_FILE, report),
    (description.DESCRIPTION_FILE, described),
    (description.DIGESTS_FILE, digests),
  ):
    text = json.dumps(content, indent=2) + "\n"
    write_whole(Path(builder.data_dir) / name, text)
