"""What the outer and the middle ear do to a sound, as gains in dB.

The tables are those of ANSI S3.4-2007 (Glasberg, Moore, "Prediction of
absolute thresholds and equal-loudness contours using a modified loudness
model", JASA 120(2), 2006). Between their points a gain is linear in frequency,
beyond 20 kHz it stays what it is there.
"""

import numpy as np

# Frequency in Hz; gain in dB from a free field (frontal incidence) to the
# eardrum; gain in dB from the eardrum to the cochlea.
_TABLE = np.array(
  [
    (20, 0.0, -39.6),
    (25, 0.0, -32.0),
    (31.5, 0.0, -25.85),
    (40, 0.0, -21.4),
    (50, 0.0, -18.5),
    (63, 0.0, -15.9),
    (80, 0.0, -14.1),
    (100, 0.0, -12.4),
    (125, 0.1, -11.0),
    (160, 0.3, -9.6),
    (200, 0.5, -8.3),
    (250, 0.9, -7.4),
    (315, 1.4, -6.2),
    (400, 1.6, -4.8),
    (500, 1.7, -3.8),
    (630, 2.5, -3.3),
    (750, 2.7, -2.9),
    (800, 2.6, -2.6),
    (1000, 2.6, -2.6),
    (1250, 3.2, -4.5),
    (1500, 5.2, -5.4),
    (1600, 6.6, -6.1),
    (2000, 12.0, -8.5),
    (2500, 16.8, -10.4),
    (3000, 15.3, -7.3),
    (3150, 15.2, -7.0),
    (4000, 14.2, -6.6),
    (5000, 10.7, -7.0),
    (6000, 7.1, -9.2),
    (6300, 6.4, -10.2),
    (8000, 1.8, -12.2),
    (9000, -0.9, -10.8),
    (10000, -1.6, -10.1),
    (11200, 1.9, -12.7),
    (12500, 4.9, -15.0),
    (14000, 2.0, -18.2),
    (15000, -2.0, -23.8),
    (16000, 2.5, -32.3),
    (18000, 2.5, -45.5),
    (20000, 2.5, -50.0),
  ]
)


def gain_db(
  frequency_hz: np.ndarray, outer: float = 1.0, middle: float = 1.0
) -> np.ndarray:
  """Gain of the ear, for sound from the front.

  Args:
    frequency_hz: of any shape, in Hz.
    outer: how many times the gain from a free field to the eardrum counts.
    middle: likewise of that from the eardrum to the cochlea, which is negative.

  Returns:
    `outer` and `middle` times the gains, added up, in dB, of that shape.
  """
  points_hz, outer_db, middle_db = _TABLE.T
  weighted_db = outer * outer_db + middle * middle_db
  return np.interp(frequency_hz, points_hz, weighted_db)
