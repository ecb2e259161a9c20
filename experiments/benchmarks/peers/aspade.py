"""A-SPADE in NumPy and SciPy, written twice, to compare ours with.

Both follow Kitić, Bertin, Gribonval, "Sparsity and cosparsity for audio
declipping", LVA/ICA 2015: `frame_by_frame` as plainly as can be, `batched` as
fast as NumPy and SciPy were found to get. They share the cutting into frames.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import numpy as np
from scipy import fft, signal

# Samples of the frames that `batched` iterates together: few enough for the
# cache, and enough to hide what NumPy's calls cost.
_GROUP = 2**16


class _Frames(NamedTuple):
  """Windowed frames `[frames, frame]` and where their samples may move.

  Attributes:
    clipped: indices of the frames that have a clipped sample.
    y: the windowed frames.
    low: lower bounds: y, or -infinity for a sample clipped below.
    high: upper bounds: y, or infinity for a sample clipped above.
    join: makes a signal of frames: synthesis by the canonical dual window.
  """

  clipped: np.ndarray
  y: np.ndarray
  low: np.ndarray
  high: np.ndarray
  join: Callable[[np.ndarray], np.ndarray]


def _split(
  audio: np.ndarray, clip_level: float, frame: int, hop: int
) -> _Frames:
  """Every frame, centred on a multiple of hop, that overlaps the signal."""
  before, length = frame // 2, len(audio)
  first = (before - frame) // hop + 1
  starts = hop * np.arange(first, -(-(length + before) // hop)) - before
  padding = -starts[0], starts[-1] + frame - length
  window = signal.get_window("hann", frame)

  def cut(samples: np.ndarray) -> np.ndarray:
    padded = np.pad(samples, padding)
    return np.lib.stride_tricks.sliding_window_view(padded, frame)[::hop]

  # Compared as the audio was clipped, not with what its rounding left.
  level = audio.dtype.type(clip_level)
  above, below = cut(audio >= level), cut(audio <= -level)
  y = window * cut(audio)

  def join(frames: np.ndarray) -> np.ndarray:
    total, weight = np.zeros((2, length + sum(padding)))
    for start, values in zip(starts - starts[0], frames, strict=True):
      total[start : start + frame] += window * values
      weight[start : start + frame] += window**2
    inside = slice(padding[0], padding[0] + length)
    return total[inside] / weight[inside]

  clipped = np.flatnonzero((above | below).any(axis=1))
  bounds = np.where(below, -np.inf, y), np.where(above, np.inf, y)
  return _Frames(clipped, y, *bounds, join)


def _most(size: int, s: int, r: int) -> int:
  """Iterations after which every coefficient would be kept."""
  return -(-(size // 2 + 1) * r // s)


def frame_by_frame(
  audio: np.ndarray,
  clip_level: float,
  *,
  frame: int,
  hop: int,
  max_frames: int | None = None,
  **options: Any,
) -> tuple[np.ndarray, np.ndarray]:
  """Declips one frame after the other in float64.

  Args:
    audio: `[time]`.
    clip_level: magnitude from which samples count as clipped.
    frame: samples of a periodic Hann window, an even number.
    hop: samples between frames.
    max_frames: do so many of the clipped frames, evenly spread, not all.
    **options: `redundancy` of the DFT, `s` coefficients more are kept every `r`
      iterations, and `epsilon`, the distance to stop at.

  Returns:
    The restored signal `[time]` and iterations `[frames]`.
  """
  frames = _split(audio, clip_level, frame, hop)
  restored, iterations = frames.y.copy(), np.zeros(len(frames.y), np.int32)
  chosen = frames.clipped
  if max_frames and max_frames < len(chosen):
    middles = (np.arange(max_frames) + 0.5) * len(chosen) / max_frames
    chosen = chosen[middles.astype(int)]
  for i in chosen:
    bounds = frames.low[i], frames.high[i]
    restored[i], iterations[i] = _declip_frame(frames.y[i], bounds, **options)
  return frames.join(restored), iterations


def _declip_frame(
  y: np.ndarray,
  bounds: tuple[np.ndarray, np.ndarray],
  *,
  redundancy: int,
  s: int,
  r: int,
  epsilon: float,
) -> tuple[np.ndarray, int]:
  size = redundancy * len(y)
  # How often a coefficient of the half spectrum is found in the whole.
  times = np.full(size // 2 + 1, 2.0)
  times[[0, -1]] = 1.0
  x, u, k = y, 0.0, s
  spectrum = np.fft.rfft(x, size, norm="ortho")
  best, least = x, np.inf
  for count in range(_most(size, s, r)):
    wanted = spectrum + u
    rank = np.abs(wanted)
    rank[0] /= 2
    kept = np.argsort(rank)[-k:]
    z = np.zeros_like(wanted)
    z[kept] = wanted[kept]
    distance = np.sqrt(np.sum(times * np.abs(spectrum - z) ** 2))
    if distance <= least:
      best, least = x, distance
    if distance <= epsilon:
      return best, count
    x = np.fft.irfft(z - u, size, norm="ortho")[: len(y)]
    x = np.clip(x, *bounds)
    spectrum = np.fft.rfft(x, size, norm="ortho")
    u = u + spectrum - z
    # The counter begins at 1 and has been raised.
    if (count + 2) % r == 0:
      k += s
  return best, _most(size, s, r)


def batched(
  audio: np.ndarray,
  clip_level: float,
  *,
  frame: int,
  hop: int,
  dtype: Any = np.float64,
  workers: int = 1,
  threads: int = 1,
  **options: Any,
) -> tuple[np.ndarray, np.ndarray]:
  """Declips many frames at once; those that have converged leave the batch.

  Args:
    audio: `[time]`.
    clip_level: magnitude from which samples count as clipped.
    frame: samples of a periodic Hann window, an even number.
    hop: samples between frames.
    dtype: to compute in, float32 or float64.
    workers: threads for the FFTs of a group of frames.
    threads: groups that are iterated at the same time.
    **options: those of `frame_by_frame`, all four.

  Returns:
    The restored signal `[time]` and iterations `[frames]`.
  """
  frames = _split(audio, clip_level, frame, hop)
  restored, iterations = frames.y.copy(), np.zeros(len(frames.y), np.int32)
  rows = max(1, _GROUP // frame)
  groups = np.split(frames.clipped, range(rows, len(frames.clipped), rows))

  def declip(group: np.ndarray) -> None:
    arrays = (frames.y, frames.low, frames.high)
    arrays = [array[group].astype(dtype) for array in arrays]
    result = _declip_group(arrays, workers=workers, **options)
    restored[group], iterations[group] = result

  with ThreadPoolExecutor(threads) as pool:
    list(pool.map(declip, groups))
  return frames.join(restored).astype(dtype), iterations


def _declip_group(
  arrays: list[np.ndarray],
  *,
  redundancy: int,
  s: int,
  r: int,
  epsilon: float,
  workers: int,
) -> tuple[np.ndarray, np.ndarray]:
  """A-SPADE in v = z - u instead of u, of which each step is a choice.

  Ax + u = 2 Ax - v. Where a coefficient is kept, z = 2 Ax - v, so the distance
  Ax - z = v - Ax and the next v, v - (Ax - z), is Ax; elsewhere z = 0, and
  the two change places.
  """
  y, low, high = arrays
  count, frame = y.shape
  size = redundancy * frame
  transform = {"n": size, "norm": "ortho", "workers": workers}
  restored, iterations = y.copy(), np.full(count, _most(size, s, r), np.int32)
  rows, k = np.arange(count), s
  x, best, least = y, y.copy(), np.full(count, np.inf)
  spectrum = v = fft.rfft(x, **transform)
  for step in range(_most(size, s, r)):
    other = v - spectrum
    wanted = spectrum - other
    rank = wanted.real**2 + wanted.imag**2
    rank[:, 0] /= 4
    # Less work than by argpartition, of whose indices a mask has to be made.
    cut = max(size // 2 + 1 - k, 0)
    kept = rank >= np.partition(rank, cut, axis=1)[:, cut, None]
    distance = _norm(np.where(kept, other, spectrum))
    better = distance <= least
    np.copyto(best, x, where=better[:, None])
    least = np.minimum(distance, least)
    v = np.where(kept, spectrum, other)
    done = distance <= epsilon
    if done.any():
      restored[rows[done]], iterations[rows[done]] = best[done], step
      if done.all():
        return restored, iterations
      state = rows, v, low, high, best, least
      rows, v, low, high, best, least = (a[~done] for a in state)
    x = fft.irfft(v, axis=1, **transform)[:, :frame]
    x = np.minimum(np.maximum(x, low), high)
    spectrum = fft.rfft(x, axis=1, **transform)
    if (step + 2) % r == 0:
      k += s
  restored[rows] = best
  return restored, iterations


def _norm(half: np.ndarray) -> np.ndarray:
  """Norms of the whole spectra that half spectra `[frames, bins]` stand for.

  By einsum: the threads that BLAS starts for it wait for each other.
  """
  values = half.view(half.real.dtype)
  energy = 2 * np.einsum("fb,fb->f", values, values)
  return np.sqrt(energy - np.sum(np.abs(half[:, [0, -1]]) ** 2, axis=1))
