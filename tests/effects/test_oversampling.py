"""Oversampling keeps the band and takes aliasing away."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from distortion_removal.effects import clipping, overdrive, waveshaping
from distortion_removal.effects.oversampling import oversampled

RATE = 8000


def level_db(signal, reference):
  signal, reference = np.float64(signal), np.float64(reference)
  return 20 * np.log10(np.linalg.norm(signal) / np.linalg.norm(reference))


def band_limited(time, edge=0.45, seed=0):
  """Noise below `edge` of the sample rate that begins and ends in silence."""
  taper = np.sin(np.pi * (np.arange(time) + 0.5) / time) ** 4
  spectrum = np.fft.rfft(np.random.default_rng(seed).standard_normal(time))
  spectrum[int((edge - 8 / time) * time) :] = 0
  return np.float32(taper * np.fft.irfft(spectrum, time))[None, :, None]


@pytest.mark.parametrize("factor", [2, 4, 8])
@pytest.mark.parametrize("time", [500, 640, 1001])
def test_nothing_done_returns_the_band_aligned(factor, time):
  audio = band_limited(time)
  same = jax.jit(lambda x: oversampled(lambda y: y, x, factor))(audio)
  assert same.shape == audio.shape
  assert same.dtype == jnp.float32
  assert level_db(same - audio, audio) <= -80


@pytest.mark.parametrize("factor", [2, 4])
def test_the_curve_sees_the_audio_between_its_samples(factor):
  # A quarter of the rate squared is a mean of 1/2 and half the rate, which
  # half passes: 1/2 + cos(pi n + 2 phase) / 4.
  phase = np.pi / 2 * np.arange(600) + 0.4
  audio = jnp.float32(np.cos(phase))[None, :, None]
  actual = oversampled(jnp.square, audio, factor)[0, 100:-100, 0]
  expected = 0.5 + 0.25 * np.cos(2 * phase)[100:-100]
  np.testing.assert_allclose(actual, expected, atol=2e-4)


@pytest.mark.parametrize(
  ("effect", "gain_db", "gained_db"),
  [
    (waveshaping.tanh_clip, 15.0, [45, 75]),
    (waveshaping.tanh_clip, 35.0, [7, 20]),
    (clipping.hard_clip, 15.0, [8, 20]),
    (overdrive.overdrive, 35.0, [6, 16]),
  ],
)
def test_aliasing_of_a_high_sine_drops(effect, gain_db, gained_db):
  # A second of whole cycles: harmonics fall on multiples, aliases beside.
  pitch = 619
  audio = 0.5 * np.sin(2 * np.pi * pitch * np.arange(3 * RATE) / RATE)
  audio = jnp.float32(audio)[None, :, None]
  bins = np.arange(int(0.45 * RATE))
  harmonic = bins % pitch == 0

  def aliasing_db(factor):
    jitted = jax.jit(effect, static_argnames="oversample")
    output = jitted(audio, gain_db, oversample=factor)[0, RATE : 2 * RATE, 0]
    spectrum = np.abs(np.fft.rfft(np.float64(output)))[: len(bins)]
    return level_db(spectrum[~harmonic], spectrum[harmonic])

  plain_db, twice_db, four_times_db = map(aliasing_db, (1, 2, 4))
  assert plain_db - twice_db >= gained_db[0]
  assert plain_db - four_times_db >= gained_db[1]


def test_zeros_appended_change_nothing_before_them():
  audio = np.random.default_rng(0).uniform(-0.5, 0.5, (2, 63, 2))
  longer = np.pad(audio, ((0, 0), (0, 77), (0, 0)))

  @jax.jit
  def effect(audio):
    return overdrive.overdrive(audio, 40.0, colour=30.0, oversample=4)

  np.testing.assert_allclose(effect(longer)[:, :63], effect(audio), atol=1e-6)
