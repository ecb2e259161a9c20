"""Clipping by construction, treated as recordings are, is found and marked."""

import numpy as np
import pytest
import scipy.signal

from distortion_removal.declipping.clip_level import (
  bounds,
  clip_signs,
  find_rails,
)
from distortion_removal.declipping.plateaus import find_plateaus

RATE = 44_100
LEVEL = 0.3


def music(seconds=2.0, seed=0):
  """Decaying notes of an uneven melody, as loud as 0.9."""
  rng = np.random.default_rng(seed)
  signal = np.zeros(int(seconds * RATE))
  for start in range(0, len(signal), RATE // 4):
    time = np.arange(len(signal) - start) / RATE
    pitch_hz = rng.uniform(90, 500)
    for k in range(1, 9):
      phase = 2 * np.pi * k * pitch_hz * time + rng.uniform(0, 6)
      signal[start:] += np.exp(-4 * time) * np.sin(phase) / k**1.2
  return 0.9 * signal / abs(signal).max()


def rounded(signal):
  return np.round(signal * 2**15) / 2**15


def marks(*channels):
  audio = np.stack(channels, axis=1)[None]
  return clip_signs(audio, find_rails(audio))[0]


CLEAN = music()
SIGNS = (CLEAN > LEVEL).astype(int) - (CLEAN < -LEVEL)
CLIPPED = np.clip(CLEAN, -LEVEL, LEVEL)
RNG = np.random.default_rng(0)
COUPLING = scipy.signal.butter(1, 10, "high", fs=RATE)
SINGLE = CLIPPED.copy()
SINGLE[SIGNS.nonzero()[0][50]] = 0.8
STEP = np.where(np.arange(len(CLEAN)) < RATE, 1.0, 0.6)


@pytest.mark.parametrize(
  ("signal", "least"),
  [
    (CLIPPED + (RNG.random(CLEAN.size) - RNG.random(CLEAN.size)) / 2**15, 0.98),
    (CLIPPED + 1e-4 * RNG.standard_normal(CLEAN.size), 0.97),
    (scipy.signal.lfilter(*COUPLING, CLIPPED), 0.95),
    (SINGLE, 0.99),
    (CLIPPED * STEP, 0.97),
    (CLIPPED * np.geomspace(1, 0.3, CLEAN.size), 0.9),
    (CLIPPED + 0.4, 0.99),
  ],
  ids=["dither", "noise", "coupling", "single", "step", "fade", "offset"],
)
def test_clipped_samples_are_marked(signal, least):
  """Nearly all that were clipped, and hardly any other."""
  found = marks(rounded(signal))[:, 0]
  right = np.sum((found == SIGNS) & (SIGNS != 0))
  assert right >= least * np.sum(SIGNS != 0)
  assert right >= 0.95 * np.sum(found != 0)


def test_a_peak_that_was_not_clipped_is_left():
  """It stands above the plateau, where it hides nothing and is not cut."""
  peak = int(np.argmax(CLEAN))
  within = slice(peak - 100, peak + 100)
  signal = CLIPPED.copy()
  signal[within] = CLEAN[within]
  audio = rounded(signal)[None, :, None]
  rails = find_rails(audio)
  signs = clip_signs(audio, rails)
  assert not signs[0, peak - 3 : peak + 4].any()
  others = np.setdiff1d(
    np.flatnonzero(SIGNS), np.arange(*within.indices(peak * 2))
  )
  assert np.mean(signs[0, others, 0] == SIGNS[others]) > 0.98
  low, high = bounds(audio, rails, signs)
  reliable = signs == 0
  np.testing.assert_array_equal(low[reliable], audio[reliable])
  np.testing.assert_array_equal(high[reliable], audio[reliable])
  # A clipped sample lies at its own value or beyond.
  np.testing.assert_array_equal(low[signs > 0], audio[signs > 0])
  assert np.all(high[signs > 0] == np.inf)


def test_channels_do_not_weigh_on_each_other():
  noisy = CLIPPED + 1e-4 * RNG.standard_normal(CLEAN.size)
  alone = marks(noisy)[:, 0]
  silent, constant = np.zeros(CLEAN.size), np.full(CLEAN.size, 0.25)
  together = marks(silent, noisy, constant, CLEAN)
  np.testing.assert_array_equal(together[:, 1], alone)
  assert not together[:, [0, 2, 3]].any()


def square(frequency_hz, top_hz):
  time = np.arange(RATE) / RATE
  harmonics = np.arange(1, top_hz / frequency_hz, 2)[:, None]
  phases = 2 * np.pi * frequency_hz * harmonics * time
  return 0.5 * np.sum(np.sin(phases) / harmonics, axis=0)


@pytest.mark.parametrize("top_hz", [4_000, 16_000, 20_000])
@pytest.mark.parametrize("frequency_hz", [55.0, 220.5, 1000.0])
def test_square_waves_are_not_clipped(frequency_hz, top_hz):
  """Steep flanks, level tops: but all flanks are alike."""
  wave = square(frequency_hz, top_hz)
  time = np.arange(RATE) / RATE
  for signal in (wave, wave * np.exp(-time), np.sign(wave) * 0.4):
    noisy = signal + 1e-5 * RNG.standard_normal(RATE)
    assert not marks(rounded(signal), rounded(noisy)).any()


@pytest.mark.parametrize("size", [997, 1 << 17])
def test_marks_of_a_stream_do_not_depend_on_its_blocks(size):
  signal = rounded(scipy.signal.lfilter(*COUPLING, CLIPPED * STEP))[:, None]
  blocks = [signal[k : k + size] for k in range(0, len(signal), size)]
  found = find_plateaus(lambda: iter(blocks))
  signs = np.concatenate([signs for _, signs in found.marked(blocks)])
  audio = np.concatenate([block for block, _ in found.marked(blocks)])
  np.testing.assert_array_equal(audio, signal)
  np.testing.assert_array_equal(signs[:, 0], marks(signal[:, 0])[:, 0])


@pytest.mark.parametrize("corner_hz", [5.0, 10.0, 20.0])
def test_the_corner_of_an_ac_coupling(corner_hz):
  b, a = scipy.signal.butter(1, corner_hz, "high", fs=RATE)
  signal = rounded(scipy.signal.lfilter(b, a, CLIPPED))[:, None]
  found = find_plateaus(lambda: iter([signal]))
  assert found.decay[0] == pytest.approx(1 + a[1], rel=0.02)
  for track in found.tracks:
    assert np.median(track.level) == pytest.approx(LEVEL, rel=0.05)
