"""A folder of pairs, good and bad, through TFDS and back."""

import numpy as np
import pytest
import scipy.signal
import soxr
from prepared import build as build_any
from prepared import put as put_any
from prepared import records, skipped, splits_of

from distortion_removal.common.errors import UserError

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
  put_any(folder / name, audio, rate, subtype="FLOAT")


def build(folder, data_dir):
  form = {"sample_rate": RATE, "excerpt_seconds": 2.0}
  return build_any("paired_folder", data_dir, path=str(folder), **form)


def test_pairs_are_stored_aligned_upright_and_as_loud(tmp_path):
  clean = take(0, seconds=3.5)
  put(tmp_path / "in", "train/riff_input.wav", clean)
  put(tmp_path / "in", "train/riff_fuzz box.wav", pedal(clean))
  put(tmp_path / "in", "train/riff_amp.wav", 0.5 * clean[100:])
  found = records(build(tmp_path / "in", tmp_path / "out"))
  amp, fuzz = "train/riff_amp.wav", "train/riff_fuzz box.wav"
  assert sorted(found) == [f"{x}#00{i}" for x in (amp, fuzz) for i in range(2)]
  for record in found.values():
    assert [np.abs(record[k]).max() for k in ("clean", "degraded")] == [1, 1]

  clipped = np.clip(6 * clean, -1, 1)
  gain = np.sqrt(np.sum(clean**2) / np.sum(clipped**2))
  for name, side, peak, expected, atol in (
    # The amplifier's recording began 100 samples late and only was quieter.
    (amp, "clean", "peak", clean[100:], 2e-4),
    (amp, "degraded", "degraded_peak", clean[100:], 2e-4),
    (fuzz, "clean", "peak", clean, 1e-4),
    (fuzz, "degraded", "degraded_peak", gain * clipped, 2e-4),
  ):
    parts = [found[f"{name}#00{i}"] for i in range(2)]
    joined = np.concatenate([part[side][:, 0] * part[peak] for part in parts])
    np.testing.assert_allclose(joined, expected, atol=atol)
  for name, lag, polarity, undone in (
    (amp, -100, 1, 2),
    (fuzz, 25, -1, gain / 0.3),
  ):
    facts = found[f"{name}#001"]
    assert (facts["lag_samples"], facts["polarity"]) == (lag, polarity)
    assert facts["gain_db"] == pytest.approx(20 * np.log10(undone), abs=0.01)
  facts = found[f"{amp}#001"]
  assert facts["residual_db"] < -60
  assert facts["clarity"] > 30
  assert facts["rival"] < 0.5


def test_a_folder_without_pairs_tells_how_names_pair(tmp_path):
  put(tmp_path / "in", "dry.wav", take(0))
  with pytest.raises(UserError, match=r"no two names pair; .*riff_input\.wav"):
    build(tmp_path / "in", tmp_path / "out")


def test_what_cannot_be_mended_is_listed_and_not_stored(tmp_path, capsys):
  clean, good = take(0, seconds=20.0), take(1)
  for name, audio in {
    "good_input": good,
    "good_amp": pedal(good),
    "good_late": np.pad(good, (RATE, 0)),
    "bad_input": clean,
    "bad_drift": soxr.resample(clean, 1e6, 1e6 + 50),
    "bad_other": take(2, seconds=20.0),
    "bad_silent": np.zeros(20 * RATE),
    "lone_amp": good,
    "lonely_input": good,
  }.items():
    put(tmp_path / "in", f"{name}.wav", audio)
  (tmp_path / "in" / "bad_text.txt").write_text("not audio")
  builder = build(tmp_path / "in", tmp_path / "out")
  stored = {name.partition("#")[0] for name in records(builder)}
  assert stored == {"good_amp.wav"}
  expected = {
    "good_late.wav": "no lag fits, of up to 0.5 s",
    "bad_drift.wav": "the lag does not stay",
    "bad_other.wav": "",
    "bad_silent.wav": "silent",
    "bad_text.txt": "not an audio format",
    "lone_amp.wav": "no partner",
    "lonely_input.wav": "no partner",
  }
  reasons = skipped(builder)
  assert reasons.keys() == expected.keys()
  for name, reason in expected.items():
    assert reason in reasons[name]
  assert reasons["bad_other.wav"].startswith(("no lag fits", "ambiguous"))
  assert "skipped bad_drift.wav" in capsys.readouterr().err


def test_all_outputs_of_an_input_are_on_one_side(tmp_path):
  folder = tmp_path / "in"
  for i in range(10):
    clean = take(i, seconds=2.2)
    put(folder, f"{i:02d}_input.wav", clean)
    # One is a sample early: its excerpts of the input are other ones.
    for k, device in enumerate(("a", "b")):
      put(folder, f"{i:02d}_{device}.wav", np.tanh(3 * clean)[k:])
  sides = {}
  for name, split in splits_of(build(folder, tmp_path / "out")).items():
    sides.setdefault(name.partition("_")[0], set()).add(split)
  assert len(sides) == 10
  assert all(len(side) == 1 for side in sides.values())
  assert set.union(*sides.values()) == {"train", "valid", "test"}
  pins = folder / "splits.csv"
  pins.write_text("file,group,split\n00_b.wav,other,test\n")
  with pytest.raises(UserError, match=r"outputs of 00_input\.wav are in two"):
    build(folder, tmp_path / "again")
  pins.unlink()
  put(folder, "test/di.wav", take(0))
  table = "input,output\n00_input.wav,00_a.wav\n00_input.wav,test/di.wav\n"
  (folder / "pairs.csv").write_text(table)
  with pytest.raises(UserError, match=r"'00_input\.wav': .* for test"):
    build(folder, tmp_path / "again")


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
  assert splits_of(builder) == {
    f"amp/{i}.wav#00{k}": split
    for i, split in enumerate(("test", "test", "valid", "train"))
    for k in (0, 1)
  }
  assert skipped(builder) == {}
  # The table belongs to the source: a group of another name is another set.
  (folder / "pairs.csv").write_text("\n".join(lines).replace("anna", "nina"))
  with pytest.raises(UserError, match=r"different .*pairs"):
    build(folder, tmp_path / "out")


def test_sides_of_other_rates_and_channels_become_one_form(tmp_path):
  rate, (left, right) = 44_100, (take(i, rate=44_100) for i in range(2))
  put(tmp_path / "in", "a_input.wav", np.stack([left, right], 1), rate)
  mixed = soxr.resample((left + right) / 2, rate, 22_050, quality="VHQ")
  put(tmp_path / "in", "a_amp.wav", mixed, 22_050)
  found = records(build(tmp_path / "in", tmp_path / "out")).values()
  for record, length in zip(found, (2 * RATE, RATE), strict=True):
    assert record["clean"].shape == record["degraded"].shape == (length, 1)
    degraded = record["degraded"] * record["degraded_peak"]
    clean = record["clean"] * record["peak"]
    np.testing.assert_allclose(clean[50:-50], degraded[50:-50], atol=2e-3)
