"""Finds an effect's settings from a recording alone, and how sure they are.

The criterion's valley is 0.4 dB of gain by 0.4 % of scale wide where the effect
is gentle, so a fine grid on the loudest second and a half comes first. The grid
has a low order of prediction, for speed; the last steps have a high one, whose
residual of music with steady tones is smaller: on our validation recordings it
takes the error of the scale from 2e-4 to 5e-5.

Of shift, offset and the DC of the clean signal one is free: a signal that is
higher by d, a shift that is lower by gain d and an offset that is lower by
dry scale d make the same recording. So the offset is held at 0, and settled
afterwards, see `settings.with_usual_colour`. Without clean signal the gain is
the clean signal's, and the shift its DC: only the scale is sought.
"""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from distortion_removal.effects.invertible import (
  OVERDRIVE,
  Invertible,
  Parameters,
)
from distortion_removal.inversion.quality import Evidence, evidence
from distortion_removal.inversion.recording import (
  CANDIDATES,
  GAIN,
  SCALE,
  SHIFT,
  cut,
  in_threads,
  loudest,
  parameters_of,
  sizes,
)
from distortion_removal.inversion.search import descend, separate_minima
from distortion_removal.inversion.settings import step_of

# As `recording` numbers them.
_NAMES = ("gain_db", "scale", "shift")
_GAINS_DB = np.arange(10.0, 61.0, 2.0)
_STARTS = 6
_LANES = CANDIDATES * _STARTS  # that the coarse search is compiled for
_STEPS = np.array([1.0, 0.6, 0.03])  # first deviations from the starts
_KEPT = 3
# Colours of 0 to 100, and what cutting off samples adds to them.
_USUAL_SHIFTS = -0.1, 0.6
_FEWEST_BLOCKS = 30  # that are loud, of 16 ms
# How far J of the recording as it is may lie above that of an effect in vain:
# clean recordings stay below 0.1, and an overdrive of 20 dB reaches 0.48.
_HOPELESS = 0.05
_LOUDEST_SECONDS = 1.5
LONGEST_SECONDS = 10.0
_SKIPPED_SECONDS = 0.1


class Estimate(NamedTuple):
  """What was found.

  Attributes:
    effect: taken to have been applied.
    parameters: the settings, floats.
    criterion: J with them.
    as_is: J of the recording taken as clean.
    sharpness: what J rises by, at least, where the scale is off by 0.3 %.
    evidence: of how good the result is; None: not known for this effect.
  """

  effect: Invertible
  parameters: Parameters
  criterion: float
  as_is: float
  sharpness: float
  evidence: Evidence | None = None

  @property
  def gain_db(self) -> float:
    """The gain in dB."""
    return 20.0 * float(np.log10(self.parameters.gain))

  @property
  def likelihood_gain(self) -> float:
    """The distance of J below that of the recording taken as clean."""
    return self.as_is - self.criterion

  @property
  def is_certain(self) -> bool:
    """Tells whether this effect made the recording, to all appearance.

    A wrong effect, or none, has no sharp minimum: on recordings that are clean,
    clipped or driven otherwise the sharpness stays below 0.002.
    """
    # Without clean signal the gain is that of the clean signal, and unknown.
    low, high = _USUAL_SHIFTS
    is_usual = not self.effect.dry or (
      12.0 <= self.gain_db <= 55.0 and low <= self.parameters.shift <= high
    )
    return is_usual and self.likelihood_gain >= 0.1 and self.sharpness >= 0.01

  @property
  def is_likelier(self) -> bool:
    """Tells whether the effect is likelier than none.

    That is little: a soft curve of any kind explains much. But it is all that
    gentle ones leave, whose minima are wide.
    """
    return self.likelihood_gain >= 0.02


def estimate(
  effect: Invertible,
  audio: np.ndarray,
  sample_rate: int,
  *,
  is_start: bool = True,
  known: Mapping[str, float] = MappingProxyType({}),
  step: float | None = None,
) -> Estimate | None:
  """Finds the settings under which an effect made a recording of music.

  Args:
    effect: the effect.
    audio: `[time]`; of more than ten seconds the first ten count.
    sample_rate: in Hz.
    is_start: whether the effect began with the audio, as at a file's start.
    known: settings that are given, by name: "gain_db", "scale" and "shift".
    step: between the levels of the file that it comes from; default: as seen.

  Returns:
    The estimate, or None where there is too little sound.

  Source: none is published; see docs/inversion.md.
  """
  audio = np.asarray(audio[: round(LONGEST_SECONDS * sample_rate)], np.float64)
  step = step_of(audio) if step is None else step
  with jax.enable_x64(True):
    return _estimate(effect, audio, sample_rate, is_start, known, step)


