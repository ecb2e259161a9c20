"""Declipping files: exact cuts, samples that stay, formats, rails."""

import logging
import tracemalloc

import numpy as np
import pytest
import soundfile

from distortion_removal import declipping
from distortion_removal.common.errors import UserError
from distortion_removal.declipping.clip_level import clip_signs, resolve_rails
from distortion_removal.declipping.spade import solver
from distortion_removal.inference import declip
from distortion_removal.inference.declip import declip_file, survey

RATE = 8_000
SMALL = {"frame": 64, "hop": 16}


def _tones(seconds=0.5, channels=1, peak=0.9):
  """Two partials of another pitch in each channel, `[time, channels]`."""
  time = np.arange(round(seconds * RATE))[:, None] / RATE
  pitch_hz = 440.0 * (1.0 + 0.3 * np.arange(channels))
  phase = 2 * np.pi * pitch_hz * time
  return peak * (0.8 * np.sin(phase) + 0.2 * np.sin(3.1 * phase))


def _snr_db(estimate, target):
  noise = np.sum(np.square(estimate - target, dtype=np.float64))
  return 10 * np.log10(np.sum(np.square(target)) / noise)


@pytest.fixture(autouse=True)
def _small_set(monkeypatch):
  """Four frames at a time compile in a third of the time of 128."""
  monkeypatch.setattr(solver, "_CPU", (0, 4, 4))


@pytest.fixture
def paths(tmp_path):
  """A source and a target."""
  return tmp_path / "in.wav", tmp_path / "out.wav"


@pytest.fixture
def use(monkeypatch):
  """Makes the declipper of every name a gain on the clipped samples."""

  def make(gain=1.5):
    calls = []

    def scale(
      audio, clip_level=None, *, frame=64, hop=16, show_progress=False, **_
    ):
      assert audio.dtype == np.float64
      if audio.shape[1]:  # and not merely a check of the options
        calls.append({"frame": frame, "hop": hop, "clip_level": clip_level})
      rails = resolve_rails(audio, clip_level)
      is_clipped = clip_signs(audio, rails) != 0
      return np.where(is_clipped, gain * audio, audio), None

    monkeypatch.setattr(declipping, "declipper", lambda name: scale)
    monkeypatch.setattr(declipping, "check_options", lambda *_: None)
    return calls

  return make


@pytest.mark.e2e
@pytest.mark.parametrize("method", ["aspade", "sspade"])
def test_a_file_equals_its_audio_at_once(paths, monkeypatch, method):
  """Chunks are cut where they are exact, whatever their number."""
  monkeypatch.setattr(declip, "_CHUNK", 1)
  clean = _tones(channels=2)
  audio = np.clip(clean, -0.6, 0.5)
  soundfile.write(paths[0], audio, RATE, subtype="DOUBLE")
  options = {"frame": 128, "hop": 32, "precision": "float64"}
  line = declip_file(*paths, method, **options)
  expected, _ = declipping.declipper(method)(audio[None], **options)
  restored, _ = soundfile.read(paths[1])
  assert soundfile.info(paths[1]).subtype == "DOUBLE"
  np.testing.assert_allclose(restored, expected[0], atol=1e-12)
  assert _snr_db(restored, clean) > _snr_db(audio, clean) + 6.0
  is_clipped = (audio == -0.6) | (audio == 0.5)
  np.testing.assert_array_equal(restored[~is_clipped], audio[~is_clipped])
  assert line == (
    f"clipped at -0.6 and 0.5: {100 * np.mean(is_clipped):.3g} % of the "
    "samples; 100 % of the clipped frames converged"
  )


def test_social_sparsity_fades_between_chunks(paths, monkeypatch):
  monkeypatch.setattr(declip, "_CHUNK", 1)
  clean = _tones()
  audio = np.float32(np.clip(clean, -0.5, 0.5))
  soundfile.write(paths[0], audio, RATE, subtype="FLOAT")
  options = SMALL | {"lambdas": (0.1, 0.01, 0.001), "iterations": 100}
  declip_file(*paths, "social_sparsity", **options)
  restored, _ = soundfile.read(paths[1], always_2d=True, dtype="float32")
  assert restored.shape == audio.shape
  assert _snr_db(restored, clean) > _snr_db(audio, clean) + 6.0


