"""Writes a run's numbers, sounds and pictures.

`metrics.jsonl` has one JSON object a line, TensorBoard the same scalars and the
audio and spectrograms of fixed validation excerpts, the log a line for people.
Functions import tensorboardX, which imports PyTorch where that is installed.
"""

import json
import math
import os
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from distortion_removal.common.files import write_whole
from distortion_removal.common.log import logger


class MetricWriter:
  """Writes to `workdir` what comes `after_step`, in the main process only.

  None stands for before the first step: nothing that was written stays.
  """

  def __init__(
    self,
    workdir: Path,
    *,
    after_step: int | None = None,
    is_main: bool = True,
  ):
    self._is_main = is_main
    if is_main:
      from tensorboardX.event_file_writer import EventsWriter

      path = workdir / "metrics.jsonl"
      self._kept = _drop_after(path, -1 if after_step is None else after_step)
      self._file = open(path, "a")  # noqa: SIM115
      (workdir / "tensorboard").mkdir(exist_ok=True)
      # Not a SummaryWriter: its queue is emptied by a thread that a full disk
      # ends, after which the process would wait for ever.
      self._board = EventsWriter(str(workdir / "tensorboard" / "events"))
      if after_step is not None:
        self._start_again(after_step + 1)

  def scalars(self, step: int, values: dict[str, float]) -> None:
    """Writes named numbers of one step."""
    if not self._is_main:
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

  def changes(self, step: int, fields: Mapping[str, Sequence]) -> None:
    """Writes old and new values of configuration fields after one step.

    Not twice, where a run was killed before it could store the new ones.
    """
    line = json.dumps({"step": step, "config": fields}) + "\n"
    if self._is_main and line not in self._kept[-1:]:
      self._file.write(line)
      self._file.flush()

  def keep(self) -> None:
    """Waits until `metrics.jsonl` is on the disk, whatever happens then.

    A checkpoint must not outlive the rows before it.
    """
    if self._is_main:
      os.fsync(self._file.fileno())

  def example(
    self, step: int, name: str, sounds: dict[str, np.ndarray], sample_rate: int
  ) -> None:
    """Writes versions of one excerpt, `[time, channels]` by name."""
    if not self._is_main:
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

  def _start_again(self, step: int) -> None:
    """Has TensorBoard forget what earlier files have from `step` on."""
    from tensorboardX.proto import event_pb2

    log = event_pb2.SessionLog(status=event_pb2.SessionLog.START)
    event = event_pb2.Event(wall_time=time.time(), step=step, session_log=log)
    self._board.write_event(event)
    self._board.flush()

  def _add(self, step: int, value: Any) -> None:
    from tensorboardX.proto import event_pb2

    event = event_pb2.Event(wall_time=time.time(), step=step, summary=value)
    self._board.write_event(event)

  def close(self) -> None:
    """Flushes and closes the files."""
    if self._is_main:
      self._file.close()
      self._board.close()


def _drop_after(path: Path, step: int) -> list[str]:
  """Removes rows of later steps: a killed run logs more than it stores.

  Returns those that stay.
  """
  if not path.exists():
    return []
  lines = path.read_text().splitlines(keepends=True)
  # The last line may have been cut off in the middle.
  whole = [line for line in lines if line.endswith("}\n")]
  kept = [line for line in whole if json.loads(line)["step"] <= step]
  write_whole(path, "".join(kept))
  return kept


class StepTimer:
  """Measures the speed since it was made, read or restarted.

  Steps run asynchronously, so waiting for data may overlap with the step
  before: its share is an upper bound of what it costs.
  """

  def __init__(self, audio_seconds: float):
    self._audio_seconds = audio_seconds  # of a step
    self.restart()

  def restart(self) -> None:
    """Starts anew; call it after anything that is not a step."""
    self._start, self._steps, self._waited = time.perf_counter(), 0, 0.0

  def step(self, *, waited: float) -> None:
    """Counts a step and the seconds that it waited for data."""
    self._steps += 1
    self._waited += waited

  def read(self, steps_left: int) -> dict[str, float]:
    """Returns the speed for the log, and starts anew."""
    elapsed = max(time.perf_counter() - self._start, 1e-9)
    steps_per_second, waiting = self._steps / elapsed, self._waited / elapsed
    self.restart()
    return {
      "speed/steps_per_second": steps_per_second,
      "speed/audio_seconds_per_second": steps_per_second * self._audio_seconds,
      "speed/data_wait_share": waiting,
      "speed/eta_minutes": steps_left / steps_per_second / 60.0,
    }
