"""The low-rank and the weighted l1 declipper in NumPy and SciPy.

Written apart from ours, from the equations in their modules' docstrings, to
compare speed and results with. A signal is taken as a whole.
"""

from collections.abc import Callable

import numpy as np
from scipy import fft

Rails = tuple[float, float]


def nmf(
  audio: np.ndarray,
  rails: Rails,
  *,
  frame: int,
  hop: int,
  rank: int = 128,
  iterations: int = 400,
  thresholds: tuple[float, float] = (1e-1, 1e-4),
) -> np.ndarray:
  """Declips `[time, channels]`, whole hops, in the precision of the audio."""
  unit, y, project = _constraints(audio, rails)
  _, rotation = np.linalg.eigh(np.float64(y.T @ y))
  rotation = rotation.astype(y.dtype)
  window = tight_window(frame, hop).astype(y.dtype)

  def coefficients(x: np.ndarray) -> np.ndarray:
    turned = (x @ rotation).T
    return np.concatenate([analysis(c, window, hop, frame) for c in turned])

  def signal(spectrum: np.ndarray) -> np.ndarray:
    parts = np.split(spectrum, y.shape[1])
    return np.stack([synthesis(z, window, hop) for z in parts], 1) @ rotation.T

  z = coefficients(y)
  power = _power(z)
  by_channel = power.reshape(y.shape[1], -1, power.shape[1])
  largest = np.sqrt(by_channel.sum(axis=0).max())
  rank = min(rank, int(0.3 * len(power)))
  rng = np.random.default_rng(0)
  h = rng.uniform(size=(len(power), rank))
  w = rng.uniform(size=(rank, power.shape[1]))
  w /= w.sum(axis=1)[:, None]
  h, w = h.astype(y.dtype), w.astype(y.dtype)
  for _ in range(49):
    h, w = _updated(power, h, w)
  x, moved, t = y, y, 1.0
  for threshold in np.geomspace(*thresholds, iterations):
    z = coefficients(project(moved))
    h, w = _updated(_power(z), h, w)
    model = h @ w
    z *= model / (model + y.dtype.type((threshold * largest) ** 2))
    following = signal(z)
    t, before = (1 + np.sqrt(1 + 4 * t * t)) / 2, t
    moved = following + y.dtype.type((before - 1) / t) * (following - x)
    x = following
  return unit * project(x)


def parabola(
  audio: np.ndarray,
  rails: Rails,
  *,
  frame: int,
  hop: int,
  redundancy: int = 2,
  iterations: int = 500,
  step: float = 10.0,
) -> np.ndarray:
  """Declips `[time]`, whole hops, in the precision of the audio."""
  unit, y, project = _constraints(audio, rails)
  size = redundancy * frame
  window = tight_window(frame, hop).astype(y.dtype)
  weight = np.linspace(0, 1, size // 2 + 1, dtype=y.dtype) ** 2
  tiny = np.finfo(y.dtype).tiny
  p = q = y
  u = analysis(y, window, hop, size) / step
  for _ in range(iterations):
    u += analysis(q, window, hop, size) / step
    u *= np.minimum(1, weight / np.maximum(np.abs(u), tiny))
    following = project(p - step * synthesis(u, window, hop))
    q, p = 2 * following - p, following
  return unit * project(q)


def tight_window(frame: int, hop: int) -> np.ndarray:
  """Returns a Hann window whose shifted squares add up to 1."""
  window = np.sin(np.pi * np.arange(frame) / frame) ** 2
  shifted = (np.roll(window, k) for k in range(0, frame, hop))
  return window / np.sqrt(sum(w**2 for w in shifted))


def analysis(
  signal: np.ndarray, window: np.ndarray, hop: int, size: int
) -> np.ndarray:
  """Transforms all frames that overlap `[time]`, zeros being around it."""
  padded = np.pad(signal, len(window) - hop)
  frames = np.lib.stride_tricks.sliding_window_view(padded, len(window))[::hop]
  return fft.rfft(frames * window, size, norm="ortho")


def synthesis(spectrum: np.ndarray, window: np.ndarray, hop: int) -> np.ndarray:
  """Returns the signal `[time]` of frames: the adjoint of `analysis`."""
  frame, count = len(window), len(spectrum)
  parts = fft.irfft(spectrum, norm="ortho")[:, :frame] * window
  parts = parts.reshape(count, -1, hop)
  blocks = np.zeros((count + parts.shape[1] - 1, hop), parts.dtype)
  for i in range(parts.shape[1]):
    blocks[i : i + count] += parts[:, i]
  return blocks.reshape(-1)[frame - hop : hop - frame]


def _constraints(
  audio: np.ndarray, rails: Rails
) -> tuple[float, np.ndarray, Callable[[np.ndarray], np.ndarray]]:
  """Returns the farther rail, audio in its units and the projection there."""
  low, high = (audio.dtype.type(rail) for rail in rails)
  unit = max(abs(low), high)
  y = audio / unit
  lower = np.where(audio <= low, -np.inf, y).astype(y.dtype)
  upper = np.where(audio >= high, np.inf, y).astype(y.dtype)
  return unit, y, lambda x: np.minimum(np.maximum(x, lower), upper)


def _power(z: np.ndarray) -> np.ndarray:
  return z.real**2 + z.imag**2


def _updated(
  power: np.ndarray, h: np.ndarray, w: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
  """Lee and Seung's updates of activations, then of templates of sum 1."""
  floor = power.dtype.type(1e-20)
  h = np.maximum(h * ((power / np.maximum(h @ w, floor)) @ w.T), floor)
  w = w * (h.T @ (power / np.maximum(h @ w, floor))) / h.sum(axis=0)[:, None]
  scale = np.maximum(w.sum(axis=1), floor)
  w = np.maximum(w / scale[:, None], floor)
  return np.maximum(h * scale, floor), w
