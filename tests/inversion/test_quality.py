"""What an undone recording tells about how good it is."""

import jax
import numpy as np
import pytest
from overdriven import STEP, overdriven, rounded, si_sdr_db, strings

from distortion_removal.effects.invertible import OVERDRIVE
from distortion_removal.inversion.quality import Evidence, evidence
from distortion_removal.inversion.recording import cut, sizes

RATE = 16_000
GAIN_DB, SCALE = 30.0, 0.4


def undone(audio):
  """The evidence with the true settings, and the result."""
  settings = np.array([GAIN_DB, 100.0 * np.log(SCALE), 0.1])
  with jax.enable_x64(True):
    blocks = sizes(RATE, block_ms=16, part_ms=1, order=32)
    recording = cut(OVERDRIVE, audio, blocks, 100)
    signal = recording.undo(np.repeat(settings[None], 4, axis=0)).signal[0]
    return evidence(recording, settings, 0.5, STEP), np.asarray(signal)


def test_rounding_is_all_that_limits_an_exact_inverse():
  clean = strings(1.5)
  seen, signal = undone(rounded(overdriven(clean, GAIN_DB, 20.0, SCALE)))
  assert seen.rounding_db == pytest.approx(si_sdr_db(signal, clean), abs=0.5)
  assert not seen.has_gap


def test_noise_shows_where_the_effect_has_clipped():
  """There the inverse divides it by the clean signal's share, a half."""
  clean, level = strings(1.5), 3e-4
  noise = level * np.random.default_rng(0).standard_normal(len(clean))
  audio = overdriven(clean, GAIN_DB, 20.0, SCALE) + noise
  seen, _ = undone(rounded(audio))
  expected = 10.0 * np.log10(clean.var() / (level / (0.5 * SCALE)) ** 2)
  assert seen.flat_median_db == pytest.approx(expected, abs=2.0)
  assert seen.other_median_db > seen.flat_median_db + 3.0


def test_a_gap_at_the_end_of_the_band():
  clean = strings(1.5)
  spectrum = np.fft.rfft(overdriven(clean, GAIN_DB, 20.0, SCALE))
  spectrum[-len(spectrum) // 30 :] = 0.0
  seen, _ = undone(rounded(np.fft.irfft(spectrum, len(clean))))
  assert seen.has_gap


@pytest.mark.parametrize(
  ("seen", "low", "high"),
  [
    (Evidence(64.0, -0.1, 52.0, 56.0, 60.0, 0.0), 64.0, 64.0),
    (Evidence(115.0, -0.1, 52.0, 56.0, 60.0, 0.0), 70.0, 70.0),
    (Evidence(64.0, -1.8, 14.0, 20.0, 24.0, 1.0), 8.0, 22.0),
    (Evidence(70.0, -0.6, 38.0, 57.0, 48.0, 1.0), 30.0, 44.0),
  ],
)
def test_expected_quality(seen, low, high):
  """Of exact results, and of two whose true SI-SDR was 15 and 37 dB."""
  assert low <= seen.si_sdr_db <= high
