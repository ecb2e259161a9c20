"""The ear of R_nonlin: gammatone filters, gains of outer and middle ear.

The filters are of fourth order, those of Slaney, "An Efficient Implementation
of the Patterson-Holdsworth Auditory Filter Bank", Apple Technical Report 35,
1993, spaced evenly on the ERB-number scale, with the bandwidths of Glasberg and
Moore (1990): ERB(f) = 24.7 + f / 9.26449 Hz.

The gains are those of ANSI S3.4-2007 (Glasberg, Moore, "Prediction of absolute
thresholds and equal-loudness contours using a modified loudness model", JASA
120(2), 2006).
"""

import functools

import numpy as np

EAR_Q = 9.26449
MINIMUM_BANDWIDTH_HZ = 24.7
BANDS = 40
LOWEST_HZ = 50.0
# By then the response of the narrowest filter, 24.7 Hz wide, has fallen by
# more than 180 dB below its peak.
RESPONSE_SECONDS = 0.2
# The bandwidth parameter of a gammatone of fourth order over its ERB.
_ERB_FACTOR = 1.019

# Frequency in Hz; gain in dB from a free field (frontal incidence) to the
# eardrum; gain in dB from the eardrum to the cochlea.
# fmt: off
_GAINS = np.array(
  [
    (20, 0.0, -39.6), (25, 0.0, -32.0), (31.5, 0.0, -25.85), (40, 0.0, -21.4),
    (50, 0.0, -18.5), (63, 0.0, -15.9), (80, 0.0, -14.1), (100, 0.0, -12.4),
    (125, 0.1, -11.0), (160, 0.3, -9.6), (200, 0.5, -8.3), (250, 0.9, -7.4),
    (315, 1.4, -6.2), (400, 1.6, -4.8), (500, 1.7, -3.8), (630, 2.5, -3.3),
    (750, 2.7, -2.9), (800, 2.6, -2.6), (1000, 2.6, -2.6), (1250, 3.2, -4.5),
    (1500, 5.2, -5.4), (1600, 6.6, -6.1), (2000, 12.0, -8.5),
    (2500, 16.8, -10.4), (3000, 15.3, -7.3), (3150, 15.2, -7.0),
    (4000, 14.2, -6.6), (5000, 10.7, -7.0), (6000, 7.1, -9.2),
    (6300, 6.4, -10.2), (8000, 1.8, -12.2), (9000, -0.9, -10.8),
    (10000, -1.6, -10.1), (11200, 1.9, -12.7), (12500, 4.9, -15.0),
    (14000, 2.0, -18.2), (15000, -2.0, -23.8), (16000, 2.5, -32.3),
    (18000, 2.5, -45.5), (20000, 2.5, -50.0),
  ]
)
# fmt: on


def gain_db(
  frequency_hz: np.ndarray, outer: float, middle: float
) -> np.ndarray:
  """Adds the gains in dB of outer and middle ear, with these weights.

  Both are linear in frequency between the points of the table, and constant
  from 20 kHz up. The middle ear's is negative.
  """
  points_hz, outer_db, middle_db = _GAINS.T
  weighted_db = outer * outer_db + middle * middle_db
  return np.interp(frequency_hz, points_hz, weighted_db)


def erb_hz(frequency_hz: np.ndarray) -> np.ndarray:
  """Returns equivalent rectangular bandwidths of the ear's filters in Hz."""
  return MINIMUM_BANDWIDTH_HZ + frequency_hz / EAR_Q


def centre_frequencies(sample_rate: int) -> np.ndarray:
  """Returns the 40 centres in Hz, falling, in equal steps of ERB number.

  The first is a step below half the sample rate, the last 50 Hz.
  """
  offset = EAR_Q * MINIMUM_BANDWIDTH_HZ
  steps = np.arange(1, BANDS + 1) / BANDS
  highest = sample_rate / 2 + offset
  return highest * ((LOWEST_HZ + offset) / highest) ** steps - offset


def sections(sample_rate: int, centre_hz: np.ndarray) -> np.ndarray:
  """Computes the coefficients of filters with centres `[bands]`.

  The impulse-invariant transform of t^3 exp(-2 pi b t) cos(2 pi f t) with
  b = 1.019 ERB(f): one pair of poles four times, and four real zeros.

  Returns:
    `[bands, 4, 6]`: four sections of second order as SciPy's `sosfilt` takes
    them, each with a gain of 1 at the centre.
  """
  angle = 2 * np.pi * np.asarray(centre_hz, np.float64)[:, None] / sample_rate
  width = 2 * np.pi * _ERB_FACTOR * erb_hz(centre_hz)[:, None] / sample_rate
  slopes = np.sqrt(3 + np.array([1, 1, -1, -1]) * 2**1.5) * [1, -1, 1, -1]
  radius = np.exp(-width)

  filters = np.zeros((len(centre_hz), 4, 6))
  filters[..., 0] = 1.0
  filters[..., 1] = -radius * (np.cos(angle) + slopes * np.sin(angle))
  filters[..., 3] = 1.0
  filters[..., 4] = -2 * radius * np.cos(angle)
  filters[..., 5] = radius**2
  filters[..., :3] /= np.abs(_evaluate(filters, np.exp(-1j * angle)))[..., None]
  return filters


@functools.lru_cache(maxsize=4)
def frequency_responses(size: int, sample_rate: int) -> np.ndarray:
  """Computes the 40 responses at the bins of a real transform of `size`.

  Returns:
    `[40, size // 2 + 1]` complex64, read-only.
  """
  filters = sections(sample_rate, centre_frequencies(sample_rate))
  delay = np.exp(-2j * np.pi * np.arange(size // 2 + 1) / size)
  responses = np.empty((BANDS, size // 2 + 1), np.complex64)
  for band, cascade in enumerate(filters):
    responses[band] = _evaluate(cascade[:, None], delay).prod(axis=0)
  responses.flags.writeable = False
  return responses


def _evaluate(filters: np.ndarray, delay: np.ndarray) -> np.ndarray:
  """Evaluates the sections' transfer functions where z^-1 is `delay`."""
  b0, b1, b2, _, a1, a2 = np.moveaxis(filters, -1, 0)
  return (b0 + (b1 + b2 * delay) * delay) / (1 + (a1 + a2 * delay) * delay)
