"""PEAQ's peripheral ear: spectra, critical bands, spreading in frequency.

The FFT-based model of ITU-R BS.1387-1 as Kabal (2002) writes it down. Spectra
are `[frames, bins]`, bands `[bands, frames]`.
"""

import numpy as np
from scipy import fft, sparse
from scipy.signal import lfilter

RATE = 48_000  # Hz, the only rate that PEAQ is defined for
FRAME = 2048
HOP = FRAME // 2
FULL_SCALE = 32_768.0  # samples are at the scale of 16-bit integers
BLOCK_FRAMES = 128  # their spectra stay in the cache

_CALIBRATION_HZ = 1019.5
_CALIBRATION_DB_SPL = 92.0  # of a sine at full scale

_BARK_STEP = 0.25
# Misprints in the standard's table of bands, which implementations share: band,
# edge and Hz. All other values are within 3 mHz of the formula.
_MISPRINTS_HZ = (
  (28, "upper", 933.113),
  (66, "lower", 3853.817),
  (70, "upper", 4643.482),
  (100, "centre", 13_294.85),
)

_SPREAD_EXPONENT = 0.4
_LEAST_ENERGY = 1e-12  # of a band


def bark(frequency_hz: np.ndarray | float) -> np.ndarray | float:
  """Converts Hz to Schroeder's Bark scale, 7 asinh(f / 650)."""
  return 7.0 * np.arcsinh(np.asarray(frequency_hz) / 650.0)


def critical_bands() -> dict[str, np.ndarray]:
  """Returns the bands' `lower`, `centre` and `upper` frequencies in Hz.

  The 109 bands are a quarter of a Bark wide, from 80 Hz to 18 kHz.
  """
  start, stop = bark(80.0), bark(18_000.0)
  lower = np.arange(start, stop, _BARK_STEP)
  upper = np.minimum(lower + _BARK_STEP, stop)
  edges = {"lower": lower, "centre": (lower + upper) / 2, "upper": upper}
  bands = {edge: 650.0 * np.sinh(z / 7.0) for edge, z in edges.items()}
  for band, edge, frequency_hz in _MISPRINTS_HZ:
    bands[edge][band] = frequency_hz
  return bands


def ear_weighting_db(frequency_hz: np.ndarray) -> np.ndarray:
  """Computes the gain of the outer and middle ear in dB, above 0 Hz."""
  khz = np.asarray(frequency_hz) / 1000.0
  resonance = 6.5 * np.exp(-0.6 * (khz - 3.3) ** 2)
  return -2.184 * khz**-0.8 + resonance - 0.001 * khz**3.6


def internal_noise(frequency_hz: np.ndarray) -> np.ndarray:
  """Computes the energy of the ear's own noise in a band."""
  return 10.0 ** (0.1456 * (frequency_hz / 1000.0) ** -0.8)


def _window() -> np.ndarray:
  """Returns Hann's window `[2048]`, scaled to the level of a full-scale sine.

  The sine's level is that of the nearest bin, a little down the main lobe of
  the window's transform, sinc(d) / (1 - d^2) at a distance d.
  """
  length = FRAME - 1
  position = _CALIBRATION_HZ / RATE * FRAME
  distance = abs(position - round(position)) * length / FRAME
  response = np.sinc(distance) / (1.0 - distance**2)
  peak = response * FULL_SCALE / 4.0 * length
  return 10.0 ** (_CALIBRATION_DB_SPL / 20.0) / peak * np.hanning(FRAME)


def _band_weights() -> sparse.csr_array:
  """Computes the share of each bin in each band, `[bands, bins]`.

  That is the part of the bin inside the band, times the gain of the ear.
  """
  width_hz = RATE / FRAME
  bins_hz = np.arange(FRAME // 2 + 1) * width_hz
  bands = critical_bands()
  stop = np.minimum(bands["upper"][:, None], bins_hz + width_hz / 2)
  start = np.maximum(bands["lower"][:, None], bins_hz - width_hz / 2)
  weights = np.maximum(stop - start, 0.0) / width_hz
  weights[:, 1:] *= 10.0 ** (ear_weighting_db(bins_hz[1:]) / 10.0)
  return sparse.csr_array(weights)


CENTRES_HZ = critical_bands()["centre"]
BANDS = len(CENTRES_HZ)
_INTERNAL_NOISE = internal_noise(CENTRES_HZ)[:, None]
_WINDOW = _window()
_BAND_WEIGHTS = _band_weights()


def magnitudes(frames: np.ndarray) -> np.ndarray:
  """Computes calibrated magnitude spectra `[frames, 1025]` of frames."""
  spectrum = fft.rfft(frames * _WINDOW)
  power = np.square(spectrum.real)
  power += np.square(spectrum.imag)
  return np.sqrt(power, out=power)


def band_energy(power: np.ndarray) -> np.ndarray:
  """Sums powers `[frames, bins]` to band energies, at least 1e-12."""
  return np.maximum(_BAND_WEIGHTS @ power.T, _LEAST_ENERGY)


def excitation(power: np.ndarray) -> np.ndarray:
  """Computes the unsmeared excitation: noisy band energies, spread.

  A band of level L dB at f Hz falls by 27 dB per Bark downwards and by
  24 + 230 / f - 0.2 L upwards, and keeps its energy in all. The contributions
  add as powers of 0.4, relative to what bands of energy 1 would give.
  """
  return _spread(band_energy(power) + _INTERNAL_NOISE) / _FLAT_SPREAD


def _spread(energy: np.ndarray) -> np.ndarray:
  upward = _UPWARD * energy ** (0.2 * _BARK_STEP)
  above = (1.0 - upward**_BANDS_FROM_HERE) / (1.0 - upward)
  own = (energy / (_BELOW + above - 1.0)) ** _SPREAD_EXPONENT
  upward **= _SPREAD_EXPONENT
  # Downwards the slope is constant: a recursion from band to band.
  downward = _DOWNWARD**_SPREAD_EXPONENT
  total = lfilter([1.0], [1.0, -downward], own[::-1], axis=0)[::-1]
  # Upwards every band has its own; it reaches one band further at a time.
  for distance in range(1, BANDS):
    reached = own[:-distance]
    reached *= upward[:-distance]
    total[distance:] += reached
  return total ** (1.0 / _SPREAD_EXPONENT)


_BANDS_FROM_HERE = np.arange(BANDS, 0, -1.0)[:, None]
_DOWNWARD = 10.0 ** (-2.7 * _BARK_STEP)
_UPWARD = 10.0 ** ((-2.4 - 23.0 / CENTRES_HZ[:, None]) * _BARK_STEP)
_BANDS_TO_HERE = BANDS + 1.0 - _BANDS_FROM_HERE
_BELOW = (1.0 - _DOWNWARD**_BANDS_TO_HERE) / (1.0 - _DOWNWARD)
_FLAT_SPREAD = _spread(np.ones((BANDS, 1)))
