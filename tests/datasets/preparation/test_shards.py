"""Records come back in order from as many files as they need."""

import errno

import pytest
import tensorflow_datasets as tfds
from array_record.python.array_record_data_source import ArrayRecordDataSource

from distortion_removal.datasets.preparation import shards


@pytest.mark.parametrize(
  ("count", "lengths"), [(0, []), (3, [3]), (4, [4]), (9, [4, 4, 1])]
)
def test_records_in_order(tmp_path, count, lengths):
  template = tfds.core.ShardedFileTemplate(
    data_dir=tmp_path,
    dataset_name="data",
    split="train",
    filetype_suffix="array_record",
  )
  records = [bytes([i]) * (i + 1) for i in range(count)]
  written, size = shards.write_shards(iter(records), template, 4)
  assert written == lengths
  assert size == sum(len(record) for record in records)
  names = sorted(path.name for path in tmp_path.iterdir())
  assert names == [
    f"data-train.array_record-{i:05d}-of-{len(lengths):05d}"
    for i in range(len(lengths))
  ]
  if names:
    source = ArrayRecordDataSource([str(tmp_path / name) for name in names])
    assert [source[i] for i in range(count)] == records


def test_a_full_disk_is_the_systems_error(tmp_path):
  link = tmp_path / "train-0.partial"
  try:
    link.symlink_to("/dev/full")
    with pytest.raises(OSError):
      link.write_bytes(b"x")
  except (OSError, NotImplementedError):
    pytest.skip("no /dev/full on this system")
  template = tfds.core.ShardedFileTemplate(
    data_dir=tmp_path,
    dataset_name="data",
    split="train",
    filetype_suffix="array_record",
  )
  with pytest.raises(OSError) as caught:
    shards.write_shards([b"x" * 100_000], template, 4)
  assert caught.value.errno == errno.ENOSPC
  assert caught.value.filename == str(link)