@pytest.mark.parametrize(
  "subtype", ["PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE"]
)
def test_reliable_samples_stay_to_the_bit(paths, subtype):
  """At the default precision, below that of three of the formats."""
  clean = _tones(channels=2, peak=0.7)
  audio = clean.copy()
  audio[:, 0] = np.clip(audio[:, 0], -0.5, 0.6)
  soundfile.write(paths[0], audio, RATE, subtype=subtype)
  declip_file(*paths, "aspade", **SMALL)
  before, after = (soundfile.read(path)[0] for path in paths)
  info = soundfile.info(paths[1])
  assert (info.samplerate, info.frames) == (RATE, len(audio))
  assert info.subtype == subtype
  np.testing.assert_array_equal(after[:, 1], before[:, 1])
  low, high = before[:, 0].min(), before[:, 0].max()
  is_reliable = (low < before[:, 0]) & (before[:, 0] < high)
  np.testing.assert_array_equal(after[is_reliable], before[is_reliable])
  assert _snr_db(after, clean) > _snr_db(before, clean) + 6.0


@pytest.mark.parametrize("subtype", ["PCM_16", "PCM_24", "PCM_32", "DOUBLE"])
def test_a_recording_that_is_not_clipped_stays_to_the_bit(paths, subtype):
  soundfile.write(paths[0], _tones(channels=2), RATE, subtype=subtype)
  line = declip_file(*paths, "aspade")
  before, after = (soundfile.read(path)[0] for path in paths)
  np.testing.assert_array_equal(after, before)
  assert soundfile.info(paths[1]).subtype == subtype
  assert line.startswith("nothing is clipped, the result is the input; ")
  assert f"its peak is {np.abs(before).max():.6g}: " in line
  assert "--clip-level" in line
  # A level that nothing reaches is no other case.
  assert declip_file(*paths, "aspade", 0.95) == line


def test_silence_stays(paths):
  soundfile.write(paths[0], np.zeros((1_000, 1)), RATE)
  assert "nothing is clipped" in declip_file(*paths, "aspade")
  assert not soundfile.read(paths[1])[0].any()


@pytest.mark.parametrize(
  ("subtype", "name", "changes"),
  [
    ("DOUBLE", "out.wav", ""),
    ("FLOAT", "out.wav", ", as FLOAT"),
    ("PCM_16", "out.wav", " but 3.5 dB quieter, as PCM_16"),
    (None, "out.mp3", " but 3.5 dB quieter, as .mp3"),
  ],
)
def test_changes_of_the_input_are_reported(paths, subtype, name, changes):
  audio = _tones(peak=1.0)
  audio *= 1.5 / np.abs(audio).max()
  soundfile.write(paths[0], audio, RATE, subtype="DOUBLE")
  target = paths[1].with_name(name)
  line = declip_file(paths[0], target, "aspade", subtype=subtype)
  wanted = f"nothing is clipped, the result is the input{changes}; its peak is"
  assert line.startswith(wanted)


@pytest.mark.parametrize("subtype", ["PCM_16", "FLOAT"])
def test_integer_formats_are_kept_from_clipping(use, paths, caplog, subtype):
  use(gain=1.5)
  audio = np.clip(_tones(), -0.75, 0.75)
  soundfile.write(paths[0], audio, RATE, subtype="FLOAT")
  declip_file(*paths, "aspade", subtype=subtype)
  restored, _ = soundfile.read(paths[1], always_2d=True)
  wanted = np.where(np.abs(audio) >= 0.75, 1.5 * audio, audio)
  warnings = [r for r in caplog.records if r.levelno == logging.WARNING]
  if subtype == "FLOAT":
    assert not warnings
  else:
    wanted /= 1.125
    assert "is 1.0 dB quieter" in warnings[0].getMessage()
    assert "--subtype=FLOAT" in warnings[0].getMessage()
  np.testing.assert_allclose(restored, wanted, atol=4e-5)


def test_double_loses_nothing(use, paths):
  """A gain that float32 does not know, on samples that it does not know."""
  gain = 1.0 + 1e-12
  use(gain)
  audio = np.clip(_tones(), -0.7, 0.7)
  soundfile.write(paths[0], audio, RATE, subtype="DOUBLE")
  declip_file(*paths, "aspade")
  restored, _ = soundfile.read(paths[1], always_2d=True)
  is_clipped = np.abs(audio) == 0.7
  np.testing.assert_array_equal(
    restored, np.where(is_clipped, gain * audio, audio)
  )


@pytest.mark.parametrize(
  ("level", "low", "high"), [(0.3, -0.3, 0.3), ((-0.2, np.inf), -0.2, np.inf)]
)
def test_a_level_that_is_given(use, paths, level, low, high):
  use(gain=1.5)
  audio = _tones(channels=2)
  soundfile.write(paths[0], audio, RATE, subtype="FLOAT")
  declip_file(*paths, "aspade", level)
  restored, _ = soundfile.read(paths[1], always_2d=True)
  is_clipped = (audio <= low) | (audio >= high)
  expected = np.where(is_clipped, 1.5 * audio, audio)
  np.testing.assert_allclose(restored, expected, atol=1e-6)


