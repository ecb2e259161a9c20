"""Quality metrics, listed by name: the same for every method.

    fn(estimate, target, *, sample_rate) -> [batch] float64

of two arrays `[batch, time, channels]`, float32 or float64, for networks,
declippers, oracles, the command `score` and notebooks alike.

* Signals are compared sample by sample. Lengths or channel counts that differ
  raise `ValueError`; `alignment` finds and removes a lag beforehand.
* The target may have a batch of one, for all estimates; what depends on it
  alone is computed once.
* NaN is the score of what has none: a silent target, a sample that is not
  finite, audio that is too short for the metric. A silent estimate has one.
* Nothing is rescaled, save where a metric's own description says so.

A metric of sets has one number for a whole system, not for each of its
excerpts: its `embed` turns audio into vectors, whose distributions are
compared, see `frechet`.
"""

import dataclasses
from collections.abc import Callable
from typing import Literal

import numpy as np

from distortion_removal.common import errors
from distortion_removal.common.errors import UserError
from distortion_removal.metrics import (
  delta_sdr,
  error_to_signal,
  fad,
  log_mel,
  peaq,
  r_nonlin,
  si_sdr,
  spectral,
)


@dataclasses.dataclass(frozen=True)
class Metric:
  """A metric of an estimate against its target.

  Attributes:
    function: `function(estimate, target, *, sample_rate)`: two arrays
      `[batch, time, channels]` and a rate in Hz to `[batch]` float64; NaN where
      it is undefined. Of a metric of sets: to `[1]`.
    unit: the unit, empty for a pure number.
    direction: whether `higher` or `lower` values are better.
    low: the least value the metric can take.
    high: the greatest value the metric can take.
    label: the metric's name for people.
    settings: what a reader must know to compare the numbers with others.
    embed: of a metric of sets, `embed(audio, *, sample_rate)` from `[batch,
      time, channels]` to `[windows, dimension]`.
    needs_degraded: whether the function also takes `degraded=`, what the
      estimate was made of.
    tolerated_lag_seconds: a lag up to which the metric had better have the
      signals as they are: the phase of a filter looks like one.
  """

  function: Callable[..., np.ndarray]
  unit: str
  direction: Literal["higher", "lower"]
  low: float
  high: float
  label: str
  settings: str = ""
  embed: Callable[..., np.ndarray] | None = None
  needs_degraded: bool = False
  tolerated_lag_seconds: float = 0.0

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
    """Tries the metric on a second of silence, before any work.

    Raises:
      UserError: it is not for so many channels, or lacks its network's weights.
    """
    silence = np.zeros((1, sample_rate, channels), np.float32)
    try:
      if self.embed is None:
        self.score(silence, silence, silence, sample_rate=sample_rate)
      else:
        self.embed(silence, sample_rate=sample_rate)
    except ValueError as error:
      raise UserError(f"not for this audio: {error}") from error


_SDR_DB = ("dB", "higher", -si_sdr.LIMIT_DB, si_sdr.LIMIT_DB)
_DELTA_DB = ("dB", "higher", -2 * si_sdr.LIMIT_DB, 2 * si_sdr.LIMIT_DB)
_DISTANCE = ("lower", 0.0, np.inf)

METRICS = {
  "si_sdr": Metric(
    si_sdr.si_sdr, *_SDR_DB, "SI-SDR", "mean kept, one scale for all channels"
  ),
  "sdr": Metric(si_sdr.sdr, *_SDR_DB, "SDR", "scale and sign count"),
  "delta_sdr": Metric(
    delta_sdr.delta_sdr,
    *_DELTA_DB,
    "ΔSDR",
    "SDR less that of the degraded input",
    needs_degraded=True,
  ),
  "sdr_clipped": Metric(
    delta_sdr.sdr_clipped,
    *_SDR_DB,
    "SDR of clipped samples",
    "rails found from the degraded input",
    needs_degraded=True,
  ),
  "delta_sdr_clipped": Metric(
    delta_sdr.delta_sdr_clipped,
    *_DELTA_DB,
    "ΔSDR of clipped samples",
    "rails found from the degraded input",
    needs_degraded=True,
  ),
  "esr": Metric(
    error_to_signal.esr, "", *_DISTANCE, "ESR", "without pre-emphasis"
  ),
  "multi_resolution_stft": Metric(
    spectral.multi_resolution_stft,
    "",
    *_DISTANCE,
    "Multi-resolution STFT distance",
    "FFT 1024, 2048, 512, hop 120, 240, 50, window 600, 1200, 240 samples",
  ),
  "log_spectral_distance": Metric(
    spectral.log_spectral_distance,
    "dB",
    *_DISTANCE,
    "Log-spectral distance",
    "frames of 2048 samples every 512",
  ),
  "peaq": Metric(
    peaq.peaq,
    "",
    "higher",
    -3.98,
    0.22,
    "PEAQ ODG",
    peaq.SETTINGS,
    tolerated_lag_seconds=1e-3,
  ),
  "r_nonlin": Metric(
    r_nonlin.r_nonlin,
    "",
    "higher",
    -1.0,
    1.0,
    "R_nonlin",
    "fitted weights: 1.1 outer - 0.15 middle ear, 77.4 dB, not clipped",
    tolerated_lag_seconds=0.01,
  ),
  "r_nonlin_paper": Metric(
    r_nonlin.r_nonlin_paper,
    "",
    "higher",
    -1.0,
    1.0,
    "R_nonlin (paper's reading)",
    "weights as the paper may be read: 40 dB, clipped at 0, both ears",
    tolerated_lag_seconds=0.01,
  ),
  "fad": Metric(
    fad.fad,
    "",
    *_DISTANCE,
    "FAD",
    "Google's pipeline: VGGish after the last ReLU, peak-normalised, 0.5 s hop",
    embed=fad.embed,
  ),
  "fad_pytorch": Metric(
    fad.fad_pytorch,
    "",
    *_DISTANCE,
    "FAD (PyTorch tools)",
    "the PyTorch tools' pipeline: VGGish before the last ReLU, 0.96 s hop",
    embed=fad.embed_pytorch,
  ),
  "frechet_logmel": Metric(
    log_mel.frechet_logmel,
    "",
    *_DISTANCE,
    "Fréchet distance of log-mel statistics",
    "mean and deviation of 64 log-mel bands per 0.96 s; not FAD",
    embed=log_mel.embed,
  ),
}


def get(name: str) -> Metric:
  """Returns the metric called `name`.

  Raises:
    UserError: no metric has that name; the message lists those there are.
  """
  return errors.look_up(METRICS, "metric", name)
