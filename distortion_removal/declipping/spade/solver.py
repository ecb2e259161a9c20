"""Iterating on many independent frames, each until it has converged.

Frames take very different numbers of iterations. A working set of slots
iterates in step; slots whose frames are done are given the next frames of the
queue, and when the queue is empty the set shrinks. All of it is one compiled
program of static shapes, the same whatever the length of the audio, and it is
called on all cores.
"""

import functools
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from distortion_removal.declipping.side_by_side import (
  call_side_by_side,
  thread_count,
)
from distortion_removal.declipping.spade.iteration import Problem, Result, Spade

Tree = Any  # Of arrays whose leading axis are frames, or slots that hold them.

# Samples of the frames that iterate together, and bounds of their number: those
# of a CPU should stay in its cache, but fill its vectors; an accelerator wants
# many.
_CPU = 1 << 16, 16, 128
_ACCELERATOR = 1 << 23, 128, 1024
_ROUNDS = 8  # Frames of a call over frames that iterate together.
_SHRINKAGE = 8  # To the next size of the set; each size is compiled once.


def solve(
  method: Spade,
  problem: Callable[[np.ndarray], Problem],
  where: np.ndarray,
  dtype: np.dtype,
) -> Iterator[tuple[np.ndarray, Result]]:
  """Declips frames, a number of them in each call.

  Args:
    method: A- or S-SPADE.
    problem: returns the frames at a part of `where`, NumPy arrays.
    where: `[…, count]`, indices of the frames.
    dtype: type of their samples.

  Yields:
    Parts of `where`, and the results of their frames.
  """
  count = where.shape[1]
  if not count:
    return
  on_cpu = jax.default_backend() == "cpu"
  samples, fewest, most = _CPU if on_cpu else _ACCELERATOR
  slots = min(max(samples // method.frame, fewest), most)
  capacity = _ROUNDS * slots
  threads = thread_count()
  # As many calls for each thread, and as much work in each; first the longest,
  # so that short ones are left to fill up the end.
  calls = min(threads * -(-count // (threads * capacity)), count)
  groups = np.array_split(where, calls, axis=1)
  work = np.concatenate([_work(problem(group)) for group in groups])
  where = where[:, np.argsort(-work, kind="stable")]
  parts = [where[:, i::calls] for i in range(calls)]
  program = _compiled(method, slots, capacity, dtype)

  def call(part: np.ndarray) -> Result:
    size = part.shape[1]
    padded = jax.tree.map(
      lambda x: np.pad(x, [(0, capacity - size), *[(0, 0)] * (x.ndim - 1)]),
      problem(part),
    )
    with jax.enable_x64(dtype == np.float64):
      result = program(padded, np.int32(size))
      return jax.tree.map(lambda x: np.asarray(x)[:size], result)

  yield from call_side_by_side(call, parts)


def _work(problem: Problem) -> np.ndarray:
  """Counts the coefficients that bring each frame within epsilon as it is.

  Of all that is known beforehand, this predicts the iterations best: the rank
  correlation on recordings was 0.85 to 0.96.
  """
  frame = problem.windowed.shape[1]
  spectrum = np.fft.rfft(problem.windowed)
  energy = np.sort(2.0 / frame * (spectrum.real**2 + spectrum.imag**2))
  without = np.cumsum(energy, axis=1) <= problem.epsilon[:, None] ** 2
  return energy.shape[1] - np.sum(without, axis=1)


@functools.cache
def _compiled(
  method: Spade, slots: int, capacity: int, dtype: np.dtype
) -> Callable[[Problem, np.ndarray], Result]:
  """Compiles the program for `capacity` frames, once for all threads."""
  shape = capacity, method.frame
  problems = Problem(
    jax.ShapeDtypeStruct(shape, dtype),
    jax.ShapeDtypeStruct(shape, np.int8),
    jax.ShapeDtypeStruct(shape[:1], dtype),
  )
  count = jax.ShapeDtypeStruct((), np.int32)
  program = jax.jit(functools.partial(iterate, method, slots))
  with jax.enable_x64(dtype == np.float64):
    return program.lower(problems, count).compile()


class _Progress(NamedTuple):
  """The working set and the results so far."""

  held: jax.Array  # [slots], the frame that each slot holds; `capacity`: none
  problems: Tree  # those of the frames held
  states: Tree
  results: Tree  # [capacity, …]
  queued: jax.Array  # the first frame that no slot has had


def iterate(
  method: Spade, slots: int, problems: Tree, count: jax.Array
) -> Tree:
  """Iterates on the first `count` frames until all are done.

  Args:
    method: `start`, `step`, `is_done` and `result` of frames in step.
    slots: frames that iterate together.
    problems: the frames, arrays `[capacity, …]`.
    count: number of frames; the rest is padding.

  Returns:
    The results, arrays `[capacity, …]`; zeros beyond `count`.
  """
  capacity = len(jax.tree.leaves(problems)[0])
  shapes = jax.eval_shape(lambda p: method.result(method.start(p)), problems)
  slot = jnp.arange(slots, dtype=jnp.int32)
  held = jnp.where(slot < count, slot, capacity)
  first = _take(problems, held)
  progress = _Progress(
    held,
    first,
    method.start(first),
    jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), shapes),
    jnp.minimum(slots, count),
  )
  while slots:
    remaining = slots // _SHRINKAGE
    progress = _iterate_set(method, problems, count, progress, remaining)
    # Those that still hold frames, in a smaller set.
    order = jnp.argsort(progress.held == capacity)[:remaining]
    progress = progress._replace(
      held=progress.held[order],
      problems=_take(progress.problems, order),
      states=_take(progress.states, order),
    )
    slots = remaining
  return progress.results


def _iterate_set(
  method: Spade,
  problems: Tree,
  count: jax.Array,
  progress: _Progress,
  remaining: int,
) -> _Progress:
  """Goes on until nothing is queued and at most `remaining` slots are busy."""
  slots = len(progress.held)
  capacity = len(jax.tree.leaves(problems)[0])

  def busy(progress: _Progress) -> jax.Array:
    is_held = progress.held < capacity
    return jnp.sum(is_held & ~method.is_done(progress.states))

  def unfinished(progress: _Progress) -> jax.Array:
    return (progress.queued < count) | (busy(progress) > remaining)

  def burst(progress: _Progress) -> _Progress:
    # Exchanging frames costs about an iteration: worth it for an eighth.
    enough = slots - max(1, slots // 8)
    enough = jnp.where(progress.queued < count, enough, remaining)
    progress = jax.lax.while_loop(
      lambda progress: busy(progress) > enough,
      lambda progress: progress._replace(
        states=method.step(progress.problems, progress.states)
      ),
      progress,
    )
    return _exchange(method, problems, count, progress)

  return jax.lax.while_loop(unfinished, burst, progress)


def _exchange(
  method: Spade, problems: Tree, count: jax.Array, progress: _Progress
) -> _Progress:
  """Stores the results of finished frames and takes others from the queue."""
  capacity = len(jax.tree.leaves(problems)[0])
  done = method.is_done(progress.states) | (progress.held == capacity)
  finished = jnp.where(done, progress.held, capacity)
  results = jax.tree.map(
    lambda kept, new: kept.at[finished].set(new, mode="drop"),
    progress.results,
    method.result(progress.states),
  )
  following = progress.queued + jnp.cumsum(done, dtype=jnp.int32) - 1
  following = jnp.where(following < count, following, capacity)
  held = jnp.where(done, following, progress.held)
  held_problems = _take(problems, held)

  def choose(fresh: jax.Array, old: jax.Array) -> jax.Array:
    return jnp.where(done.reshape(-1, *(1,) * (old.ndim - 1)), fresh, old)

  fresh = method.start(held_problems)
  states = jax.tree.map(choose, fresh, progress.states)
  taken = jnp.sum(done, dtype=jnp.int32)
  queued = jnp.minimum(progress.queued + taken, count)
  return _Progress(held, held_problems, states, results, queued)


def _take(tree: Tree, index: jax.Array) -> Tree:
  return jax.tree.map(lambda x: x.at[index].get(mode="clip"), tree)
