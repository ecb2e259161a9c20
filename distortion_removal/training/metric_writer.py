"""Where a run's numbers, sounds and pictures go: the only file that logs.

`metrics.jsonl` holds one JSON object a line, TensorBoard the same scalars with
the audio and spectrograms of fixed validation excerpts beside them, and the
log a line for people.
"""

import json
import math
import time
from pathlib import Path
from typing import Any

import numpy as np

from distortion_removal.common.files import write_whole
from distortion_removal.common.log import logger


class MetricWriter:
  """Writes to `workdir`; does nothing in all but the main process.

  Args:
    workdir: of the run.
    after_step: what a resumed run goes on from.
    enabled: False writes nothing.
  """

  def __init__(
    self, workdir: Path, *, after_step: int = 0, enabled: bool = True
  ):
    self._enabled = enabled
    if enabled:
      # Not its SummaryWriter: that one writes from a thread, and a process
      # whose disk is full would never end.
      from tensorboardX.event_file_writer import EventsWriter

      path = workdir / "metrics.jsonl"
      _drop_after(path, after_step)
      self._file = open(path, "a")  # noqa: SIM115
      (workdir / "tensorboard").mkdir(exist_ok=True)
      self._board = EventsWriter(str(workdir / "tensorboard" / "events"))

  def scalars(self, step: int, values: dict[str, float]) -> None:
    """Writes named numbers of one step."""
    if not self._enabled:
      return
    from tensorboardX import summary

    values = {key: float(value) for key, value in values.items()}
    # JSON has no NaN.
    row = {k: v if math.isfinite(v) else None for k, v in values.items()}
    self._file.write(json.dumps({"step": step, **row}) + "\n")
    self._file.flush()
    for key, value in values.items():
      self._add(step, summary.scalar(key, value))
    self._board.flush()
    text = "  ".join(f"{key} {value:.4g}" for key, value in values.items())
    logger.info("step %d  %s", step, text)

  def example(
    self, step: int, name: str, sounds: dict[str, np.ndarray], sample_rate: int
  ) -> None:
    """Writes versions of one excerpt, `[time, channels]` each by its name."""
    if not self._enabled:
      return
    from tensorboardX import summary, utils

    from distortion_removal.report.spectrogram import spectrogram_strip

    for key, audio in sounds.items():
      audio = audio / max(1.0, float(np.abs(audio).max()))
      self._add(step, summary.audio(f"{name}/{key}", audio, sample_rate))
    figure = spectrogram_strip(sounds, sample_rate)
    picture = utils.figure_to_image(figure, close=False)
    self._add(step, summary.image(f"{name}/spectrograms", picture))
    self._board.flush()

  def _add(self, step: int, value: Any) -> None:
    from tensorboardX.proto import event_pb2

    event = event_pb2.Event(wall_time=time.time(), step=step, summary=value)
    self._board.write_event(event)

  def close(self) -> None:
    """Flushes and closes."""
    if self._enabled:
      self._file.close()
      self._board.close()


def _drop_after(path: Path, step: int) -> None:
  """Removes rows of later steps: a killed run logs more than it stores."""
  if not path.exists():
    return
  lines = path.read_text().splitlines(keepends=True)
  # The last line may have been cut off in the middle.
  whole = [line for line in lines if line.endswith("}\n")]
  kept = (line for line in whole if json.loads(line)["step"] <= step)
  write_whole(path, "".join(kept))


class Stopwatch:
  """Speed of the steps since it was made or last read, and their waiting.

  Steps run asynchronously, so waiting for data may overlap with the step
  before: the share is an upper bound of what it costs.
  """

  def __init__(self):
    self.restart()

  def restart(self) -> None:
    """Forgets what was; called after anything that is not a step."""
    self._start, self._steps, self._waited = time.perf_counter(), 0, 0.0

  def step(self, *, waited: float) -> None:
    """Counts a step and the seconds that it waited for data."""
    self._steps += 1
    self._waited += waited

  def read(self) -> tuple[float, float]:
    """Steps per second and the share of time spent waiting; starts anew."""
    elapsed = max(time.perf_counter() - self._start, 1e-9)
    result = self._steps / elapsed, self._waited / elapsed
    self.restart()
    return result
