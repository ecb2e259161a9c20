"""Recordings before they are compared: what is done to them is reported."""

import logging

import numpy as np
import pytest
import scipy.signal
import soundfile

from distortion_removal.audio import aligned, resampling
from distortion_removal.common.errors import UserError

RATE = 16_000


def _audio(seconds=1.0, channels=2):
  shape = round(seconds * RATE), channels
  return 0.1 * np.random.default_rng(0).standard_normal(shape)


def _smooth():
  """Faded in and out, and next to nothing above 3 kHz: any rate holds it."""
  taps = scipy.signal.firwin(401, 2_500.0, fs=RATE)[:, None]
  audio = scipy.signal.fftconvolve(_audio(), taps, mode="same", axes=0)
  return audio * np.hanning(len(audio))[:, None]


@pytest.fixture
def store(tmp_path, caplog):
  """Writes audio and returns its path."""
  caplog.set_level(logging.INFO)

  def write(name, audio, rate=RATE):
    soundfile.write(tmp_path / name, audio, rate, subtype="DOUBLE")
    return tmp_path / name

  return write


def _pair(store, reference, estimate, rate=RATE, **options):
  first = aligned.load_reference(store("reference.wav", reference))
  options = {"max_lag_seconds": 0.1} | options
  path = store("estimate.wav", estimate, rate)
  return first, aligned.load_estimate(path, first, **options)


def test_files_that_fit_are_taken_as_they_are(store, caplog):
  audio = _audio()
  pair = _pair(store, audio, 0.5 * audio)
  parts = aligned.compared_parts(*pair)
  np.testing.assert_array_equal(parts[0], np.float32(audio))
  np.testing.assert_array_equal(parts[1], np.float32(0.5 * audio))
  assert pair[1].changes() == {"resampled_from": None, "lag_samples": 0}
  assert caplog.messages == []


@pytest.mark.parametrize("rate", [8_000, 44_100, 96_000])
def test_the_references_rate_holds(store, caplog, rate):
  audio = _smooth()
  other = resampling.resample(audio, RATE, rate)
  reference, estimate = _pair(store, audio, other, rate)
  assert estimate.sample_rate == RATE
  assert estimate.changes() == {"resampled_from": rate, "lag_samples": 0}
  np.testing.assert_allclose(estimate.audio, reference.audio, atol=1e-4)
  (message,) = caplog.messages
  assert f"estimate.wav: resampled from {rate} to 16000 Hz" in message


def test_a_lag_is_found_at_the_references_rate(store, caplog):
  audio = _smooth()
  other = resampling.resample(audio, RATE, 48_000)
  late = np.concatenate([np.zeros((150, 2)), other])
  pair = _pair(store, audio, late, 48_000)
  assert pair[1].lag_samples == 50
  parts = aligned.compared_parts(*pair)
  assert len(parts[0]) == len(audio)
  np.testing.assert_allclose(*parts, atol=1e-4)
  assert "50 samples late" in caplog.messages[1]
  assert len(caplog.messages) == 2


def test_no_lag_is_looked_for_where_none_may_be(store, caplog):
  audio = _audio()
  pair = _pair(store, audio, audio[50:], max_lag_seconds=0.0)
  parts = aligned.compared_parts(*pair)
  np.testing.assert_array_equal(parts[0], np.float32(audio[:-50]))
  np.testing.assert_array_equal(parts[1], np.float32(audio[50:]))
  (message,) = caplog.messages
  assert "0.997 s" in message


@pytest.mark.parametrize("start", [0, 900])
def test_a_missing_part_of_the_reference_is_reported(store, caplog, start):
  audio = _audio()
  pair = _pair(store, audio, audio[start : start + 15_000])
  parts = aligned.compared_parts(*pair)
  np.testing.assert_array_equal(*parts)
  assert len(parts[0]) == 15_000
  assert caplog.records[-1].levelno == logging.WARNING
  assert "only 93.8 % of the reference" in caplog.messages[-1]


def test_a_third_file_is_cut_alike(store):
  audio = _audio()
  reference, estimate = _pair(store, audio, audio[:-10])
  path = store("degraded.wav", 0.5 * audio[20:])
  degraded = aligned.load_estimate(path, reference, max_lag_seconds=0.1)
  parts = aligned.compared_parts(reference, estimate, degraded)
  assert degraded.lag_samples == -20
  for part, gain in zip(parts, (1.0, 1.0, 0.5), strict=True):
    np.testing.assert_array_equal(part, np.float32(gain * audio[20:-10]))


def test_nothing_in_common(store):
  """Two samples at 48 kHz are none at 16 kHz."""
  pair = _pair(store, _audio(), _audio()[:1], 48_000)
  with pytest.raises(UserError, match=r"estimate\.wav: too short to compare"):
    aligned.compared_parts(*pair)


@pytest.mark.parametrize(
  ("gains", "message"),
  [
    (([0, 0], [1, 1]), "reference.wav: only silence"),
    (([1, 1], [0, 0]), "estimate.wav: only silence"),
    (([1, 0], [1, 1]), "reference.wav: channel 2 is silent"),
  ],
)
def test_silence_is_reported(store, caplog, gains, message):
  audio = [_audio() * gain for gain in gains]
  parts = aligned.compared_parts(*_pair(store, *audio))
  assert [part.any() for part in parts] == [any(gain) for gain in gains]
  assert len(caplog.messages) == 1
  assert message in caplog.messages[0]


def test_means_of_channels(store):
  audio = _audio()
  path = store("a.wav", audio)
  reference = aligned.load_reference(path, mono=True)
  expected = audio.mean(axis=1, keepdims=True)
  np.testing.assert_allclose(reference.audio, expected, atol=1e-7)
  estimate = aligned.load_estimate(
    path, reference, max_lag_seconds=0.0, mono=True
  )
  np.testing.assert_array_equal(estimate.audio, reference.audio)


def test_every_file_is_checked(store, tmp_path):
  paths = [store(f"{n}.wav", _audio(channels=n)) for n in (2, 1, 3)]
  assert aligned.check_files([paths[0]] * 2, mono=False) == 2
  assert aligned.check_files(paths, mono=True) == 1
  with pytest.raises(UserError, match=f"{paths[1]}: .* 1 .* 2 in {paths[0]}"):
    aligned.check_files(paths[:2], mono=False)
  broken = _audio()
  broken[-1, 1] = np.nan
  missing = tmp_path / "missing.wav"
  for path, reason in (
    (store("nan.wav", broken), "NaN"),
    (missing, "no such file"),
  ):
    with pytest.raises(UserError, match=f"{path}.*{reason}"):
      aligned.check_files([paths[0], path], mono=False)
