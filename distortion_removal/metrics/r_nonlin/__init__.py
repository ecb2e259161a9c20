"""R_nonlin: how much of a sound survives a nonlinear distortion, as heard.

Tan, Moore, Zacharov, Mattila, "Predicting the perceived quality of nonlinearly
distorted music and speech signals", JAES 52(7/8), 2004. No code of it is
public, and the paper leaves choices; a `Reading` is one set of them.

For target and estimate, each channel of the audio by itself:

1. 40 gammatone filters from 50 Hz to half the sample rate, evenly spaced on the
   ERB-number scale (their number and scale: the paper; 50 Hz, and the filters
   as four cascaded sections of unit gain at the centre with EarQ = 9.26449 and
   a least bandwidth of 24.7 Hz: Slaney 1993, see `ear`).
2. Rectangular frames of 30 ms without overlap (the paper); a last partial one
   is dropped.
3. In each frame and band, r = max over lags within ±10 ms (the paper) of

       sum_i t[i] e[i + lag] / sqrt(sum_i t[i]^2 sum_i e[i]^2)

   with both sums of squares over the whole frame, nothing from outside of it,
   and the sign kept: polarity counts.
4. The level L of the estimate in dB with the gain of the ear added, and the
   weight w = 1 - (L_max - L) / span, L_max being the frame's loudest band.
   The gain is 1.1 times the outer ear's less 0.15 times the middle ear's, which
   is negative (both from ANSI S3.4-2007, see `ear`), and the span 77.4 dB.
   **These three numbers are fitted**, to the 82 published values for hard
   clipping and A-SPADE in Zaviska, Rajmic, Ozerov, Rencker, "A Survey and an
   Extensive Evaluation of Popular Audio Declipping Methods", 2021 (RMS error of
   that fit 0.009), as is that weights below 0 are kept.
5. sum_bands w r / sum_bands |w| for a frame, and the plain mean over frames.

The paper's own weights, as it may be read (`PAPER`), fall to 0 at 40 dB below
the loudest band, both ears count in full, and frames 40 dB below the loudest
are dropped; both ranges are our choice. The model's earlier stages: Tan, Moore,
Zacharov, "The effect of nonlinear distortion on the perceived quality of music
and speech signals", JAES 51(11), 2003.

Our own rules: a lag of the whole signal, where its correlation is largest
within ±10 ms, is removed first: it would cost each frame the samples that it
moves across the border. A band of a frame 140 dB below the loudest one of its
signal is silent; silent in both signals it is left out, in one r is 0, and its
level is never below that floor. An estimate that is the target but for a lag
and a positive gain (SI-SDR 100 dB) scores 1, where negative weights, in step 5,
would leave it a few hundredths less; the rounding of 16 bit already costs some
thousandths after a gain.
"""

import dataclasses
import math

import numpy as np
import scipy.fft

from distortion_removal.metrics.r_nonlin import ear
from distortion_removal.metrics.r_nonlin.correlation import (
  Signal,
  align,
  frame_correlations,
  is_copy,
)
from distortion_removal.metrics.signals import check_pair, defined, map_items

_FRAME_SECONDS = 0.03
_MAX_LAG_SECONDS = 0.01
_SILENCE = 1e-14  # energy over that of the loudest band and frame
_BLOCK_FRAMES = 32


@dataclasses.dataclass(frozen=True)
class Reading:
  """The weights, which the paper leaves to choose; the defaults are fitted."""

  outer_ear: float = 1.1  # weight of its gain
  middle_ear: float = -0.15  # weight of its gain, which is negative
  span_db: float = 77.4  # below the frame's loudest band, where weights reach 0
  clipped: bool = False  # whether weights beyond that are 0, not negative
  # Frames whose loudest band, in the target, is more than this below that of
  # the loudest frame are dropped.
  frame_range_db: float = math.inf


FITTED = Reading()
PAPER = Reading(
  outer_ear=1.0, middle_ear=1.0, span_db=40.0, clipped=True, frame_range_db=40.0
)


