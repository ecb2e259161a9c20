"""Records come back in order from as many files as they need."""

import errno

import numpy as np
import pytest
from prepared import build, put, record_files, records

from distortion_removal.datasets.preparation import write

RATE = 16_000


def test_records_in_order_in_as_many_files_as_they_need(tmp_path, monkeypatch):
  rng = np.random.default_rng(0)
  lengths = {"train/a": 5, "train/b": 4, "valid/d": 1, "test/c": 4}
  for name, excerpts in lengths.items():
    audio = rng.uniform(-0.5, 0.5, (excerpts * RATE, 1))
    put(tmp_path / "in" / f"{name}.wav", audio)
  monkeypatch.setattr(write, "_SHARD_BYTES", 4 * 2 * RATE)
  form = {"path": str(tmp_path / "in"), "excerpt_seconds": 1.0}
  builder = build("audio_folder", tmp_path / "out", **form)
  assert sorted(record_files(builder)) == [
    f"audio_folder-{split}.array_record-0000{i}-of-0000{count}"
    for split, count in (("test", 1), ("train", 3), ("valid", 1))
    for i in range(count)
  ]
  assert builder.info.splits["train"].shard_lengths == [4, 4, 1]
  assert list(records(builder)) == [
    f"{name}.wav#00{i}"
    for name, excerpts in lengths.items()
    for i in range(excerpts)
  ]


def test_a_full_disk_is_the_systems_error(tmp_path):
  link = tmp_path / "shard"
  try:
    link.symlink_to("/dev/full")
    with pytest.raises(OSError):
      link.write_bytes(b"x")
  except (OSError, NotImplementedError):
    pytest.skip("no /dev/full on this system")
  with pytest.raises(OSError) as caught, write._open_shard(link) as writer:
    writer.write(b"x" * 100_000)
  assert caught.value.errno == errno.ENOSPC
  assert caught.value.filename == str(link)
