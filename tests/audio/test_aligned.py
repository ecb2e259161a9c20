"""Recordings before they are compared: what is done to them is reported."""

import logging
from pathlib import Path

import numpy as np
import pytest
import scipy.signal
import soundfile

from distortion_removal.audio import aligned, resampling
from distortion_removal.common.errors import UserError

RATE = 16_000
AUDIO = 0.1 * np.random.default_rng(0).standard_normal((RATE, 2))


def _smooth():
  """Faded in and out, and next to nothing above 3 kHz: any rate holds it."""
  taps = scipy.signal.firwin(401, 2_500.0, fs=RATE)[:, None]
  audio = scipy.signal.fftconvolve(AUDIO, taps, mode="same", axes=0)
  return audio * np.hanning(len(audio))[:, None]


@pytest.fixture(autouse=True)
def _in_a_folder_with_a_log(tmp_path, monkeypatch, caplog):
  monkeypatch.chdir(tmp_path)
  caplog.set_level(logging.INFO)


def _store(name, audio, rate=RATE):
  soundfile.write(name, audio, rate, subtype="DOUBLE")
  return Path(name)


def _pair(reference, estimate, rate=RATE, max_lag_seconds=0.1):
  first = aligned.load_reference(_store("reference.wav", reference))
  path = _store("estimate.wav", estimate, rate)
  return first, aligned.load_estimate(
    path, first, max_lag_seconds=max_lag_seconds
  )


def test_files_that_fit_are_taken_as_they_are(caplog):
  pair = _pair(AUDIO, 0.5 * AUDIO)
  parts = aligned.compared_parts(*pair)
  np.testing.assert_array_equal(parts, np.float32([AUDIO, 0.5 * AUDIO]))
  assert pair[1].changes() == {"resampled_from": None, "lag_samples": 0}
  assert caplog.messages == []


@pytest.mark.parametrize(
  ("rate", "late"), [(8_000, 0), (44_100, 0), (48_000, 150)]
)
def test_the_references_rate_holds_also_for_lags(caplog, rate, late):
  audio, lag = _smooth(), late * RATE // rate
  other = np.pad(resampling.resample(audio, RATE, rate), ((late, 0), (0, 0)))
  pair = _pair(audio, other, rate)
  assert pair[1].sample_rate == RATE
  assert pair[1].changes() == {"resampled_from": rate, "lag_samples": lag}
  parts = aligned.compared_parts(*pair)
  assert len(parts[0]) == len(audio)
  np.testing.assert_allclose(*parts, atol=1e-4)
  messages = [f"resampled from {rate} to 16000 Hz", f"{lag} samples late"]
  for message, logged in zip(
    messages[: 1 + (lag > 0)], caplog.messages, strict=True
  ):
    assert f"estimate.wav: {message}" in logged


def test_no_lag_is_looked_for_where_none_may_be(caplog):
  pair = _pair(AUDIO, AUDIO[50:], max_lag_seconds=0.0)
  parts = aligned.compared_parts(*pair)
  np.testing.assert_array_equal(parts, np.float32([AUDIO[:-50], AUDIO[50:]]))
  (message,) = caplog.messages
  assert "0.997 s" in message


@pytest.mark.parametrize("start", [0, 900])
def test_a_missing_part_of_the_reference_is_reported(caplog, start):
  part = AUDIO[start : start + 15_000]
  parts = aligned.compared_parts(*_pair(AUDIO, part))
  np.testing.assert_array_equal(parts, np.float32([part, part]))
  assert caplog.records[-1].levelno == logging.WARNING
  assert "only 93.8 % of the reference" in caplog.messages[-1]


def test_a_third_file_is_cut_alike():
  reference, estimate = _pair(AUDIO, AUDIO[:-10])
  path = _store("degraded.wav", 0.5 * AUDIO[20:])
  degraded = aligned.load_estimate(path, reference, max_lag_seconds=0.1)
  parts = aligned.compared_parts(reference, estimate, degraded)
  assert degraded.lag_samples == -20
  for part, gain in zip(parts, (1.0, 1.0, 0.5), strict=True):
    np.testing.assert_array_equal(part, np.float32(gain * AUDIO[20:-10]))


def test_nothing_in_common():
  """Two samples at 48 kHz are none at 16 kHz."""
  with pytest.raises(UserError, match=r"estimate\.wav: too short to compare"):
    aligned.compared_parts(*_pair(AUDIO, AUDIO[:1], 48_000))


@pytest.mark.parametrize(
  ("gains", "message"),
  [
    (([0, 0], [1, 1]), "reference.wav: only silence"),
    (([1, 1], [0, 0]), "estimate.wav: only silence"),
    (([1, 0], [1, 1]), "reference.wav: channel 2 is silent"),
  ],
)
def test_silence_is_reported(caplog, gains, message):
  parts = aligned.compared_parts(*_pair(*(AUDIO * gain for gain in gains)))
  assert [part.any() for part in parts] == [any(gain) for gain in gains]
  (logged,) = caplog.messages
  assert message in logged


def test_every_file_is_checked():
  broken = AUDIO.copy()
  broken[-1, 1] = np.nan
  stereo, mono = _store("2.wav", AUDIO), _store("1.wav", AUDIO[:, :1])
  assert aligned.check_files([stereo, stereo], mono=False) == 2
  assert aligned.check_files([stereo, mono], mono=True) == 1
  for path, reason in (
    (mono, f"1 .* 2 in {stereo}"),
    (_store("nan.wav", broken), "NaN"),
    (Path("missing.wav"), "no such file"),
  ):
    with pytest.raises(UserError, match=f"{path}.*{reason}"):
      aligned.check_files([stereo, path], mono=False)
