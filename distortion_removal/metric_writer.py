"""Where a run's numbers, sounds and pictures go: the only file that logs.

`metrics.jsonl` holds one JSON object a line, TensorBoard the same scalars with
the audio and spectrograms of fixed validation excerpts beside them, and the
log a line for people.
"""

import json
import time
from pathlib import Path

import numpy as np

from distortion_removal.log import logger


class MetricWriter:
  """Writes to `workdir`; does nothing in all but the main process."""

  def __init__(self, workdir: Path, *, enabled: bool = True):
    self._enabled = enabled
    if enabled:
      import tensorboardX

      self._file = open(workdir / "metrics.jsonl", "a")  # noqa: SIM115
      self._board = tensorboardX.SummaryWriter(str(workdir / "tensorboard"))

  def scalars(self, step: int, values: dict[str, float]) -> None:
    """Writes named numbers of one step."""
    if not self._enabled:
      return
    row = {"step": step, **{key: float(v) for key, v in values.items()}}
    self._file.write(json.dumps(row) + "\n")
    self._file.flush()
    for key, value in values.items():
      self._board.add_scalar(key, float(value), step)
    text = "  ".join(f"{key} {float(v):.4g}" for key, v in values.items())
    logger.info("step %d  %s", step, text)

  def example(
    self, step: int, name: str, sounds: dict[str, np.ndarray], sample_rate: int
  ) -> None:
    """Writes versions of one excerpt, `[time, channels]` each by its name."""
    if not self._enabled:
      return
    for key, audio in sounds.items():
      peak = max(1.0, float(np.abs(audio).max()))
      self._board.add_audio(f"{name}/{key}", audio / peak, step, sample_rate)
    from distortion_removal.report.plots import spectrogram_strip

    figure = spectrogram_strip(sounds, sample_rate)
    self._board.add_figure(f"{name}/spectrograms", figure, step)

  def close(self) -> None:
    """Flushes and closes."""
    if self._enabled:
      self._file.close()
      self._board.close()


class Stopwatch:
  """Time since it was made or last read, and how much of it was waiting."""

  def __init__(self):
    self._start, self._waited = time.perf_counter(), 0.0

  def waiting(self, seconds: float) -> None:
    """Adds time that was spent waiting for data."""
    self._waited += seconds

  def read(self, steps: int) -> tuple[float, float]:
    """Steps per second and the share of time spent waiting; starts anew."""
    now = time.perf_counter()
    elapsed = max(now - self._start, 1e-9)
    result = steps / elapsed, self._waited / elapsed
    self._start, self._waited = now, 0.0
    return result
