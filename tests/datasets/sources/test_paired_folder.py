"""A folder of pairs, good and bad, through TFDS and back."""

import json
from pathlib import Path

import numpy as np
import pytest
import scipy.signal
import soundfile
import soxr

from distortion_removal.common.errors import UserError
from distortion_removal.datasets import opening, stored
from distortion_removal.datasets.preparation.prepare import prepare

RATE = 8_000


def take(seed, seconds=3.0, rate=RATE):
  """Bursts of decaying noise, `[time]`, with a peak of 0.5."""
  rng = np.random.default_rng(seed)
  time_s = np.arange(round(seconds * rate)) / rate
  audio = rng.standard_normal(len(time_s)) * np.exp(-4 * (time_s % 0.5))
  audio = scipy.signal.sosfilt(scipy.signal.butter(2, 0.3, output="sos"), audio)
  return 0.5 * audio / np.abs(audio).max()


def pedal(audio):
  """Clips, inverts, and comes 25 samples late."""
  return -0.3 * np.pad(np.clip(6 * audio, -1, 1), (25, 0))


def put(folder, name, audio, rate=RATE):
  path = folder / name
  path.parent.mkdir(parents=True, exist_ok=True)
  soundfile.write(path, audio, rate, subtype="FLOAT")


def build(folder, data_dir):
  builder = opening.open_builder(
    "paired_folder",
    data_dir=str(data_dir),
    sample_rate=RATE,
    excerpt_seconds=2.0,
    path=str(folder),
  )
  return prepare(builder)


def records(builder):
  """All records by id, and the split of each."""
  return {
    record["id"].decode(): record | {"split": split}
    for split in builder.info.splits
    for record in stored.read_split(builder, split)
  }


def skipped(builder):
  report = json.loads((Path(builder.data_dir) / "report.json").read_text())
  return {entry["file"]: entry["reason"] for entry in report["skipped"]}


def test_pairs_are_stored_aligned_upright_and_as_loud(tmp_path):
  clean = take(0, seconds=3.5)
  put(tmp_path / "in", "train/riff_input.wav", clean)
  put(tmp_path / "in", "train/riff_fuzz box.wav", pedal(clean))
  put(tmp_path / "in", "train/riff_amp.wav", 0.5 * clean[100:])
  found = records(build(tmp_path / "in", tmp_path / "out"))
  names = ["train/riff_amp.wav", "train/riff_fuzz box.wav"]
  assert sorted(found) == [f"{name}#00{i}" for name in names for i in range(2)]
  sides = {
    name: [
      np.concatenate(
        [
          found[f"{name}#00{i}"][side][:, 0] * found[f"{name}#00{i}"][peak]
          for i in range(2)
        ]
      )
      for side, peak in (("clean", "peak"), ("degraded", "degraded_peak"))
    ]
    for name in names
  }
  # The amplifier's recording began 100 samples late and only was quieter.
  for side in sides[names[0]]:
    np.testing.assert_allclose(side, clean[100:], atol=2e-4)
  stored, fuzz = sides[names[1]]
  np.testing.assert_allclose(stored, clean, atol=1e-4)
  clipped = np.clip(6 * clean, -1, 1)
  gain = np.sqrt(np.sum(clean**2) / np.sum(clipped**2))
  np.testing.assert_allclose(fuzz, gain * clipped, atol=2e-4)
  for record in found.values():
    assert np.abs(record["clean"]).max() == 1
    assert np.abs(record["degraded"]).max() == 1
  fuzz = found[f"{names[1]}#000"]
  assert (fuzz["lag_samples"], fuzz["polarity"]) == (25, -1)
  assert fuzz["gain_db"] == pytest.approx(20 * np.log10(gain / 0.3), abs=0.01)
  amp = found[f"{names[0]}#001"]
  assert (amp["lag_samples"], amp["polarity"]) == (-100, 1)
  assert amp["gain_db"] == pytest.approx(20 * np.log10(2), abs=0.01)
  assert amp["residual_db"] < -60
  assert amp["clarity"] > 30
  assert amp["rival"] < 0.5


def test_without_a_task_nothing_is_applied_on_the_fly(tmp_path):
  builder = opening.open_builder("paired_folder", data_dir=str(tmp_path))
  assert builder.builder_config.task.effect == "recorded"
  assert "--task=recorded" in stored.prepare_command(builder)


def test_a_folder_without_pairs_tells_how_names_pair(tmp_path):
  for name in ("dry.wav", "wet.wav"):
    put(tmp_path / "in", name, take(0))
  with pytest.raises(UserError, match=r"no two names pair; .*riff_input\.wav"):
    build(tmp_path / "in", tmp_path / "out")


def test_a_lag_beyond_the_limit_names_it(tmp_path):
  clean = take(0)
  put(tmp_path / "in", "good_input.wav", clean)
  put(tmp_path / "in", "good_amp.wav", clean)
  put(tmp_path / "in", "good_late.wav", np.pad(clean, (RATE, 0)))
  reasons = skipped(build(tmp_path / "in", tmp_path / "out"))
  assert list(reasons) == ["good_late.wav"]
  assert "no lag fits, of up to 0.5 s" in reasons["good_late.wav"]


