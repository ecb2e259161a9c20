"""Iterating on many independent frames, each until it has converged.

Frames take very different numbers of iterations. A working set of slots
iterates in step; slots whose frames are done are given the next frames of the
queue, and when the queue is empty the set shrinks. All of it is one compiled
program of static shapes.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

Tree = Any  # Of arrays whose leading axis are frames, or slots that hold them.

_SHRINKAGE = 8  # To the next size; each size is compiled once.


class Method(NamedTuple):
  """An iteration on a set of frames.

  Attributes:
    start: `start(problems)` to the states before the first step.
    step: `step(problems, states)` to the next states. Frames that are done are
      stepped along with the others; their results must stay.
    is_done: `is_done(states)` to `[slots]` bool.
    result: `result(states)` to what is kept of finished frames.
  """

  start: Callable[[Tree], Tree]
  step: Callable[[Tree, Tree], Tree]
  is_done: Callable[[Tree], jax.Array]
  result: Callable[[Tree], Tree]


class _Progress(NamedTuple):
  """Where a run stands.

  Attributes:
    held: `[slots]` which frame each slot holds; `capacity`: none.
    problems: of the frames held.
    states: of the frames held.
    results: `[capacity, …]`.
    queued: the first frame that no slot has had.
  """

  held: jax.Array
  problems: Tree
  states: Tree
  results: Tree
  queued: jax.Array


def run(method: Method, problems: Tree, count: jax.Array, slots: int) -> Tree:
  """Iterates on the first `count` frames until all are done.

  Args:
    method: what to iterate.
    problems: of the frames, arrays `[capacity, …]`.
    count: how many of them there are; the rest is padding.
    slots: how many iterate together.

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
    progress = _iterate(method, problems, count, progress, remaining)
    progress = _shrink(progress, remaining, capacity)
    slots = remaining
  return progress.results


def _iterate(
  method: Method,
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
  method: Method, problems: Tree, count: jax.Array, progress: _Progress
) -> _Progress:
  """Puts away the results of what is done, and takes from the queue."""
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


def _shrink(progress: _Progress, slots: int, capacity: int) -> _Progress:
  """Leaves the slots that hold frames, in a smaller set."""
  order = jnp.argsort(progress.held == capacity)[:slots]
  return progress._replace(
    held=progress.held[order],
    problems=_take(progress.problems, order),
    states=_take(progress.states, order),
  )


def _take(tree: Tree, index: jax.Array) -> Tree:
  return jax.tree.map(lambda x: x.at[index].get(mode="clip"), tree)
