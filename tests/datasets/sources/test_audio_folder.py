"""A folder of every kind of file, good and bad, through TFDS and back."""

import json
import os
from pathlib import Path

import numpy as np
import pytest
import soundfile
import tensorflow_datasets as tfds

from distortion_removal.audio import files as audio_io
from distortion_removal.common.errors import UserError
from distortion_removal.datasets import opening, stored
from distortion_removal.datasets.preparation import write
from distortion_removal.datasets.preparation.prepare import prepare
from distortion_removal.datasets.sources import audio_folder

RATE = 16_000


def sine(seconds, rate=RATE, level=0.5, frequency_hz=440.0):
  time_s = np.arange(round(seconds * rate)) / rate
  return level * np.sin(2 * np.pi * frequency_hz * time_s)[:, None]


def put(path, audio, rate=RATE, **kwargs):
  path.parent.mkdir(parents=True, exist_ok=True)
  soundfile.write(path, audio, rate, **kwargs)
  return path


def build(path, data_dir, overwrite=False, **options):
  options = {"task": "overdrive", "excerpt_seconds": 2.0} | options
  builder = opening.open_builder(
    "audio_folder", path=str(path), data_dir=str(data_dir), **options
  )
  return prepare(builder, overwrite=overwrite)


def records(builder):
  """All records by id, and the split of each."""
  found = {}
  for split in builder.info.splits:
    for record in stored.read_split(builder, split):
      found[record["id"].decode()] = record | {"split": split}
  return found


def report(builder):
  return json.loads((Path(builder.data_dir) / "report.json").read_text())