def test_what_cannot_be_mended_is_listed_and_not_stored(tmp_path, capsys):
  clean = take(0, seconds=20.0)
  good = take(1)
  put(tmp_path / "in", "good_input.wav", good)
  put(tmp_path / "in", "good_amp.wav", pedal(good))
  put(tmp_path / "in", "bad_input.wav", clean)
  put(tmp_path / "in", "bad_drift.wav", soxr.resample(clean, 1e6, 1e6 + 50))
  put(tmp_path / "in", "bad_other.wav", take(2, seconds=20.0))
  put(tmp_path / "in", "bad_silent.wav", np.zeros(20 * RATE))
  (tmp_path / "in" / "bad_text.txt").write_text("not audio")
  put(tmp_path / "in", "lone_amp.wav", good)
  put(tmp_path / "in", "lonely_input.wav", good)
  builder = build(tmp_path / "in", tmp_path / "out")
  assert {name.partition("#")[0] for name in records(builder)} == {
    "good_amp.wav"
  }
  reasons = skipped(builder)
  assert sorted(reasons) == [
    "bad_drift.wav",
    "bad_other.wav",
    "bad_silent.wav",
    "bad_text.txt",
    "lone_amp.wav",
    "lonely_input.wav",
  ]
  assert "the lag does not stay" in reasons["bad_drift.wav"]
  unrelated = reasons["bad_other.wav"]
  assert unrelated.startswith(("no lag fits", "ambiguous"))
  assert "silent" in reasons["bad_silent.wav"]
  assert "not an audio format" in reasons["bad_text.txt"]
  for name in ("lone_amp.wav", "lonely_input.wav"):
    assert "no partner" in reasons[name]
  assert "skipped bad_drift.wav" in capsys.readouterr().err


def _many(folder, count=24):
  for i in range(count):
    clean = take(i)
    put(folder, f"{i:02d}_input.wav", clean)
    # One is a sample early: its excerpts of the input are other ones.
    for k, device in enumerate(("a", "b")):
      put(folder, f"{i:02d}_{device}.wav", np.tanh(3 * clean)[k:])


def test_all_outputs_of_an_input_are_on_one_side(tmp_path):
  _many(tmp_path / "in")
  found = records(build(tmp_path / "in", tmp_path / "out"))
  sides = {}
  for name, record in found.items():
    sides.setdefault(name.partition("_")[0], set()).add(record["split"])
  assert len(sides) == 24
  assert all(len(side) == 1 for side in sides.values())
  assert set.union(*sides.values()) == {"train", "valid", "test"}


def test_a_table_and_pins_decide(tmp_path):
  folder = tmp_path / "in"
  lines = ["input,output,group"]
  for i, group in enumerate(["anna", "anna", "ben", "cleo"]):
    clean = take(i)
    put(folder, f"di {i}.wav", clean)
    put(folder, f"amp/{i}.wav", pedal(clean))
    lines.append(f"di {i}.wav,amp/{i}.wav,{group}")
  (folder / "pairs.csv").write_text("\n".join(lines))
  pins = "file,group,split\n,anna,test\n,ben,valid\n"
  (folder / "splits.csv").write_text(pins)
  builder = build(folder, tmp_path / "out")
  split_of = {
    name.partition("#")[0]: record["split"]
    for name, record in records(builder).items()
  }
  assert split_of == {
    "amp/0.wav": "test",
    "amp/1.wav": "test",
    "amp/2.wav": "valid",
    "amp/3.wav": "train",
  }
  assert skipped(builder) == {}
  # The table belongs to the source: a group of another name is another set.
  (folder / "pairs.csv").write_text("\n".join(lines).replace("anna", "nina"))
  with pytest.raises(UserError, match=r"different .*pairs"):
    build(folder, tmp_path / "out")


def test_outputs_of_an_input_in_two_groups_are_told(tmp_path):
  _many(tmp_path / "in", count=2)
  pins = "file,group,split\n00_b.wav,other,test\n"
  (tmp_path / "in" / "splits.csv").write_text(pins)
  with pytest.raises(UserError, match=r"outputs of 00_input\.wav are in two"):
    build(tmp_path / "in", tmp_path / "out")


def test_sides_of_other_rates_and_channels_become_one_form(tmp_path):
  rate, (left, right) = 44_100, (take(i, rate=44_100) for i in range(2))
  put(tmp_path / "in", "a_input.wav", np.stack([left, right], 1), rate)
  mixed = soxr.resample((left + right) / 2, rate, 22_050, quality="VHQ")
  put(tmp_path / "in", "a_amp.wav", mixed, 22_050)
  (first, second) = records(build(tmp_path / "in", tmp_path / "out")).values()
  assert first["clean"].shape == first["degraded"].shape == (2 * RATE, 1)
  assert second["clean"].shape == second["degraded"].shape == (RATE, 1)
  inner = slice(50, -50)
  np.testing.assert_allclose(
    (first["clean"] * first["peak"])[inner],
    (first["degraded"] * first["degraded_peak"])[inner],
    atol=2e-3,
  )
