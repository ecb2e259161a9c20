"""A folder of every kind of file, good and bad, through TFDS and back."""

import os
import re

import numpy as np
import pytest
import soundfile
import tensorflow_datasets as tfds
from prepared import build as build_any
from prepared import put, records, report, sine, skipped, splits_of

from distortion_removal.common.errors import UserError
from distortion_removal.datasets import opening
from distortion_removal.datasets.sources import audio_folder

RATE = 16_000
KINDS = {
  "a.wav": (16_000, 1e-3),
  "b.flac": (44_100, 1e-3),
  "c.aiff": (48_000, 1e-3),
  "d.wav": (8_000, 1e-3),
  "e.wav": (192_000, 1e-3),
  "f.ogg": (44_100, 2e-2),
  "g.mp3": (44_100, 2e-2),
}


def build(path, data_dir, overwrite=False, **options):
  options = {"task": "overdrive", "excerpt_seconds": 2.0} | options
  return build_any(
    "audio_folder", data_dir, overwrite, path=str(path), **options
  )


def test_sine_of_any_format_and_rate(tmp_path):
  """Frequency, level, and place in time, against the sine itself."""
  written = []
  for name, (rate, _) in KINDS.items():
    try:
      put(tmp_path / "in" / name, sine(5.0, rate), rate)
      written.append(name)
    except (ValueError, soundfile.LibsndfileError):
      # This libsndfile cannot write it.
      (tmp_path / "in" / name).unlink(missing_ok=True)
  # At other rates the same sine is the same sound: all is for training.
  (tmp_path / "in/splits.csv").write_text("file,split\n*,train\n")
  found = records(build(tmp_path / "in", tmp_path / "out"))
  assert len(found) == 3 * len(written) >= 15
  for name in written:
    parts = [found[f"{name}#00{i}"] for i in range(3)]
    joined = np.concatenate([part["clean"] * part["peak"] for part in parts])
    assert joined.shape == (5 * RATE, 1)
    inner = slice(RATE // 10, -RATE // 10)  # not the resampler's onset
    np.testing.assert_allclose(
      joined[inner], sine(5.0)[inner], atol=KINDS[name][1], err_msg=name
    )


def test_what_cannot_be_used_is_named_with_its_reason(tmp_path, capsys):
  folder = tmp_path / "in"
  nan = sine(3.0)
  nan[-1] = np.nan
  good = [sine(2.0), sine(2.0, level=1e-4), sine(2.5)]
  for name, audio in {
    "good.wav": np.concatenate(good),
    "cut.wav": sine(3.0),
    "cut.flac": sine(3.0),
    "none.wav": np.zeros((0, 1)),
    "silent.wav": sine(3.0, level=1e-3),  # −63 dBFS RMS
    "short.wav": sine(0.9),
  }.items():
    put(folder / name, audio)
  put(folder / "nan.wav", nan, subtype="FLOAT")
  loud = np.full((3 * RATE, 2), 3e38)  # two make more than a float32 holds
  put(folder / "loud.wav", loud, subtype="FLOAT")
  for name, share in (("cut.wav", 0.9), ("cut.flac", 0.5)):
    content = (folder / name).read_bytes()
    (folder / name).write_bytes(content[: int(share * len(content))])
  (folder / ".cache").mkdir()
  for name in (
    "text.wav",
    "song.m4a",
    "song.txt",
    ".hidden.wav",
    ".cache/a.wav",
  ):
    (folder / name).write_text("not audio at all")
  (folder / "zero.wav").touch()

  builder = build(folder, tmp_path / "out")
  found = skipped(builder)
  firsts = {name: re.split("[:;]", reason)[0] for name, reason in found.items()}
  assert firsts == {
    "cut.wav": "truncated",
    "cut.flac": "truncated or damaged",
    "none.wav": "holds no samples",
    "silent.wav": "silent",
    "short.wav": "shorter than 1 s",
    "nan.wav": "holds NaN or infinite samples",
    "loud.wav": "too loud",
    "zero.wav": "empty file",
    "text.wav": "not audio in a known format",
    "song.m4a": "not audio in a known format",
    "song.txt": "not an audio format read here (.txt)",
  }
  lines = capsys.readouterr().err.splitlines()
  for file, why in found.items():
    assert f"skipped {file}: {why}" in lines
  assert sorted(records(builder)) == ["good.wav#000", "good.wav#002"]
  counts = report(builder)
  assert (counts["silent_excerpts"], counts["short_remainders"]) == (1, 1)
  assert counts["splits"]["train"] == {"excerpts": 2, "minutes": 0.067}


def test_channels_scale_and_a_folder_for_each_form(tmp_path):
  """Float files may go beyond full scale."""
  levels = np.arange(1, 9) / 10  # of eight channels
  put(tmp_path / "in/a.wav", sine(2.0, level=1.0) * levels, subtype="FLOAT")
  put(tmp_path / "in/b.wav", sine(2.0, level=2.5), subtype="FLOAT")
  stereo = {"channels": 2, "excerpt_seconds": 1.5}
  for form, options, a, b in (
    ("overdrive", {"excerpt_seconds": 10.0}, [0.45], [2.5]),
    ("overdrive_2ch_1.5s", stereo, [0.1, 0.2], [2.5, 2.5]),
  ):
    builder = build(tmp_path / "in", tmp_path, **options)
    assert builder.data_dir == str(tmp_path / "audio_folder" / form / "1.0.0")
    for name, record in records(builder).items():
      peaks = np.abs(record["clean"] * record["peak"]).max(axis=0)
      expected = a if name.startswith("a") else b
      np.testing.assert_allclose(peaks, expected, atol=1e-3)


def test_folders_give_the_splits_and_include_chooses(tmp_path):
  """SignalTrain's layout: only the inputs are used."""
  splits = {"Train": "train", "Val": "valid", "Test": "test", "Any": "train"}
  for i, folder in enumerate(splits):
    for j, name in enumerate(("input_1_.wav", "input_2_.wav", "target_1_.wav")):
      path = tmp_path / "in/Set" / folder / name
      put(path, sine(1.5, frequency_hz=300 + 30 * i + 10 * j))
  builder = build(tmp_path / "in", tmp_path / "out", include="input_*")
  assert splits_of(builder) == {
    f"Set/{folder}/input_{number}_.wav#000": split
    for folder, split in splits.items()
    for number in (1, 2)
  }
  assert report(builder)["skipped"] == []
  names = audio_folder.list_files(tmp_path / "in/Set", "Val/*_1_*")
  assert names == ["Val/input_1_.wav", "Val/target_1_.wav"]


def test_reads_back_without_our_builder_and_without_tensorflow(tmp_path):
  put(tmp_path / "in/a.wav", sine(2.0))
  builder = build(tmp_path / "in", tmp_path / "out", task="hard_clip_sdr")
  generic = tfds.builder_from_directory(builder.data_dir)
  record = generic.as_data_source("train")[0]
  assert record["id"] == b"a.wav#000"
  result = record["clean"] * record["peak"]
  np.testing.assert_allclose(result, sine(2.0), atol=1e-4)
  task = generic.info.metadata["task"]
  assert task["evaluation_levels"] == [1, 3, 5, 7, 10, 15, 20]


def test_another_source_is_refused_until_overwritten(tmp_path):
  put(tmp_path / "b/b.wav", sine(2.0))
  path = put(tmp_path / "a/a.wav", sine(8.0))
  build(tmp_path / "a", tmp_path / "out")
  content, status = path.read_bytes(), path.stat()
  version = audio_folder.file_version(path)
  path.write_bytes(content)
  os.utime(path, (0, 0))
  build(tmp_path / "a", tmp_path / "out")  # a copy is the same recording
  for position in (24, 50, len(content) // 2, -1):  # the header, and samples
    altered = bytearray(content)
    altered[position] ^= 1
    path.write_bytes(altered)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert audio_folder.file_version(path) != version  # nor is a part of it
    with pytest.raises(UserError, match="a data set of different content;"):
      build(tmp_path / "a", tmp_path / "out")
  path.write_bytes(content)
  with pytest.raises(UserError, match="different include"):
    build(tmp_path / "a", tmp_path / "out", include="a*")
  with pytest.raises(UserError, match=r"different path, .*--overwrite"):
    build(tmp_path / "b", tmp_path / "out")
  again = build(tmp_path / "b", tmp_path / "out", overwrite=True)
  assert list(records(again)) == ["b.wav#000"]


def test_nothing_usable(tmp_path):
  put(tmp_path / "in/test/b.wav", sine(0.5))
  with pytest.raises(UserError, match="none of 1 files is usable"):
    build(tmp_path / "in", tmp_path / "out")
  put(tmp_path / "in/test/b.wav", sine(2.0))
  with pytest.raises(UserError, match="not a single excerpt to train on"):
    build(tmp_path / "in", tmp_path / "out")
  assert not [p for p in (tmp_path / "out").rglob("*") if "1.0.0" in p.name]


def test_file_names_that_are_not_unicode(tmp_path):
  name = os.fsdecode(b"caf\xe9.wav")
  put(tmp_path / "in/plain.wav", sine(2.0))
  try:
    (tmp_path / "in/plain.wav").rename(tmp_path / "in" / name)
  except OSError:
    pytest.skip("this file system only takes Unicode names")
  (tmp_path / "in" / f"{name}.txt").touch()
  builder = build(tmp_path / "in", tmp_path / "out")
  record = opening.read_split(builder, "train")[0]
  assert record["id"] == b"caf\xe9.wav#000"
  assert list(skipped(builder)) == [r"caf\xe9.wav.txt"]
