"""Declipping files: exact cuts, samples that stay, formats, rails."""

import functools
import logging
import tracemalloc

import numpy as np
import pytest
import soundfile
from conftest import files_of

from distortion_removal import declipping
from distortion_removal.common.errors import UserError
from distortion_removal.declipping import clip_level as rails
from distortion_removal.inference import declip, survey

RATE = 44_100
# A-SPADE in small; it lets four coefficients in at a time.
SMALL = {"frame": 256, "hop": 64, "s": 4}


def _tones(seconds=0.1, channels=1, peak=0.9):
  """Two partials of another pitch in each channel, `[time, channels]`."""
  time = np.arange(round(seconds * RATE))[:, None] / RATE
  pitch_hz = 880.0 * (1.0 + 0.3 * np.arange(channels))
  phase = 2 * np.pi * pitch_hz * time
  return peak * (0.8 * np.sin(phase) + 0.2 * np.sin(3.1 * phase))


def _snr_db(estimate, target):
  noise = np.sum(np.square(estimate - target, dtype=np.float64))
  return 10 * np.log10(np.sum(np.square(target)) / noise)


@pytest.fixture
def use(monkeypatch):
  """Makes the declipper of every name a gain on the clipped samples."""

  def make(gain=1.5):
    calls = []

    def scale(
      audio,
      clip_level=None,
      *,
      frame=64,
      hop=16,
      crossfade=0,
      precision="float32",
      show_progress=False,
    ):
      assert audio.dtype == np.float64
      if audio.shape[1]:  # and not merely a check of the options
        calls.append({"frame": frame, "hop": hop, "clip_level": clip_level})
      found = rails.resolve(audio, clip_level)
      clipped = rails.signs(audio, found) != 0
      return np.where(clipped, gain * audio, audio).astype(audio.dtype), None

    monkeypatch.setattr(declipping, "declipper", lambda name: scale)
    return calls

  return make


@pytest.mark.parametrize("method", ["aspade", "sspade"])
@pytest.mark.parametrize("channels", [1, 2])
def test_a_file_equals_its_audio_at_once(
  tmp_path, monkeypatch, method, channels
):
  """Chunks are cut where they are exact, whatever their number."""
  monkeypatch.setattr(declip, "_CHUNK", 1)
  clean = _tones(seconds=0.15, channels=channels)
  audio = np.clip(clean, -0.6, 0.5)
  soundfile.write(tmp_path / "in.wav", audio, RATE, subtype="DOUBLE")
  options = SMALL | {"precision": "float64"}
  line = declip.restore(
    tmp_path / "in.wav", tmp_path / "out.wav", method, **options
  )
  expected, _ = declipping.declipper(method)(audio[None], **options)
  restored, _ = soundfile.read(tmp_path / "out.wav", always_2d=True)
  assert soundfile.info(tmp_path / "out.wav").subtype == "DOUBLE"
  np.testing.assert_allclose(restored, expected[0], atol=1e-12)
  assert _snr_db(restored, clean) > _snr_db(audio, clean) + 6.0
  share = 100 * np.mean((audio == -0.6) | (audio == 0.5))
  assert line == (
    f"clipped at -0.6 and 0.5: {share:.3g} % of the samples; 100 % of the "
    "clipped frames converged"
  )


def test_social_sparsity_fades_between_chunks(tmp_path, monkeypatch):
  monkeypatch.setattr(declip, "_CHUNK", 1)
  clean = _tones(seconds=0.5)
  audio = np.float32(np.clip(clean, -0.5, 0.5))
  soundfile.write(tmp_path / "in.wav", audio, RATE, subtype="FLOAT")
  source, target = tmp_path / "in.wav", tmp_path / "out.wav"
  declip.restore(source, target, "social_sparsity", frame=256, hop=64)
  restored, _ = soundfile.read(target, always_2d=True, dtype="float32")
  assert restored.shape == audio.shape
  assert _snr_db(restored, clean) > _snr_db(audio, clean) + 6.0


