"""The Python interface: `restore`, `analyze` and `Restorer` on NumPy arrays.

An array goes through the functions that the commands call on files: the numbers
are those that the command `restore` writes to a WAV file of FLOAT (DOUBLE) for
float32 (float64). Nothing is printed; the lines that the commands say go to the
logger `distortion_removal`.
"""

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from distortion_removal import declipping
from distortion_removal import restore as restore_command
from distortion_removal.audio import files
from distortion_removal.common.errors import UserError, look_up
from distortion_removal.common.log import logger
from distortion_removal.inference import analysis, blind
from distortion_removal.inference.automatic import INVERSION
from distortion_removal.inference.finish import Finish
from distortion_removal.inference.method_options import AUTO

__all__ = ["Restorer", "UserError", "analyze", "restore"]

_MOST_CHANNELS = 1024  # that a WAV file can have


class Restorer:
  """Restores one recording after the other in the same way.

  What is compiled for the first one serves those after it.

  Attributes:
    options: what it was made with.
  """

  def __init__(
    self,
    method: str = AUTO,
    *,
    model: str | Path | None = None,
    strength: float = 1.0,
    max_gain_db: float | None = None,
    **options: Any,
  ):
    """Checks the options; those that follow are the command's.

    Args:
      method: "auto": what a recording calls for; "inversion"; or a declipper's
        name, such as "best".
      model: folder of a trained run, or a model file: a network restores.
      strength: 1 for the restored recording, 0 for the input, and between them
        their weighted mean.
      max_gain_db: most by which restored samples lie beyond the clip level.
      **options: `band`, `clip_level`, `knee`, `effect`, `preset` and the
        declipper's own, as in the command's `--help`, with underscores.

    Raises:
      UserError: an option cannot be used.
    """
    named = {} if method == AUTO else {"method": method}
    known = dict.fromkeys((AUTO, INVERSION, *declipping.DECLIPPERS))
    look_up(known, "method", method)
    if not 0.0 <= strength <= 1.0:
      raise UserError(f"strength {strength}: give one from 0 to 1")
    if model is not None:
      named |= {"model": str(model)}
    if max_gain_db is not None and not 0.0 <= max_gain_db < np.inf:
      raise UserError(f"max_gain_db {max_gain_db}: give dB, from 0 on")
    for name in {"subtype", "dither"} & options.keys():
      raise UserError(f"{name} is for files; leave it out")
    given = {k: value for k, value in options.items() if value is not None}
    self.options = named | given
    self._finish = Finish(strength=strength, max_gain_db=max_gain_db)
    restore_command.check_options(self.options)

  def __call__(self, audio: npt.ArrayLike, sample_rate: int) -> np.ndarray:
    """Restores a recording; arguments and result: see `restore`."""
    samples = _as_recording(audio)
    with files.as_files(samples, _rate(sample_rate)) as (source, target):
      restore_command.restore_recording(
        source, target, self.options, self._finish, say=logger.info
      )
      return files.written().reshape(np.shape(audio))


def restore(
  audio: npt.ArrayLike, sample_rate: int, method: str = AUTO, **options: Any
) -> np.ndarray:
  """Takes the distortion out of a recording.

  Args:
    audio: `[time]` or `[time, channels]`, float32 or float64, 1.0 is full
      scale. It is left as it is.
    sample_rate: in Hz.
    method: see `Restorer`; as are the options.

  Returns:
    The restored recording, of the same shape and type. Its peaks may lie beyond
    full scale.

  Raises:
    UserError: the audio or an option cannot be used.
  """
  return Restorer(method, **options)(audio, sample_rate)


def analyze(
  audio: npt.ArrayLike, sample_rate: int, effect: str = "overdrive"
) -> dict[str, Any]:
  """Finds how a recording is clipped, its levels and the effect on it.

  Args:
    audio: see `restore`.
    sample_rate: in Hz.
    effect: to look for, as in the command's `--effect`.

  Returns:
    What the command `analyze --json` prints, without the file's name.
  """
  choice = blind.Choice.parse(effect)
  samples = _as_recording(audio)
  with files.as_files(samples, _rate(sample_rate)) as (source, _):
    return analysis.analyze(source, choice).content


def _as_recording(audio: npt.ArrayLike) -> np.ndarray:
  """Returns audio as `[time, channels]`; UserError if it cannot be."""
  samples = np.asarray(audio)
  if samples.dtype not in (np.float32, np.float64):
    raise UserError(
      f"the audio is {samples.dtype}; give float32 or float64, 1.0 being full "
      "scale: divide int16 by 32768"
    )
  if samples.ndim not in (1, 2) or not samples.size:
    raise UserError(
      f"the audio has shape {samples.shape}; give [time] or [time, channels]"
    )
  samples = samples.reshape(len(samples), -1)
  if samples.shape[1] > _MOST_CHANNELS:
    raise UserError(
      f"the audio has {samples.shape[1]} channels; give [time, channels], "
      "perhaps transposed"
    )
  if not np.isfinite(samples).all():
    raise UserError("the audio holds NaN or infinite samples")
  return samples


def _rate(sample_rate: int) -> int:
  try:
    rate = int(sample_rate)
  except (TypeError, ValueError, OverflowError):
    rate = 0
  if rate != sample_rate or rate < 1:
    raise UserError(f"sample rate {sample_rate}; give a whole number of Hz")
  return rate
