"""The ear of `frame_by_frame`: the patterns of one signal, and of a pair.

The bands' edges are those of the formula, save for the misprints of the
standard's table: the one choice that this shares with the package.
"""

import math
from typing import NamedTuple

import numpy as np

RATE, FRAME, ADVANCE = 48_000, 2048, 1024
FRAMES_PER_SECOND = RATE / ADVANCE
BANDS = 109


def _bands_hz():
  """Lower edge, centre and upper edge of the bands, 0.25 Bark each."""
  lowest, highest = (7 * math.asinh(hz / 650) for hz in (80, 18_000))
  table = np.empty((BANDS, 3))
  for k in range(BANDS):
    lower = lowest + 0.25 * k
    upper = min(lower + 0.25, highest)
    for edge, bark in enumerate((lower, (lower + upper) / 2, upper)):
      table[k, edge] = 650 * math.sinh(bark / 7)
  table[28, 2], table[66, 0] = 933.113, 3853.817
  table[70, 2], table[100, 1] = 4643.482, 13_294.85
  return table.T


def _window():
  """Hann's, such that a sine of 1019.5 Hz at full scale has 92 dB SPL."""
  bins_off = (1019.5 * FRAME / RATE) % 1
  off = min(bins_off, 1 - bins_off) * (FRAME - 1) / FRAME
  response = math.sin(math.pi * off) / (math.pi * off * (1 - off**2))
  gain = 10 ** (92 / 20) / (response * 32_768 / 4 * (FRAME - 1))
  turn = 2 * math.pi / (FRAME - 1)
  return [gain * 0.5 * (1 - math.cos(turn * n)) for n in range(FRAME)]


def _weights():
  """Computes each bin's share in each band, as the outer ear passes it."""
  weights = np.zeros((BANDS, FRAME // 2 + 1))
  width = RATE / FRAME
  for k in range(1, FRAME // 2 + 1):
    khz = k * width / 1000
    ear_db = 6.5 * math.exp(-0.6 * (khz - 3.3) ** 2)
    ear_db -= 2.184 * khz**-0.8 + 0.001 * khz**3.6
    for band in range(BANDS):
      start = max(LOWER_HZ[band], (k - 0.5) * width)
      stop = min(UPPER_HZ[band], (k + 0.5) * width)
      if stop > start:
        weights[band, k] = (stop - start) / width * 10 ** (ear_db / 10)
  return weights


def _kept(slowest_s):
  """Computes what a filter with this time at 100 Hz keeps per frame."""
  time_s = 0.008 + 100 / CENTRE_HZ * (slowest_s - 0.008)
  return np.exp(-1 / (FRAMES_PER_SECOND * time_s))


LOWER_HZ, CENTRE_HZ, UPPER_HZ = _bands_hz()
WINDOW, WEIGHTS = _window(), _weights()
INTERNAL_NOISE = 10 ** (0.1456 * (CENTRE_HZ / 1000) ** -0.8)
KEPT_30_MS, KEPT_50_MS = _kept(0.030), _kept(0.050)


def spread(energy):
  """The energy of every band over all bands, on the formula's scale."""
  total = np.zeros(BANDS)
  for source in range(BANDS):
    bark = 0.25 * (np.arange(BANDS) - source)
    upward_db = 0.2 * 10 * math.log10(energy[source])
    upward_db -= 24 + 230 / CENTRE_HZ[source]
    shape = 10 ** (np.where(bark < 0, 27 * bark, upward_db * bark) / 10)
    total += (energy[source] * shape / shape.sum()) ** 0.4
  return total**2.5


SPREAD_OF_ONES = spread(np.ones(BANDS))


class Heard(NamedTuple):
  """One frame of one signal: its spectrum, its patterns over the bands."""

  samples: np.ndarray
  magnitude: np.ndarray
  excitation: np.ndarray
  level: np.ndarray
  modulation: np.ndarray
  envelope: np.ndarray
  loudness: float


def _filtered(kept, past, now):
  return kept * past + (1 - kept) * now


def hear(signal, count):
  """Computes the patterns of each of the `count` frames."""
  smeared = level = before = change = envelope = np.zeros(BANDS)
  heard = []
  for n in range(count):
    samples = signal[n * ADVANCE : n * ADVANCE + FRAME]
    magnitude = np.abs(np.fft.rfft(samples * WINDOW))
    energy = np.maximum(WEIGHTS @ magnitude**2, 1e-12) + INTERNAL_NOISE
    energy = spread(energy) / SPREAD_OF_ONES
    smeared = _filtered(KEPT_30_MS, smeared, energy)
    excitation = np.maximum(smeared, energy)
    level = _filtered(KEPT_50_MS, level, excitation)
    loudness = energy**0.3
    slope = FRAMES_PER_SECOND * np.abs(loudness - before)
    change = _filtered(KEPT_50_MS, change, slope)
    envelope = _filtered(KEPT_50_MS, envelope, loudness)
    modulation = change / (1 + envelope / 0.3)
    before = loudness
    sone = total_loudness(excitation)
    heard.append(
      Heard(samples, magnitude, excitation, level, modulation, envelope, sone)
    )
  return heard


def total_loudness(excitation):
  """In sone."""
  total = 0.0
  for khz, energy in zip(CENTRE_HZ / 1000, excitation, strict=True):
    threshold = 10 ** (0.364 * khz**-0.8)
    bend_db = 2.05 * math.atan(khz / 4) + 0.75 * math.atan((khz / 1.6) ** 2)
    s = 10 ** ((-2 - bend_db) / 10)
    specific = (1 - s + s * energy / threshold) ** 0.23 - 1
    total += max(1.07664 * (threshold / s / 1e4) ** 0.23 * specific, 0)
  return 24 / BANDS * total


def adapt(heard_ref, heard_test):
  """Excitations of every frame, brought to one level and one spectrum."""
  cross = own = correction_ref = correction_test = np.zeros(BANDS)
  adapted = []
  for ref, test in zip(heard_ref, heard_test, strict=True):
    ratio = (np.sqrt(ref.level * test.level).sum() / test.level.sum()) ** 2
    E_ref = ref.excitation / max(ratio, 1)
    E_test = test.excitation * min(ratio, 1)
    cross = KEPT_50_MS * cross + E_test * E_ref
    own = KEPT_50_MS * own + E_ref * E_ref
    mean_ref, mean_test = np.empty((2, BANDS))
    for k in range(BANDS):
      near = slice(max(k - 3, 0), k + 5)
      mean_ref[k] = np.minimum(cross[near] / own[near], 1).mean()
      mean_test[k] = np.minimum(own[near] / cross[near], 1).mean()
    correction_ref = _filtered(KEPT_50_MS, correction_ref, mean_ref)
    correction_test = _filtered(KEPT_50_MS, correction_test, mean_test)
    adapted.append((E_ref * correction_ref, E_test * correction_test))
  return adapted