@pytest.mark.parametrize(
  ("name", "rate", "tolerance"),
  [
    ("a.wav", 16_000, 1e-3),
    ("a.flac", 44_100, 1e-3),
    ("a.aiff", 48_000, 1e-3),
    ("a.wav", 8_000, 1e-3),
    ("a.wav", 192_000, 1e-3),
    ("a.ogg", 44_100, 2e-2),
    ("a.mp3", 44_100, 2e-2),
  ],
)
def test_sine_of_any_format_and_rate(tmp_path, name, rate, tolerance):
  """Frequency, level, and place in time, against the sine itself."""
  try:
    put(tmp_path / "in" / name, sine(5.0, rate), rate)
  except (ValueError, soundfile.LibsndfileError):
    pytest.skip(f"this libsndfile cannot write {name}")
  found = records(build(tmp_path / "in", tmp_path / "out"))
  assert sorted(found) == [f"{name}#000", f"{name}#001", f"{name}#002"]
  joined = np.concatenate(
    [found[key]["clean"] * found[key]["peak"] for key in sorted(found)]
  )
  assert joined.shape == (5 * RATE, 1)
  inner = slice(RATE // 10, -RATE // 10)  # not the resampler's onset
  expected = sine(5.0)
  np.testing.assert_allclose(joined[inner], expected[inner], atol=tolerance)


def test_peak_restores_the_scale_to_one_step(tmp_path):
  rng = np.random.default_rng(0)
  audio = (0.3 * rng.uniform(-1, 1, (2 * RATE, 1))).astype(np.float32)
  audio[5] = -2.5  # beyond full scale, as float files may be
  put(tmp_path / "in/a.wav", audio, subtype="FLOAT")
  (record,) = records(build(tmp_path / "in", tmp_path / "out")).values()
  assert record["peak"] == 2.5
  assert np.abs(record["clean"]).max() == 1.0
  np.testing.assert_allclose(
    record["clean"] * record["peak"], audio, rtol=0, atol=2.5 / 32767
  )


def test_what_cannot_be_used_is_named_with_its_reason(tmp_path, capsys):
  folder = tmp_path / "in"
  put(folder / "good.wav", sine(3.0))
  put(folder / "cut.wav", sine(3.0))
  whole = (folder / "cut.wav").read_bytes()
  (folder / "cut.wav").write_bytes(whole[:-6_000])
  put(folder / "cut.flac", sine(3.0))
  whole = (folder / "cut.flac").read_bytes()
  (folder / "cut.flac").write_bytes(whole[: len(whole) // 2])
  put(folder / "none.wav", np.zeros((0, 1)))
  put(folder / "silent.wav", sine(3.0, level=1e-3))  # −63 dBFS RMS
  put(folder / "short.wav", sine(0.9))
  nan = sine(3.0)
  nan[-1] = np.nan
  put(folder / "nan.wav", nan, subtype="FLOAT")
  (folder / "zero.wav").touch()
  (folder / "text.wav").write_text("not audio at all")
  (folder / "song.m4a").write_bytes(b"....ftypM4A ")
  (folder / ".hidden.wav").write_text("passed over")
  (folder / ".cache").mkdir()
  (folder / ".cache" / "a.wav").write_text("passed over")

  builder = build(folder, tmp_path / "out")
  found = {row["file"]: row["reason"] for row in report(builder)["skipped"]}
  flac_reason = found.pop("cut.flac")
  assert flac_reason.startswith("truncated or damaged: decoding stops at")
  assert found == {
    "cut.wav": "truncated: 90000 of 96000 bytes are there",
    "none.wav": "holds no samples",
    "silent.wav": "silent: nowhere above -60 dBFS RMS",
    "short.wav": "shorter than 1 s",
    "nan.wav": "holds NaN or infinite samples",
    "zero.wav": "empty file",
    "text.wav": "not audio in a known format",
    "song.m4a": "not an audio format read here (.m4a)",
  }
  lines = capsys.readouterr().err.splitlines()
  for file, why in found.items():
    assert f"skipped {file}: {why}" in lines
  assert sorted(records(builder)) == ["good.wav#000", "good.wav#001"]


def test_silent_excerpts_and_short_remainders_are_counted(tmp_path):
  audio = np.concatenate([sine(2.0), sine(2.0, level=1e-4), sine(2.5)])
  put(tmp_path / "in/a.wav", audio)
  builder = build(tmp_path / "in", tmp_path / "out")
  assert sorted(records(builder)) == ["a.wav#000", "a.wav#002"]
  assert report(builder)["silent_excerpts"] == 1
  assert report(builder)["short_remainders"] == 1
  assert report(builder)["splits"]["train"] == {
    "excerpts": 2,
    "minutes": 0.067,
  }


def test_channels(tmp_path):
  levels = np.arange(1, 9) / 10  # of eight channels
  put(tmp_path / "in/a.wav", sine(2.0, level=1.0) * levels, subtype="FLOAT")
  put(tmp_path / "in/b.wav", sine(2.0, level=0.3), subtype="FLOAT")

  def peaks(channels):
    found = records(build(tmp_path / "in", tmp_path, channels=channels))
    return {
      key[:5]: np.abs(record["clean"] * record["peak"]).max(axis=0)
      for key, record in found.items()
    }

  mono, stereo = peaks(1), peaks(2)
  np.testing.assert_allclose(mono["a.wav"], [0.45], atol=1e-3)
  np.testing.assert_allclose(mono["b.wav"], [0.3], atol=1e-3)
  np.testing.assert_allclose(stereo["a.wav"], [0.1, 0.2], atol=1e-3)
  np.testing.assert_allclose(stereo["b.wav"], [0.3, 0.3], atol=1e-3)


def test_folders_give_the_splits_and_include_chooses(tmp_path):
  """SignalTrain's layout: only the inputs are used."""
  folder = tmp_path / "in" / "SignalTrain"
  for i, split in enumerate(("Train", "Val", "Test")):
    for j, name in enumerate(("input_1_.wav", "input_2_.wav", "target_1_.wav")):
      put(folder / split / name, sine(1.5, frequency_hz=300 + 30 * i + 10 * j))
  put(folder / "Effects" / "input_9_.wav", sine(1.5))
  builder = build(tmp_path / "in", tmp_path / "out", include="input_*")
  found = {key: record["split"] for key, record in records(builder).items()}
  assert found == {
    "SignalTrain/Train/input_1_.wav#000": "train",
    "SignalTrain/Train/input_2_.wav#000": "train",
    "SignalTrain/Effects/input_9_.wav#000": "train",
    "SignalTrain/Val/input_1_.wav#000": "valid",
    "SignalTrain/Val/input_2_.wav#000": "valid",
    "SignalTrain/Test/input_1_.wav#000": "test",
    "SignalTrain/Test/input_2_.wav#000": "test",
  }
  assert report(builder)["skipped"] == []


def test_include_may_hold_a_folder(tmp_path):
  for name in ("a/x.wav", "b/x.wav"):
    put(tmp_path / name, sine(1.0))
  assert audio_folder.list_files(tmp_path, "b/*") == ["b/x.wav"]
  assert audio_folder.list_files(tmp_path, "*.flac") == []


def test_preparing_again_gives_the_same_bytes(tmp_path):
  for i in range(4):
    put(tmp_path / f"in/{i}.wav", sine(3.0, frequency_hz=100.0 * (i + 1)))

  def contents(builder):
    files = sorted(Path(builder.data_dir).glob("*.array_record*"))
    assert len(files) == 3
    return {file.name: file.read_bytes() for file in files}

  first = contents(build(tmp_path / "in", tmp_path / "one"))
  assert contents(build(tmp_path / "in", tmp_path / "two")) == first


def test_reads_back_without_our_builder_and_without_tensorflow(tmp_path):
  put(tmp_path / "in/a.wav", sine(2.0))
  builder = build(tmp_path / "in", tmp_path / "out", task="hard_clip_sdr")
  generic = tfds.builder_from_directory(builder.data_dir)
  record = generic.as_data_source("train")[0]
  assert record["id"] == b"a.wav#000"
  expected = sine(2.0)
  result = record["clean"] * record["peak"]
  np.testing.assert_allclose(result, expected, atol=1e-4)
  task = generic.info.metadata["task"]
  assert task["evaluation_levels"] == [1, 3, 5, 7, 10, 15, 20]


def test_configs_have_their_own_folders(tmp_path):
  put(tmp_path / "in/a.wav", sine(3.0))
  plain = build(tmp_path / "in", tmp_path, excerpt_seconds=10.0)
  other = build(
    tmp_path / "in",
    tmp_path,
    excerpt_seconds=1.5,
    sample_rate=44_100,
    channels=2,
  )
  folder = tmp_path / "audio_folder"
  assert plain.data_dir == str(folder / "overdrive/1.0.0")
  assert other.data_dir == str(folder / "overdrive_44100hz_2ch_1.5s/1.0.0")
  assert stored.read_split(other, "train")[0]["clean"].shape == (66_150, 2)


def test_another_source_is_refused_until_overwritten(tmp_path):
  put(tmp_path / "a/a.wav", sine(2.0))
  put(tmp_path / "b/b.wav", sine(2.0))
  build(tmp_path / "a", tmp_path / "out")
  assert list(records(build(tmp_path / "a", tmp_path / "out"))) == ["a.wav#000"]
  with pytest.raises(UserError, match=r"different path, files; .*--overwrite"):
    build(tmp_path / "b", tmp_path / "out")
  with pytest.raises(UserError, match="different include"):
    build(tmp_path / "a", tmp_path / "out", include="a*")
  put(tmp_path / "a/new.wav", sine(2.0))
  with pytest.raises(UserError, match="different files, content;"):
    build(tmp_path / "a", tmp_path / "out")
  again = build(tmp_path / "b", tmp_path / "out", overwrite=True)
  assert list(records(again)) == ["b.wav#000"]


@pytest.mark.parametrize("place", ["header", "start", "middle", "end"])
def test_another_take_of_equal_size_is_another_source(tmp_path, place):
  """Unlike a copy, which only differs in its time, or an older set."""
  path = put(tmp_path / "in/a.wav", sine(8.0))
  builder = build(tmp_path / "in", tmp_path / "out")
  content = bytearray(path.read_bytes())
  status = path.stat()
  path.write_bytes(content)
  os.utime(path, (0, 0))
  build(tmp_path / "in", tmp_path / "out")
  position = {"header": 24, "start": 50, "middle": len(content) // 2, "end": -1}
  content[position[place]] ^= 1
  path.write_bytes(content)
  os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
  with pytest.raises(UserError, match="a data set of different content;"):
    build(tmp_path / "in", tmp_path / "out")
  info = Path(builder.data_dir) / "metadata.json"
  stored = json.loads(info.read_text())
  del stored["source"]["content"]
  info.write_text(json.dumps(stored))
  build(tmp_path / "in", tmp_path / "out")


def test_nothing_usable(tmp_path):
  with pytest.raises(UserError, match="not a folder of recordings"):
    build(tmp_path / "none", tmp_path / "out")
  (tmp_path / "in").mkdir()
  with pytest.raises(UserError, match="none of 0 files"):
    build(tmp_path / "in", tmp_path / "out")
  (tmp_path / "in/a.wav").write_text("text")
  with pytest.raises(UserError, match=r"none of 1 files matching '\*'"):
    build(tmp_path / "in", tmp_path / "out")
  put(tmp_path / "in/test/b.wav", sine(2.0))
  with pytest.raises(UserError, match="not a single excerpt to train on"):
    build(tmp_path / "in", tmp_path / "out")
  assert not [p for p in (tmp_path / "out").rglob("*") if "1.0.0" in p.name]


def test_parts_of_another_folder_are_not_taken(tmp_path, monkeypatch):
  """Even if its files have the same names, sizes and times."""
  for folder, frequency_hz in (("one", 200.0), ("two", 300.0)):
    for i, name in enumerate(("a.wav", "b.wav", "c.wav")):
      audio = sine(2.0, frequency_hz=frequency_hz + i)
      path = put(tmp_path / folder / name, audio)
      os.utime(path, ns=(10**18, 10**18))

  def stop(*_, **__):
    raise KeyboardInterrupt

  with monkeypatch.context() as patch:
    patch.setattr(write, "write_shards", stop)
    with pytest.raises(KeyboardInterrupt):
      build(tmp_path / "one", tmp_path / "out")
  assert list((tmp_path / "out").rglob("*.records"))
  found = build(tmp_path / "two", tmp_path / "out")
  expected = build(tmp_path / "two", tmp_path / "alone")
  first, second = (
    stored.read_split(builder, "train")[0]["clean"]
    for builder in (found, expected)
  )
  np.testing.assert_array_equal(first, second)


@pytest.mark.parametrize("error", [KeyboardInterrupt, OSError(28, "full")])
def test_interrupted_preparation_resumes(tmp_path, monkeypatch, error):
  """What was read is not read again, unless it is another file by then."""
  for i, name in enumerate(("a.wav", "b.wav", "c.wav", "d.wav")):
    put(tmp_path / "in" / name, sine(2.0, frequency_hz=200.0 + i))
  (tmp_path / "in/0.wav").write_text("no audio")
  open_reader = audio_io.open_reader
  opened = []

  def fail_late(path):
    opened.append(path.name)
    if opened[-1] == "c.wav" and opened.count("c.wav") == 1:
      raise error
    return open_reader(path)

  monkeypatch.setattr(audio_io, "open_reader", fail_late)
  with pytest.raises(type(error) if isinstance(error, OSError) else error):
    build(tmp_path / "in", tmp_path / "out")
  assert not [p for p in (tmp_path / "out").rglob("*") if "1.0.0" in p.name]
  (tmp_path / "out/audio_folder/overdrive_2s/parts/x.records").write_text(
    "half"
  )
  put(tmp_path / "in/b.wav", sine(2.0, frequency_hz=250.0))
  found = records(build(tmp_path / "in", tmp_path / "out"))
  assert opened == [
    "0.wav",
    "a.wav",
    "b.wav",
    "c.wav",
    "0.wav",  # It may be readable by now.
    "b.wav",
    "c.wav",
    "d.wav",
  ]
  assert not (tmp_path / "out/audio_folder/overdrive_2s/parts").exists()
  monkeypatch.undo()
  untroubled = records(build(tmp_path / "in", tmp_path / "other"))
  assert found.keys() == untroubled.keys()
  for key, record in found.items():
    np.testing.assert_array_equal(record["clean"], untroubled[key]["clean"])


def test_the_same_recording_under_two_names_is_not_trained_on(tmp_path):
  for name in ("train/a.wav", "train/b.wav", "valid/c.wav"):
    put(tmp_path / "in" / name, sine(4.0, frequency_hz=100.3 + ord(name[-5])))
  audio, _ = soundfile.read(tmp_path / "in/train/a.wav")
  other = sine(2.0, frequency_hz=90.0)[:, 0]
  put(
    tmp_path / "in/test/copy.flac", np.concatenate([other, audio[: 2 * RATE]])
  )
  builder = build(tmp_path / "in", tmp_path / "out")
  found = {key: record["split"] for key, record in records(builder).items()}
  assert "train/a.wav#000" not in found
  assert found["train/a.wav#001"] == "train"
  assert found["test/copy.flac#001"] == "test"
  assert report(builder)["leaks"] == [
    {
      "excerpt": "train/a.wav#000",
      "split": "train",
      "same_as": "test/copy.flac#001",
      "in": "test",
    }
  ]


def test_file_names_that_are_not_unicode(tmp_path):
  name = os.fsdecode(b"caf\xe9.wav")
  put(tmp_path / "in/plain.wav", sine(2.0))
  try:
    (tmp_path / "in/plain.wav").rename(tmp_path / "in" / name)
  except OSError:
    pytest.skip("this file system only takes Unicode names")
  builder = build(tmp_path / "in", tmp_path / "out")
  record = stored.read_split(builder, "train")[0]
  assert record["id"] == b"caf\xe9.wav#000"
