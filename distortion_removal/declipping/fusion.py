"""Weighted means of declippers: better than each of them, for any clipping.

What the true samples may be is a convex set, and a mean of results within it is
within it. The errors of a low-rank model, of sparse frames and of a weighted l1
norm differ, so that they partly cancel; and which of them is best depends on
how hard a recording was clipped. The input SDR, which is not known, is that of
the recording against a first result: on our validation recordings it is right
to 0.1 dB in the median, from 1 to 20 dB.

The weights were chosen on ten excerpts of guitar, piano, saxophone and
orchestra (validation and training recordings, 44.1 kHz).
"""

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from distortion_removal.common.errors import UserError
from distortion_removal.declipping.clip_level import (
  ClipLevel,
  Rails,
  as_samples,
  bounds,
  clip_signs,
  resolve_rails,
)
from distortion_removal.declipping.gabor import check_frames
from distortion_removal.declipping.nmf import nmf
from distortion_removal.declipping.parabola import parabola
from distortion_removal.declipping.spade import aspade

# Input SDRs in dB, between which weights are interpolated.
_SDRS_DB = (1.0, 3.0, 7.0, 15.0, 20.0)


class Preset(NamedTuple):
  """The members of a mean, and their weights at each of the input SDRs.

  Attributes:
    nmf: for each frame length, as a part of the longest: weights.
    aspade: weights of the mean over the frame lengths `aspade_parts`.
    parabola: weights.
    aspade_parts: A-SPADE's frame lengths, as parts of the longest.
    step: coefficients that A-SPADE lets in at a time, for 8192 samples.
    epsilon: norm at which A-SPADE's frames are done, in units of the rail.
    iterations: of the low-rank model.
    rank: of the low-rank model.
    hop_factor: of the low-rank model's hop, in units of the others'.
  """

  nmf: Mapping[float, tuple[float, ...]]
  aspade: tuple[float, ...] = (0.0,) * 5
  parabola: tuple[float, ...] = (0.0,) * 5
  aspade_parts: tuple[float, ...] = ()
  step: int = 0
  epsilon: float = 0.25
  iterations: int = 400
  rank: int = 128
  hop_factor: int = 1


PRESETS = {
  "fast": Preset({1: (1.0,) * 5}, iterations=300, rank=48, hop_factor=2),
  "normal": Preset(
    {
      1: (0.55, 0.4, 0.3, 0.3, 0.34),
      1 / 2: (0.15, 0.35, 0.25, 0.3, 0.33),
      1 / 4: (0.0, 0.0, 0.2, 0.3, 0.33),
    },
    aspade=(0.3, 0.25, 0.25, 0.1, 0.0),
    aspade_parts=(1,),
    step=8,
    epsilon=1.4,
  ),
  "best": Preset(
    {
      1: (0.6, 0.35, 0.2, 0.2, 0.2),
      1 / 2: (0.05, 0.3, 0.2, 0.2, 0.2),
      1 / 4: (0.0, 0.0, 0.2, 0.2, 0.2),
    },
    aspade=(0.35, 0.35, 0.2, 0.05, 0.0),
    parabola=(0.0, 0.0, 0.2, 0.35, 0.4),
    aspade_parts=(1, 1 / 2, 1 / 4),
    step=2,
    iterations=1000,
  ),
}


class FusionInfo(NamedTuple):
  """A record of the work.

  Attributes:
    rails: where the audio was taken to be clipped.
    input_sdr_db: `[batch, channels]`, as estimated; NaN where none is clipped.
    weights: `[batch, channels]` of each member, by name and frame length.
  """

  rails: Rails
  input_sdr_db: np.ndarray
  weights: dict[str, np.ndarray]