def r_nonlin(
  estimate: np.ndarray,
  target: np.ndarray,
  *,
  sample_rate: int,
  reading: Reading = FITTED,
) -> np.ndarray:
  """Computes R_nonlin as this module describes it (higher is better).

  Arguments and errors: see `metrics.si_sdr`.

  Returns:
    `[batch]` float64, at most 1, which is perfect: the mean over channels whose
    target is not silent. 0 for a silent estimate; NaN where the target is
    silent, a sample is not finite, or there is less than a frame of audio.
  """
  estimate, target = check_pair(estimate, target)
  scored = np.flatnonzero(defined(estimate, target))
  groups = [scored] if len(target) == 1 else scored[:, None]
  scores = np.full(len(estimate), np.nan)
  if estimate.shape[1] < round(_FRAME_SECONDS * sample_rate):
    return scores
  for items in (group for group in groups if group.size):
    reference = target[items[0] % len(target)]
    tests = [estimate[i] for i in items]
    channels = [
      _score([x[:, c] for x in tests], reference[:, c], sample_rate, reading)
      for c in np.flatnonzero(reference.any(axis=0))
    ]
    scores[items] = np.mean(channels, axis=0)
  return scores


def r_nonlin_paper(
  estimate: np.ndarray, target: np.ndarray, *, sample_rate: int
) -> np.ndarray:
  """Computes R_nonlin as the paper may be read (`PAPER`).

  Up to 0.1 above the published values; all else as for `r_nonlin`.
  """
  return r_nonlin(estimate, target, sample_rate=sample_rate, reading=PAPER)


def _score(
  estimates: list[np.ndarray],
  target: np.ndarray,
  sample_rate: int,
  reading: Reading,
) -> np.ndarray:
  """Scores `[time]` estimates against a target `[time]` with sound."""
  frame = round(_FRAME_SECONDS * sample_rate)
  max_lag = round(_MAX_LAG_SECONDS * sample_rate)
  reference, *signals = (
    Signal(x, max(x.max(), -x.min()) or 1.0) for x in (target, *estimates)
  )
  aligned = [align(x, reference, max_lag) for x in signals]

  tail = round(ear.RESPONSE_SECONDS * sample_rate)
  # Twice a fast size is an even one.
  half = scipy.fft.next_fast_len((tail + _BLOCK_FRAMES * frame) // 2 + 1, True)
  responses = ear.frequency_responses(2 * half, sample_rate)

  def block(first: int) -> tuple[np.ndarray, ...]:
    count = min(_BLOCK_FRAMES, len(target) // frame - first)
    start = (first + count) * frame - 2 * half
    parts = [x.part(start, 2 * half) for x in (reference, *aligned)]
    return frame_correlations(
      parts[0], parts[1:], responses, frame=frame, count=count, max_lag=max_lag
    )

  blocks = map_items(block, range(0, len(target) // frame, _BLOCK_FRAMES))
  correlations, energies, target_energy = (
    np.concatenate(parts, axis=-1) for parts in zip(*blocks, strict=True)
  )
  centres_hz = ear.centre_frequencies(sample_rate)[:, None]
  gain_db = ear.gain_db(centres_hz, reading.outer_ear, reading.middle_ear)
  scores = [
    _pool(*pair, target_energy, gain_db, reading)
    for pair in zip(correlations, energies, strict=True)
  ]
  return np.where([is_copy(x, reference) for x in aligned], 1.0, scores)


def _pool(
  correlation: np.ndarray,
  energy: np.ndarray,
  target_energy: np.ndarray,
  gain_db: np.ndarray,
  reading: Reading,
) -> float:
  """Averages the correlations; arrays are `[bands, frames]`."""
  level_db, heard = _levels(energy, gain_db)
  target_db, wanted = _levels(target_energy, gain_db)
  present = heard | wanted

  loudest_db = level_db.max(axis=0, where=present, initial=-np.inf)
  kept = present.any(axis=0)
  kept &= target_db.max(axis=0) >= target_db.max() - reading.frame_range_db
  if not kept.any():
    return math.nan
  weight = 1.0 - (loudest_db[kept] - level_db[:, kept]) / reading.span_db
  if reading.clipped:
    weight = np.maximum(weight, 0.0)
  weight *= present[:, kept]
  products = weight * (correlation * (heard & wanted))[:, kept]
  return float(np.mean(products.sum(axis=0) / np.abs(weight).sum(axis=0)))


def _levels(energy: np.ndarray, gain_db: np.ndarray) -> tuple[np.ndarray, ...]:
  """Returns levels in dB, none below silence, and where they are above it."""
  floor = max(_SILENCE * energy.max(), np.finfo(np.float32).tiny)
  level_db = 10.0 * np.log10(np.maximum(energy, floor, dtype=np.float64))
  return level_db + gain_db, energy > floor
