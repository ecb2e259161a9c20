"""The iteration of A-SPADE and S-SPADE: the SParse Audio DEclipper.

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
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from distortion_removal.declipping.spade.selection import kth_largest


class Problem(NamedTuple):
  """Clipped frames."""

  windowed: jax.Array  # [frames, frame]
  signs: jax.Array  # of the same shape, int8: 1 clipped above, -1 below, or 0
  epsilon: jax.Array  # [frames], the norm to reach


class _State(NamedTuple):
  """The iteration of frames."""

  observed: jax.Array  # A y
  spectrum: jax.Array  # D
  target: jax.Array  # t
  rank: jax.Array  # orders the bins
  change: jax.Array  # d
  k: jax.Array
  threshold: jax.Array
  iterations: jax.Array
  converged: jax.Array
  best: jax.Array  # the change of the smallest norm so far
  best_norm: jax.Array


class Result(NamedTuple):
  """The end of the iteration of frames."""

  change: jax.Array  # to be added to the frames
  iterations: jax.Array  # steps before the norm was reached, or the limit
  converged: jax.Array


class Spade(NamedTuple):
  """A- or S-SPADE on a set of frames, with the numbers of `spade`."""

  variant: str
  frame: int
  hop: int
  redundancy: int
  s: int
  r: int

  def _transform(self, frames: jax.Array) -> jax.Array:
    return jnp.fft.rfft(frames, self.redundancy * self.frame)

  def start(self, problem: Problem) -> _State:
    """Returns the state before the first step."""
    observed = self._transform(problem.windowed)
    silence = jnp.zeros_like(problem.windowed)
    zero = jnp.zeros(len(silence), jnp.int32)
    return _State(
      observed=observed,
      spectrum=jnp.zeros_like(observed),
      target=jnp.zeros_like(observed),
      rank=_rank(observed),
      change=silence,
      k=zero + self.s,
      threshold=jnp.max(_rank(observed), -1),
      iterations=zero,
      converged=jnp.zeros(len(silence), bool),
      best=silence,
      best_norm=jnp.full_like(problem.epsilon, jnp.inf),
    )

  def is_done(self, state: _State) -> jax.Array:
    """Returns `[frames]` bool; at the limit k has passed all bins."""
    bins = self.redundancy * self.frame / 2 + 1
    limit = math.ceil(bins * self.r / self.s)
    return state.converged | (state.iterations >= limit)

  def step(self, problem: Problem, state: _State) -> _State:
    """Takes a step on all frames; the results of finished ones stay."""
    active = ~self.is_done(state)
    threshold = kth_largest(state.rank, state.k, state.threshold, active)
    kept = state.rank >= threshold[:, None]
    minus_u = state.target - state.spectrum
    gap = jnp.where(kept, minus_u, state.observed + state.spectrum)
    norm = _norm(gap)
    better = active & (norm <= state.best_norm)
    converged = state.converged | (active & (norm <= problem.epsilon))

    target = jnp.where(kept, state.spectrum, minus_u - state.observed)
    nearest = jnp.fft.irfft(target, self.redundancy * self.frame)
    nearest = nearest[:, : self.frame]
    change = _consistent(nearest, problem.signs)
    spectrum = self._spectrum(target, nearest, change)
    iterations = state.iterations + (active & ~converged)
    grows = (iterations + 1) % self.r == 0
    return _State(
      observed=state.observed,
      spectrum=spectrum,
      target=target,
      # Held for the next step: see `kth_largest`.
      rank=_rank(state.observed + 2.0 * spectrum - target),
      change=change,
      k=state.k + jnp.where(grows, self.s, 0),
      threshold=threshold,
      iterations=iterations,
      converged=converged,
      best=jnp.where(better[:, None], state.change, state.best),
      best_norm=jnp.where(better, norm, state.best_norm),
    )

  def _spectrum(
    self, target: jax.Array, nearest: jax.Array, change: jax.Array
  ) -> jax.Array:
    """Returns the new D, given t', the nearest change to it, and d.

    In A-SPADE x is nearest to A*(z - u) in the samples, and D is the spectrum
    of d. In S-SPADE coefficients c take the place of A x: those of a consistent
    frame A*c that are nearest to z - u, which need not be the spectrum of any
    frame: with A*A = 1, z - u + A(x - A*(z - u)). Without redundancy, the two
    are the same.
    """
    if self.variant == "analysis":
      return self._transform(change)
    return target + self._transform(change - nearest)

  def result(self, state: _State) -> Result:
    """Returns the best change so far."""
    return Result(state.best, state.iterations, state.converged)


def _rank(spectrum: jax.Array) -> jax.Array:
  """Returns what orders the bins: their energies, with that of DC quartered.

  The reference results have it so, as conjugate pairs are chosen together.
  """
  factor = np.ones(spectrum.shape[-1])
  factor[0] = 0.25
  return _square(spectrum) * factor.astype(spectrum.real.dtype)


def _norm(spectrum: jax.Array) -> jax.Array:
  """Returns norms of the whole scaled spectra that half spectra stand for."""
  bins = spectrum.shape[-1]
  weights = np.full(bins, 2.0)
  weights[[0, -1]] = 1.0
  weights /= 2 * (bins - 1)
  energy = _square(spectrum) * weights.astype(spectrum.real.dtype)
  return jnp.sqrt(jnp.sum(energy, -1))


def _square(spectrum: jax.Array) -> jax.Array:
  return spectrum.real**2 + spectrum.imag**2


def _consistent(change: jax.Array, signs: jax.Array) -> jax.Array:
  """Returns the nearest change that keeps reliable samples, others outside."""
  beyond = jnp.where(
    signs > 0, jnp.maximum(change, 0.0), jnp.minimum(change, 0.0)
  )
  return jnp.where(signs == 0, 0.0, beyond)