@pytest.mark.parametrize("subtype", ["PCM_16", "FLOAT"])
@pytest.mark.parametrize("channels", [1, 2])
def test_what_is_clipped_comes_nearer_to_the_clean_recording(
  tmp_path, subtype, channels
):
  clean = _tones(channels=channels, peak=0.7)
  audio = np.clip(clean, -0.5, 0.5)
  source, target = tmp_path / "in.wav", tmp_path / "out.wav"
  soundfile.write(source, audio, RATE, subtype=subtype)
  declip.restore(source, target, "aspade", **SMALL)
  info = soundfile.info(target)
  assert (info.samplerate, info.channels) == (RATE, channels)
  assert (info.frames, info.subtype) == (len(audio), subtype)
  restored, _ = soundfile.read(target, always_2d=True)
  assert _snr_db(restored, clean) > _snr_db(audio, clean) + 6.0
  reliable = np.abs(audio) < 0.4999
  error = 1e-4 if subtype == "PCM_16" else 1e-6
  np.testing.assert_allclose(restored[reliable], audio[reliable], atol=error)


@pytest.mark.parametrize("subtype", ["PCM_16", "PCM_24", "PCM_32", "DOUBLE"])
def test_what_is_not_clipped_stays_to_the_bit(tmp_path, subtype):
  source, target = tmp_path / "in.wav", tmp_path / "out.wav"
  soundfile.write(source, _tones(channels=2), RATE, subtype=subtype)
  line = declip.restore(source, target, "aspade")
  before, after = (soundfile.read(path)[0] for path in (source, target))
  np.testing.assert_array_equal(after, before)
  assert soundfile.info(target).subtype == subtype
  assert line.startswith("nothing is clipped, the result is the input")
  assert f"the input; its peak is {np.abs(before).max():.6g}: " in line
  assert "--clip-level" in line
  # A level that nothing reaches is no other case.
  assert declip.restore(source, target, "aspade", 0.95) == line


@pytest.mark.parametrize(
  ("subtype", "name", "changes"),
  [
    ("DOUBLE", "out.wav", ""),
    ("FLOAT", "out.wav", ", as FLOAT"),
    ("PCM_16", "out.wav", " but 3.5 dB quieter, as PCM_16"),
    (None, "out.mp3", " but 3.5 dB quieter, as .mp3"),
  ],
)
def test_what_becomes_of_the_input_is_told(tmp_path, subtype, name, changes):
  source = tmp_path / "in.wav"
  audio = _tones(peak=1.0)
  audio *= 1.5 / np.abs(audio).max()
  soundfile.write(source, audio, RATE, subtype="DOUBLE")
  line = declip.restore(source, tmp_path / name, "aspade", subtype=subtype)
  wanted = f"nothing is clipped, the result is the input{changes}; its peak is"
  assert line.startswith(wanted)


@pytest.mark.parametrize(
  ("method", "subtype"),
  [
    ("aspade", "PCM_16"),
    ("aspade", "PCM_24"),
    ("aspade", "PCM_32"),
    ("aspade", "DOUBLE"),
    ("sspade", "DOUBLE"),
  ],
)
def test_reliable_samples_stay_to_the_bit(tmp_path, method, subtype):
  """At the default precision, below that of three of the formats."""
  source, target = tmp_path / "in.wav", tmp_path / "out.wav"
  audio = _tones(channels=2, peak=0.7)
  audio[:, 0] = np.clip(audio[:, 0], -0.5, 0.6)
  soundfile.write(source, audio, RATE, subtype=subtype)
  declip.restore(source, target, method, **SMALL | {"s": 32})
  before, after = (soundfile.read(path)[0] for path in (source, target))
  assert soundfile.info(target).subtype == subtype
  np.testing.assert_array_equal(after[:, 1], before[:, 1])
  low, high = before[:, 0].min(), before[:, 0].max()
  is_reliable = (low < before[:, 0]) & (before[:, 0] < high)
  np.testing.assert_array_equal(after[is_reliable], before[is_reliable])
  assert after[:, 0].max() > 1.05 * high


def test_silence_stays(tmp_path):
  source, target = tmp_path / "in.wav", tmp_path / "out.wav"
  soundfile.write(source, np.zeros((1_000, 1)), RATE)
  assert "nothing is clipped" in declip.restore(source, target, "aspade")
  assert not soundfile.read(target)[0].any()


