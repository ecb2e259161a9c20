"""Quality metrics by name, the same for every method.

    fn(estimate, target, *, sample_rate) -> [batch] float64

compares two arrays `[batch, time, channels]`, float32 or float64, at a sample
rate in Hz. All metrics keep these rules:

* Signals are compared sample by sample. Lengths or channel counts that differ
  raise `ValueError`; `audio.alignment` finds and removes a lag beforehand.
* The target may have a batch of one, for all estimates, and is analysed once.
* A score is NaN where it is undefined: a silent target, a sample that is not
  finite, audio too short for the metric. A silent estimate has a score.
* Nothing is rescaled, unless a metric's description says so.

A metric of sets has one number for a whole system, not for each excerpt: its
`embed` turns audio into vectors, whose distributions are compared.

To add a metric, write its function and list it in `METRICS`.
"""

import dataclasses
import math
from collections.abc import Callable
from typing import Literal

import numpy as np

from distortion_removal.common.errors import UserError, look_up
from distortion_removal.metrics import (
  delta_sdr,
  fad,
  peaq,
  r_nonlin,
  si_sdr,
  spectral,
)
from distortion_removal.metrics.fad import log_mel
from distortion_removal.metrics.peaq import grade


@dataclasses.dataclass(frozen=True)
class Metric:
  """A metric of an estimate against its target."""

  function: Callable[..., np.ndarray]  # see this module; of sets: `[1]`
  unit: str  # empty for a pure number
  direction: Literal["higher", "lower"]  # of the better values
  low: float  # the limits of the score
  high: float
  label: str  # the name in tables and figures
  settings: str = ""  # the conventions a reader must know to compare numbers
  # For a metric of sets, `embed(audio, *, sample_rate)` from `[batch, time,
  # channels]` to `[windows, dimension]`.
  embed: Callable[..., np.ndarray] | None = None
  needs_degraded: bool = False  # `function` also takes the input, `degraded=`
  # Up to this lag signals are better left unaligned, because the phase of a
  # filter looks like a lag.
  tolerated_lag_seconds: float = 0.0

  @property
  def heading(self) -> str:
    """Label, unit and an arrow towards the better values."""
    arrow = {"higher": "↑", "lower": "↓"}[self.direction]
    unit = f" / {self.unit}" if self.unit else ""
    return f"{self.label}{unit} {arrow}"

  def text(self, score: float | None) -> str:
    """Returns a score with its significant digits."""
    if score is None or math.isnan(score):
      return "n/a"
    if math.isinf(self.high) and abs(score) < 1:
      return f"{score:.3g}"
    return f"{score:.{3 if self.high - self.low <= 2 else 2}f}"

  def score(
    self,
    estimate: np.ndarray,
    target: np.ndarray,
    degraded: np.ndarray | None,
    *,
    sample_rate: int,
  ) -> np.ndarray:
    """Calls `function`, with the degraded input if it needs that."""
    options = {"degraded": degraded} if self.needs_degraded else {}
    return self.function(estimate, target, sample_rate=sample_rate, **options)

  def check(self, *, sample_rate: int, channels: int) -> None:
    """Tries the metric on a second of silence; raises UserError if it fails."""
    silence = np.zeros((1, sample_rate, channels), np.float32)
    try:
      if self.embed is None:
        self.score(silence, silence, silence, sample_rate=sample_rate)
      else:
        self.embed(silence, sample_rate=sample_rate)
    except ValueError as error:
      raise UserError(f"not for this audio: {error}") from error


_SDR = ("dB", "higher", -si_sdr.LIMIT_DB, si_sdr.LIMIT_DB)
_DELTA = ("dB", "higher", -2 * si_sdr.LIMIT_DB, 2 * si_sdr.LIMIT_DB)
_DISTANCE = ("", "lower", 0.0, np.inf)
_DISTANCE_DB = ("dB", "lower", 0.0, np.inf)
_CORRELATION = ("", "higher", -1.0, 1.0)
_GRADE = ("", "higher", grade.WORST, grade.BEST)

METRICS = {
  "si_sdr": Metric(
    si_sdr.si_sdr, *_SDR, "SI-SDR", "mean kept, one scale for all channels"
  ),
  "sdr": Metric(si_sdr.sdr, *_SDR, "SDR", "scale and sign count"),
  "delta_sdr": Metric(
    delta_sdr.delta_sdr,
    *_DELTA,
    "ΔSDR",
    "SDR less that of the degraded input",
    needs_degraded=True,
  ),
  "sdr_clipped": Metric(
    delta_sdr.sdr_clipped,
    *_SDR,
    "SDR of clipped samples",
    "rails found from the degraded input",
    needs_degraded=True,
  ),
  "delta_sdr_clipped": Metric(
    delta_sdr.delta_sdr_clipped,
    *_DELTA,
    "ΔSDR of clipped samples",
    "rails found from the degraded input",
    needs_degraded=True,
  ),
  "esr": Metric(si_sdr.esr, *_DISTANCE, "ESR", "without pre-emphasis"),
  "multi_resolution_stft": Metric(
    spectral.multi_resolution_stft,
    *_DISTANCE,
    "Multi-resolution STFT distance",
    "FFT 1024, 2048, 512, hop 120, 240, 50, window 600, 1200, 240 samples",
  ),
  "log_spectral_distance": Metric(
    spectral.log_spectral_distance,
    *_DISTANCE_DB,
    "Log-spectral distance",
    "frames of 2048 samples every 512",
  ),
  "peaq": Metric(
    peaq.peaq,
    *_GRADE,
    "PEAQ ODG",
    peaq.SETTINGS,
    tolerated_lag_seconds=1e-3,
  ),
  "r_nonlin": Metric(
    r_nonlin.r_nonlin,
    *_CORRELATION,
    "R_nonlin",
    "fitted weights: 1.1 outer - 0.15 middle ear, 77.4 dB, not clipped",
    tolerated_lag_seconds=0.01,
  ),
  "r_nonlin_paper": Metric(
    r_nonlin.r_nonlin_paper,
    *_CORRELATION,
    "R_nonlin (paper's reading)",
    "weights as the paper may be read: 40 dB, clipped at 0, both ears",
    tolerated_lag_seconds=0.01,
  ),
  "fad": Metric(
    fad.fad,
    *_DISTANCE,
    "FAD",
    "Google's pipeline: VGGish after the last ReLU, peak-normalised, 0.5 s hop",
    embed=fad.embed,
  ),
  "fad_pytorch": Metric(
    fad.fad_pytorch,
    *_DISTANCE,
    "FAD (PyTorch tools)",
    "the PyTorch tools' pipeline: VGGish before the last ReLU, 0.96 s hop",
    embed=fad.embed_pytorch,
  ),
  "frechet_logmel": Metric(
    log_mel.frechet_logmel,
    *_DISTANCE,
    "Fréchet distance of log-mel statistics",
    "mean and deviation of 64 log-mel bands per 0.96 s; not FAD",
    embed=log_mel.embed,
  ),
}


def get(name: str) -> Metric:
  """Returns the metric called `name`; a UserError lists the known ones."""
  return look_up(METRICS, "metric", name)


def number(score: float) -> float | None:
  """Returns a score as JSON can hold it: None where it is undefined."""
  return float(score) if np.isfinite(score) else None
