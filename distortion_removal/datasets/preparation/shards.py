"""Writing a split as array_record files, in order and in bounded memory."""

import contextlib
import errno
import itertools
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from array_record.python.array_record_module import ArrayRecordWriter
from tensorflow_datasets.core import ShardedFileTemplate


def write_shards(
  records: Iterable[bytes],
  template: ShardedFileTemplate,
  records_per_shard: int,
) -> tuple[list[int], int]:
  """Writes records, in order, to as many array_record files as they need.

  Args:
    records: serialised examples; never more than one is held.
    template: names the files.
    records_per_shard: of every file but the last.

  Returns:
    The number of records in each file, and the bytes of all records.

  Raises:
    OSError: the disk is full.
  """
  folder = Path(template.data_dir)
  lengths, size = [], 0
  records = iter(records)
  for first in records:
    partial = folder / f"{template.split}-{len(lengths)}.partial"
    lengths.append(0)
    with _open_shard(partial) as writer:
      rest = itertools.islice(records, records_per_shard - 1)
      for record in itertools.chain([first], rest):
        writer.write(record)
        lengths[-1] += 1
        size += len(record)
  for index in range(len(lengths)):
    path = template.sharded_filepath(shard_index=index, num_shards=len(lengths))
    (folder / f"{template.split}-{index}.partial").rename(path)
  return lengths, size


@contextlib.contextmanager
def _open_shard(path: Path) -> Iterator[ArrayRecordWriter]:
  """Opens an array_record for writing; its disk errors become `OSError`s."""
  try:
    with contextlib.closing(
      ArrayRecordWriter(str(path), "group_size:1")
    ) as writer:
      yield writer
  except RuntimeError as error:
    for code in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
      if os.strerror(code) in str(error):
        raise OSError(code, os.strerror(code), str(path)) from error
    raise