@pytest.mark.parametrize("subtype", ["PCM_16", "FLOAT"])
def test_integer_formats_are_kept_from_clipping(use, tmp_path, caplog, subtype):
  use(gain=1.5)
  source, target = tmp_path / "in.wav", tmp_path / "out.wav"
  audio = np.clip(_tones(), -0.75, 0.75)
  soundfile.write(source, audio, RATE, subtype="FLOAT")
  declip.restore(source, target, "aspade", subtype=subtype)
  restored, _ = soundfile.read(target, always_2d=True)
  wanted = np.where(np.abs(audio) >= 0.75, 1.5 * audio, audio)
  warnings = [r for r in caplog.records if r.levelno == logging.WARNING]
  if subtype == "FLOAT":
    assert not warnings
  else:
    wanted /= 1.125
    assert "is 1.0 dB quieter" in warnings[0].getMessage()
    assert "--subtype=FLOAT" in warnings[0].getMessage()
  np.testing.assert_allclose(restored, wanted, atol=4e-5)


def test_double_loses_nothing(use, tmp_path):
  """A gain that float32 does not know, on samples that it does not know."""
  gain = 1.0 + 1e-12
  use(gain)
  source, target = tmp_path / "in.wav", tmp_path / "out.wav"
  audio = np.clip(_tones(), -0.7, 0.7)
  soundfile.write(source, audio, RATE, subtype="DOUBLE")
  declip.restore(source, target, "aspade", precision="float64")
  restored, _ = soundfile.read(target, always_2d=True)
  clipped = np.abs(audio) == 0.7
  np.testing.assert_array_equal(restored[clipped], gain * audio[clipped])
  np.testing.assert_array_equal(restored[~clipped], audio[~clipped])


@pytest.mark.parametrize(
  ("level", "low", "high"), [(0.3, -0.3, 0.3), ((-0.2, np.inf), -0.2, np.inf)]
)
def test_a_level_that_is_given(use, tmp_path, level, low, high):
  use(gain=1.5)
  source, target = tmp_path / "in.wav", tmp_path / "out.wav"
  audio = _tones(channels=2)
  soundfile.write(source, audio, RATE, subtype="FLOAT")
  declip.restore(source, target, "aspade", level)
  restored, _ = soundfile.read(target, always_2d=True)
  clipped = (audio <= low) | (audio >= high)
  expected = np.where(clipped, 1.5 * audio, audio)
  np.testing.assert_allclose(restored, expected, atol=1e-6)