def _estimate(
  effect: Invertible,
  audio: np.ndarray,
  rate: int,
  is_start: bool,
  known: Mapping[str, float],
  step: float,
) -> Estimate | None:
  free = (GAIN, SCALE, SHIFT) if effect.dry else (SCALE,)
  free = tuple(k for k in free if _NAMES[k] not in known)
  blocks = sizes(rate, block_ms=16, part_ms=1, order=96)
  # What the effect remembers at a cut is not known, but matters little soon.
  skipped = 0 if is_start else round(_SKIPPED_SECONDS * rate)
  medium = cut(effect, audio, blocks, 100, skipped)
  fine = cut(effect, audio, blocks, 400, skipped)
  if fine is None or np.count_nonzero(fine.weights) < _FEWEST_BLOCKS:
    return None

  def find_starts() -> tuple[np.ndarray | None, bool]:
    if not free:
      return _given(known), False
    return _coarse(effect, audio, rate, skipped, known, free)

  def compile_ahead() -> None:
    if free:
      medium.descend(np.zeros(3), free, rounds=1, least=np.inf)

  (starts, is_hopeful), _ = in_threads(
    lambda work: work(), [find_starts, compile_ahead]
  )
  if starts is None:
    return None
  settings = starts[0]
  if is_hopeful:
    found = in_threads(lambda x: medium.descend(x, free, 8, 1e-4), starts)
    settings = min(found, key=lambda pair: pair[1])[0]
    settings, _ = fine.descend(settings, free, 6, 1e-7)
  off = np.zeros((3, 3))
  off[:, SCALE] = 100.0 * np.log(1.003) * np.array([0, -1, 1])
  least, *around = fine.objective(CANDIDATES)(settings + off)
  sharpness = float(min(around) - least)
  seen = None
  if effect is OVERDRIVE:  # others are not calibrated
    seen = evidence(fine, settings, sharpness, step)
  parameters = Parameters(*(x.item() for x in parameters_of(settings[None])))
  as_is = fine.as_is(CANDIDATES)
  return Estimate(effect, parameters, float(least), as_is, sharpness, seen)


def _given(known: Mapping[str, float]) -> np.ndarray:
  """Returns settings that are all given, `[1, 3]`."""
  start = np.zeros((1, 3))
  start[0, GAIN] = known.get("gain_db", 0.0)
  start[0, SCALE] = 100.0 * np.log(known["scale"])
  start[0, SHIFT] = known.get("shift", 0.0)
  return start


def _coarse(
  effect: Invertible,
  audio: np.ndarray,
  rate: int,
  skipped: int,
  known: Mapping[str, float],
  free: Sequence[int],
) -> tuple[np.ndarray | None, bool]:
  """Finds the best settings by the loudest part.

  Returns:
    `[starts, 3]`, None: it has too little sound; and whether to search on.
  """
  length = round(_LOUDEST_SECONDS * rate)
  first = loudest(audio, length)
  part = audio[first : first + length]
  part = np.pad(part, (0, length - len(part)))
  blocks = sizes(rate, block_ms=32, part_ms=32, order=16)
  if first:
    skipped = round(_SKIPPED_SECONDS * rate)
  recording = cut(effect, part, blocks, 32, skipped, at_once=32)
  if recording is None:
    return None, False
  scales = np.abs(part).max() / _peaks(effect)
  gains = _GAINS_DB if effect.dry else np.zeros(1)
  scales = np.array([known["scale"]]) if "scale" in known else scales
  gains = np.array([known["gain_db"]]) if "gain_db" in known else gains
  grid = np.zeros((len(gains), len(scales), 3))
  grid[..., GAIN], grid[..., SCALE] = gains[:, None], 100.0 * np.log(scales)
  grid[..., SHIFT] = known.get("shift", 0.0)
  values = recording.objective(_LANES)(grid.reshape(-1, 3))
  flat = grid.reshape(-1, 3)

  def is_near(one: int, other: int) -> bool:
    return bool(np.all(np.abs(flat[one] - flat[other])[:2] <= [3.0, 6.0]))

  minima = separate_minima(values.reshape(grid.shape[:2]), is_near, _STARTS)
  starts = np.stack([grid[index] for index in minima])
  starts = np.pad(starts, ((0, _STARTS - len(starts)), (0, 0)), mode="edge")
  steps = _STEPS * [k in free for k in range(3)]
  best, least = descend(
    recording.objective(_LANES),
    starts,
    np.maximum(steps, 1e-12),
    population=CANDIDATES,
    generations=8,
  )
  kept = separate_minima(
    least[:, None],
    lambda i, j: bool(np.all(np.abs(best[i] - best[j])[:2] <= [0.5, 0.5])),
    _KEPT,
  )
  starts = np.stack([best[row] for row, _ in kept])
  gained = recording.as_is(_LANES) - least.min()
  return starts, not (effect.dry and gained < _HOPELESS)


def _peaks(effect: Invertible) -> np.ndarray:
  """Returns what the effect's output may have had as its peak."""
  if effect.dry or effect.blocks_dc:
    return np.exp(np.arange(np.log(0.5), np.log(1.3), 0.0125))
  driven = np.exp(np.arange(np.log(0.1), np.log(40.0), 0.03))
  return effect.wet * np.asarray(effect.curve.apply(jnp.asarray(driven)))
