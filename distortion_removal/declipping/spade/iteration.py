"""The iteration that A-SPADE and S-SPADE share: the SParse Audio DEclipper.

A frame y is clipped; sought is a consistent frame x (the reliable samples are
y's, the clipped ones lie at the rail or beyond) whose spectrum is sparse. With
A the zero-padded DFT, scaled so that A*A = 1, the alternating direction method
of multipliers takes in turn

    z = the k largest of v, the rest 0        v = spectrum of x, + u
    x = the consistent frame nearest to z - u, in the transform's sense
    u = u + spectrum of x - z

until the spectrum of x is within epsilon of z, k growing on the way.

Here x = y + d, and only d is iterated, which is 0 on reliable samples and has
the rail's sign on clipped ones. With D the spectrum of d and t = z - u - A y,

    t' = D where z is kept, t - D - A y elsewhere

is all there is to a step (z and u need no arrays of their own), and what goes
through the transforms, t and d, is small: the rounding of float32 is relative
to what is missing, not to the frame. At 1024 samples most frames then select
what they select in float64; the thousands of iterations that 8192 samples take
meet near-ties in any case. (Spectra below are not scaled by A; norms are.)
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from distortion_removal.common.errors import UserError
from distortion_removal.declipping.spade import selection, working_set

_LARGEST = 1 << 24

Transform = Callable[[jax.Array], jax.Array]
# `(target r, nearest change to it, consistent change d, transform)` to D.
NewSpectrum = Callable[[jax.Array, jax.Array, jax.Array, Transform], jax.Array]


class Settings(NamedTuple):
  """What the iteration depends on; see `baselines.aspade`."""

  frame: int = 1024
  hop: int = 256
  redundancy: int = 2
  s: int = 1
  r: int = 1

  def check(self) -> None:
    """Raises UserError where a setting cannot work."""
    for name, value in self._asdict().items():
      if not isinstance(value, int | np.integer) or not 1 <= value <= _LARGEST:
        raise UserError(f"{name} must be a whole number from 1 on, not {value}")
    if self.frame % 2 or self.frame % self.hop or self.frame < 2 * self.hop:
      raise UserError(
        f"a frame of {self.frame} samples with hop {self.hop} cannot be put "
        "together again: take an even frame and half, a quarter, ... of it"
      )

  @property
  def size(self) -> int:
    """Samples of the DFT."""
    return self.redundancy * self.frame

  @property
  def iteration_limit(self) -> int:
    """Where k has passed all bins."""
    return math.ceil((self.size / 2 + 1) * self.r / self.s)


class Problem(NamedTuple):
  """Clipped frames.

  Attributes:
    windowed: `[frames, frame]`.
    signs: `[frames, frame]` int8: 1 clipped above, -1 below, 0 reliable.
    epsilon: `[frames]`, the norm to reach.
  """

  windowed: jax.Array
  signs: jax.Array
  epsilon: jax.Array


class _State(NamedTuple):
  """Of frames; `observed`, `spectrum` and `target` are A y, D and t.

  `rank` orders the bins, `best` is the change of the smallest norm so far.
  """

  observed: jax.Array
  spectrum: jax.Array
  target: jax.Array
  rank: jax.Array
  change: jax.Array
  k: jax.Array
  threshold: jax.Array
  iterations: jax.Array
  converged: jax.Array
  best: jax.Array
  best_norm: jax.Array


class Result(NamedTuple):
  """Of frames: `change` is what to add to them.

  `iterations` counts the steps before the norm was reached, or the limit.
  """

  change: jax.Array
  iterations: jax.Array
  converged: jax.Array


class Spade(NamedTuple):
  """A- or S-SPADE, which differ in the spectrum of x."""

  settings: Settings
  new_spectrum: NewSpectrum

  def method(self) -> working_set.Method:
    """The iteration, for a working set."""
    return working_set.Method(
      self._start, self._step, self._is_done, self._result
    )

  def _transform(self, frames: jax.Array) -> jax.Array:
    return jnp.fft.rfft(frames, self.settings.size)

  def _start(self, problem: Problem) -> _State:
    observed = self._transform(problem.windowed)
    silence = jnp.zeros_like(problem.windowed)
    zero = jnp.zeros(len(silence), jnp.int32)
    return _State(
      observed=observed,
      spectrum=jnp.zeros_like(observed),
      target=jnp.zeros_like(observed),
      rank=_rank(observed),
      change=silence,
      k=zero + self.settings.s,
      threshold=jnp.max(_rank(observed), -1),
      iterations=zero,
      converged=jnp.zeros(len(silence), bool),
      best=silence,
      best_norm=jnp.full_like(problem.epsilon, jnp.inf),
    )

  def _is_done(self, state: _State) -> jax.Array:
    return state.converged | (state.iterations >= self.settings.iteration_limit)

  def _step(self, problem: Problem, state: _State) -> _State:
    active = ~self._is_done(state)
    threshold = selection.kth_largest(
      state.rank, state.k, state.threshold, active
    )
    kept = state.rank >= threshold[:, None]
    minus_u = state.target - state.spectrum
    gap = jnp.where(kept, minus_u, state.observed + state.spectrum)
    norm = _norm(gap)
    better = active & (norm <= state.best_norm)
    converged = state.converged | (active & (norm <= problem.epsilon))

    target = jnp.where(kept, state.spectrum, minus_u - state.observed)
    nearest = jnp.fft.irfft(target, self.settings.size)
    nearest = nearest[:, : self.settings.frame]
    change = _consistent(nearest, problem.signs)
    spectrum = self.new_spectrum(target, nearest, change, self._transform)
    iterations = state.iterations + (active & ~converged)
    grows = (iterations + 1) % self.settings.r == 0
    return _State(
      observed=state.observed,
      spectrum=spectrum,
      target=target,
      # Held for the next step: see `selection.kth_largest`.
      rank=_rank(state.observed + 2.0 * spectrum - target),
      change=change,
      k=state.k + jnp.where(grows, self.settings.s, 0),
      threshold=threshold,
      iterations=iterations,
      converged=converged,
      best=jnp.where(better[:, None], state.change, state.best),
      best_norm=jnp.where(better, norm, state.best_norm),
    )

  def _result(self, state: _State) -> Result:
    return Result(state.best, state.iterations, state.converged)


def _rank(spectrum: jax.Array) -> jax.Array:
  """What the bins are ordered by: their energies, DC's as of half of it.

  So it is in the reference results, as conjugate pairs are one choice.
  """
  factor = np.ones(spectrum.shape[-1])
  factor[0] = 0.25
  return _square(spectrum) * factor.astype(spectrum.real.dtype)


def _norm(spectrum: jax.Array) -> jax.Array:
  """Norms of the whole scaled spectra that half spectra stand for."""
  bins = spectrum.shape[-1]
  weights = np.full(bins, 2.0)
  weights[[0, -1]] = 1.0
  weights /= 2 * (bins - 1)
  energy = _square(spectrum) * weights.astype(spectrum.real.dtype)
  return jnp.sqrt(jnp.sum(energy, -1))


def _square(spectrum: jax.Array) -> jax.Array:
  return spectrum.real**2 + spectrum.imag**2


def _consistent(change: jax.Array, signs: jax.Array) -> jax.Array:
  """The nearest change that leaves what is reliable and passes no rail."""
  beyond = jnp.where(
    signs > 0, jnp.maximum(change, 0.0), jnp.minimum(change, 0.0)
  )
  return jnp.where(signs == 0, 0.0, beyond)