def test_a_level_that_rounding_moved(use, tmp_path):
  """0.3 is 9830.4 steps of 16 bit; the file's plateau above is at 9830.

  The file is longer than a block, and the plateau in its first one only.
  """
  use(gain=1.5)
  source, target = tmp_path / "in.wav", tmp_path / "out.wav"
  audio = np.clip(_tones(seconds=2.0), -0.3, 0.3)
  audio[RATE // 2 :] *= 0.5
  soundfile.write(source, audio, RATE)
  line = declip.restore(source, target, "aspade", 0.3)
  share = 100 * np.mean(np.abs(audio) == 0.3)
  assert line == (
    f"clipped at -0.3 and {9830 / 32768:.6g}: {share:.3g} % of the samples"
  )


def test_rails_of_each_channel_are_named(use, tmp_path):
  calls = use()
  audio = _tones(channels=3)
  audio[:, 0] = np.clip(audio[:, 0], -0.4, 0.4)
  audio[:, 2] = np.minimum(audio[:, 2], 0.25)
  soundfile.write(tmp_path / "in.wav", audio, RATE, subtype="DOUBLE")
  line = declip.restore(
    tmp_path / "in.wav", tmp_path / "out.wav", "aspade", precision="float64"
  )
  assert line.startswith(
    "clipped at -0.4 and 0.4 (channel 1); no level (channel 2); 0.25 "
    "(channel 3): "
  )
  found = calls[0]["clip_level"]
  np.testing.assert_array_equal(found.low, [[-0.4, -np.inf, -np.inf]])
  np.testing.assert_array_equal(found.high, [[0.4, np.inf, 0.25]])


def test_a_hop_is_a_quarter_of_the_frame(use, tmp_path):
  calls = use()
  soundfile.write(tmp_path / "in.wav", np.clip(_tones(), -0.5, 0.5), RATE)
  run = functools.partial(
    declip.restore, tmp_path / "in.wav", tmp_path / "out.wav", "aspade"
  )
  for options in ({}, {"frame": 128}, {"frame": 128, "hop": 64}, {"hop": 8}):
    run(**options)
  found = [(call["frame"], call["hop"]) for call in calls]
  assert found == [(64, 16), (128, 32), (128, 64), (64, 8)]


def test_memory_does_not_grow_with_the_length(use, tmp_path):
  use()
  source, target = tmp_path / "in.wav", tmp_path / "out.wav"
  block = np.int16(9_000 * np.clip(np.sin(np.arange(RATE) / 10), -0.5, 0.5))
  most = {}
  for seconds in (30, 75):
    with soundfile.SoundFile(source, "w", RATE, 2) as file:
      for _ in range(seconds):
        file.write(np.stack([block, block], axis=1))
    tracemalloc.start()
    declip.restore(source, target, "aspade")
    _, most[seconds] = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert soundfile.info(target).frames == seconds * RATE
  assert most[75] < 1.1 * most[30]


@pytest.mark.parametrize(
  ("name", "message"),
  [
    ("cut.wav", "truncated"),
    ("empty.wav", "empty file"),
    ("text.wav", "not audio in a known format"),
    ("nan.wav", "NaN"),
    ("missing.wav", "no such file"),
  ],
)
@pytest.mark.parametrize("level", [None, 0.3])
def test_bad_input_leaves_the_old_output(use, tmp_path, name, message, level):
  use()
  audio = np.clip(_tones(), -0.5, 0.5)
  soundfile.write(tmp_path / "cut.wav", audio, RATE)
  data = (tmp_path / "cut.wav").read_bytes()
  (tmp_path / "cut.wav").write_bytes(data[: len(data) // 2])
  (tmp_path / "empty.wav").write_bytes(b"")
  (tmp_path / "text.wav").write_text("not music")
  audio[-1] = np.nan
  soundfile.write(tmp_path / "nan.wav", audio, RATE, subtype="FLOAT")
  (tmp_path / "out.wav").write_text("what was there before")
  before = files_of(tmp_path)
  with pytest.raises(UserError) as caught:
    declip.restore(tmp_path / name, tmp_path / "out.wav", "aspade", level)
  assert str(caught.value).startswith(str(tmp_path / name))
  assert message in str(caught.value)
  assert files_of(tmp_path) == before


@pytest.mark.parametrize("is_clipped", [False, True])
def test_what_cannot_be_is_told_before_any_work(
  tmp_path, monkeypatch, is_clipped
):
  source = tmp_path / "in.wav"
  soundfile.write(source, np.clip(_tones(), -1 + 0.5 * is_clipped, 1), RATE)
  monkeypatch.setattr(survey, "survey", None)
  with pytest.raises(UserError, match=r"no/out\.wav: the folder to write to"):
    declip.restore(source, tmp_path / "no" / "out.wav", "aspade")
  for options in ({"hop": 300}, {"epsilon": 0.0}, {"clip_level": -1.0}):
    with pytest.raises(UserError, match=r"hop|epsilon|level"):
      declip.restore(source, tmp_path / "out.wav", "sspade", **options)


def test_a_failing_declipper_leaves_nothing(tmp_path, monkeypatch):
  def broken(audio, clip_level, *, frame=64, hop=16, precision="float32", **_):
    if audio.shape[1]:
      raise RuntimeError("out of memory")

  monkeypatch.setattr(declipping, "declipper", lambda name: broken)
  soundfile.write(tmp_path / "in.wav", np.clip(_tones(), -0.5, 0.5), RATE)
  before = files_of(tmp_path)
  with pytest.raises(RuntimeError, match="out of memory"):
    declip.restore(tmp_path / "in.wav", tmp_path / "out.wav", "social_sparsity")
  assert files_of(tmp_path) == before