def fusion(
  preset: str,
  audio: np.ndarray,
  clip_level: ClipLevel | None = None,
  *,
  frame: int = 4096,
  hop: int = 1024,
  largest: Mapping[int, float] | None = None,
  precision: str = "float32",
  show_progress: bool = False,
) -> tuple[np.ndarray, FusionInfo]:
  """Declips audio with a mean of declippers that suits its input SDR.

  At 44.1 kHz take a frame of 8192.

  Args:
    preset: a key of `PRESETS`.
    audio: `[batch, time, channels]`, 1.0 is full scale.
    clip_level: see `resolve_rails`; None: found from the audio.
    frame: samples of the longest frame; the others are a half and a quarter.
    hop: samples between the longest frames, a multiple of 4; others follow.
    largest: see `nmf`; needed for all of `low_rank_sizes`.
    precision: `float32` or `float64`, of the members.
    show_progress: bars on a terminal, log lines elsewhere, for long work.

  Returns:
    `[batch, time, channels]`, float64 if audio or precision is and otherwise
    float32, and a record of the work. Reliable samples come back as they are.

  Raises:
    UserError: the audio is not finite, or a frame cannot be used.
  """
  check_frames(frame, hop, 1)
  if hop % 4:
    raise UserError(f"frame {frame} with hop {hop}: the hop is a multiple of 4")
  audio = as_samples(audio)
  rails = resolve_rails(audio, clip_level)
  signs = clip_signs(audio, rails)
  low, high = bounds(audio, rails, signs)
  shared = {"precision": precision, "show_progress": show_progress}
  low_rank, others = _members(preset, frame, hop, largest)
  results = {
    name: declip(audio, rails, **shared)[0]
    for name, (declip, _) in low_rank.items()
  }
  first = np.mean(list(results.values()), axis=0)
  sdr_db = _sdr_db(first, np.clip(0.0, low, high))
  sdr_db = np.where((signs != 0).any(axis=1), sdr_db, np.nan)
  # Where nothing is clipped, all results are the same.
  known_db = np.nan_to_num(sdr_db, nan=_SDRS_DB[-1])
  weights = {}
  for name, (declip, weight) in (low_rank | others).items():
    weights[name] = np.interp(known_db, _SDRS_DB, weight)
    if name in others and np.any(weights[name] > 0):
      results[name], _ = declip(audio, rails, **shared)
  total = sum(weights[name] for name in results)
  mean = sum((weights[n] / total)[:, None] * results[n] for n in results)
  restored = np.where(signs == 0, audio, np.clip(mean, low, high))
  restored = restored.astype(np.result_type(audio, precision))
  return restored, FusionInfo(rails, sdr_db, weights)


fast, normal, best = (functools.partial(fusion, name) for name in PRESETS)


def low_rank_sizes(preset: str, frame: int, hop: int) -> list[tuple[int, int]]:
  """Returns the frames and hops of a preset's low-rank models."""
  chosen = PRESETS[preset]
  hop *= chosen.hop_factor
  return [(round(x * frame), round(x * hop)) for x in chosen.nmf]


Members = dict[str, tuple[Callable, Sequence[float]]]


def _members(
  preset: str, frame: int, hop: int, largest: Mapping[int, float] | None
) -> tuple[Members, Members]:
  """Returns the low-rank models and the others: functions and weights."""
  chosen = PRESETS[preset]
  low_rank, others = {}, {}
  sizes = low_rank_sizes(preset, frame, hop)
  for size, weight in zip(sizes, chosen.nmf.values(), strict=True):
    options = {"rank": chosen.rank, "iterations": chosen.iterations}
    options |= {"largest": largest, "frame": size[0], "hop": size[1]}
    low_rank[f"nmf {size[0]}"] = functools.partial(nmf, **options), weight
  for part in chosen.aspade_parts:
    length = round(part * frame)
    step = max(1, chosen.step * length // 8192)
    options = {"s": step, "r": 1, "epsilon": chosen.epsilon, "relative": True}
    options |= {"frame": length, "hop": round(part * hop)}
    others[f"aspade {length}"] = (
      functools.partial(aspade, **options),
      np.array(chosen.aspade) / len(chosen.aspade_parts),
    )
  declip = functools.partial(parabola, frame=frame, hop=hop)
  others[f"parabola {frame}"] = declip, chosen.parabola
  return low_rank, others


def _sdr_db(signal: np.ndarray, clipped: np.ndarray) -> np.ndarray:
  """Returns each channel's SDR."""
  energy = np.sum(np.square(signal, dtype=np.float64), axis=1)
  change = np.sum(np.square(signal - clipped, dtype=np.float64), axis=1)
  # Below any sample's square, so that no channel divides by zero.
  energy, change = np.maximum((energy, change), 1e-30)
  return 10 * np.log10(energy / change)