@pytest.mark.parametrize(
  ("level", "levels", "low"),
  [
    (0.3, f"-0.3 and {9830 / 32768:.6g}", -0.3),
    ((-np.inf, 0.3), f"{9830 / 32768:.6g}", -np.inf),
  ],
)
def test_a_level_that_rounding_moved(paths, level, levels, low):
  """0.3 is 9830.4 steps of 16 bit; the file's plateau above is at 9830.

  The file is longer than a block, and the plateau in its first one only.
  """
  audio = np.clip(_tones(seconds=10.0), low, 0.3)
  audio[RATE:] *= 0.5
  soundfile.write(paths[0], audio, RATE)
  clipping = survey(paths[0], level)
  assert clipping.levels == levels
  assert clipping.count == np.sum((audio == 0.3) | (audio == low))


def test_rails_of_each_channel_are_found_and_named(use, paths):
  calls = use()
  audio = _tones(channels=3)
  audio[:, 0] = np.clip(audio[:, 0], -0.4, 0.4)
  audio[:, 2] = np.minimum(audio[:, 2], 0.25)
  soundfile.write(paths[0], audio, RATE, subtype="DOUBLE")
  line = declip_file(*paths, "aspade")
  levels = "-0.4 and 0.4 (channel 1); no level (channel 2); 0.25 (channel 3)"
  assert line.startswith(f"clipped at {levels}: ")
  found = calls[0]["clip_level"]
  np.testing.assert_array_equal(found.low, [[-0.4, -np.inf, -np.inf]])
  np.testing.assert_array_equal(found.high, [[0.4, np.inf, 0.25]])
  clipping = survey(paths[0])
  assert clipping.count == np.sum(np.abs(audio[:, 0]) == 0.4) + np.sum(
    audio[:, 2] == 0.25
  )
  assert clipping.peak == np.abs(audio).max()


@pytest.mark.parametrize(
  ("level", "is_low"),
  [
    (0.8, True),
    ((-0.8, np.inf), True),
    ((-np.inf, 0.8), True),
    (0.8995, False),
    (0.95, False),
  ],
)
def test_a_level_clearly_below_the_peak_causes_a_warning(
  paths, caplog, level, is_low
):
  audio = _tones(channels=2)
  audio *= 0.9 / np.abs(audio).max(axis=0) * [1, -1]
  soundfile.write(paths[0], audio, RATE, subtype="DOUBLE")
  survey(paths[0], level)
  assert len(caplog.messages) == is_low
  for message in caplog.messages:
    assert message.startswith(f"{paths[0]}: ")
    assert message.endswith("the peak is 0.9")


def test_a_hop_is_a_quarter_of_the_frame(use, paths):
  calls = use()
  soundfile.write(paths[0], np.clip(_tones(), -0.5, 0.5), RATE)
  for options in ({}, {"frame": 128}, {"frame": 128, "hop": 64}, {"hop": 8}):
    declip_file(*paths, "aspade", **options)
  found = [(call["frame"], call["hop"]) for call in calls]
  assert found == [(64, 16), (128, 32), (128, 64), (64, 8)]


def test_memory_does_not_grow_with_the_length(use, paths):
  use()
  block = np.clip(np.sin(np.arange(44_100) / 10), -0.5, 0.5)
  most = {}
  for seconds in (30, 75):
    with soundfile.SoundFile(paths[0], "w", 44_100, 2) as file:
      for _ in range(seconds):
        file.write(0.3 * np.stack([block, block], axis=1))
    tracemalloc.start()
    declip_file(*paths, "aspade")
    _, most[seconds] = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert soundfile.info(paths[1]).frames == seconds * 44_100
  assert most[75] < 1.1 * most[30]


@pytest.mark.parametrize("is_clipped", [False, True])
def test_mistakes_are_refused_before_any_work(paths, monkeypatch, is_clipped):
  audio = np.clip(_tones(), -1 + 0.5 * is_clipped, 1)
  soundfile.write(paths[0], audio, RATE)
  monkeypatch.setattr(declip, "survey", None)
  for options in ({"hop": 300}, {"epsilon": 0.0}, {"clip_level": -1.0}):
    with pytest.raises(UserError, match=r"hop|epsilon|level"):
      declip_file(*paths, "sspade", **options)
