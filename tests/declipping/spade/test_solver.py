"""The queue and the shrinking set, on an iteration whose end is known."""

import functools
from types import SimpleNamespace
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from distortion_removal.declipping.spade.solver import iterate


class _Problem(NamedTuple):
  steps: jax.Array
  factor: jax.Array


class _State(NamedTuple):
  left: jax.Array
  total: jax.Array


def _method(on_step=lambda slots: None):
  """Adds `factor` to two totals, `steps` times; never once too often."""

  def start(problem):
    return _State(problem.steps, jnp.zeros((len(problem.steps), 2), jnp.int32))

  def step(problem, state):
    on_step(len(state.left))
    active = state.left > 0
    more = jnp.where(active, problem.factor, 0)[:, None]
    return _State(state.left - active, state.total + more)

  return SimpleNamespace(
    start=start,
    step=step,
    is_done=lambda state: state.left == 0,
    result=lambda state: state.total,
  )


def _problem(count, capacity, most=50):
  rng = np.random.default_rng(count)
  steps = np.zeros(capacity, np.int32)
  steps[:count] = rng.integers(0, most, count)
  return _Problem(steps, np.arange(1, capacity + 1, dtype=np.int32))


@pytest.mark.parametrize("slots", [1, 3, 16])
def test_every_frame_takes_its_own_number_of_steps(slots):
  run = jax.jit(functools.partial(iterate, _method(), slots))
  for count in (0, 1, slots, 40):
    problem = _problem(count, 40)
    results = run(problem, count)
    expected = np.repeat((problem.steps * problem.factor)[:, None], 2, axis=1)
    np.testing.assert_array_equal(results, expected)


def test_the_set_shrinks_to_the_frames_that_are_left():
  stepped = []
  method = _method(lambda n: jax.debug.callback(lambda: stepped.append(n)))
  run = jax.jit(functools.partial(iterate, method, 8))
  steps = np.zeros((3, 48), np.int32)
  steps[0] = _problem(40, 48, most=20).steps
  # One takes much longer than all others.
  steps[1, :20] = [1] * 19 + [100]
  for row, count, most in zip(steps, (40, 20, 8), (1.3, 2.5, 0), strict=True):
    stepped.clear()
    problem = _Problem(row, np.ones(48, np.int32))
    jax.block_until_ready(run(problem, np.int32(count)))
    jax.effects_barrier()
    # Steps of all slots, busy or not: what the work costs.
    assert sum(stepped) <= most * np.sum(row)
