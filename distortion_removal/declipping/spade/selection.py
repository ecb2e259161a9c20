"""The k largest values of each row, without sorting.

Hard thresholding needs a number that separates the k largest from the rest, not
their order. It is searched for by counting the values that reach a guess. An
iterative method asks again and again, and its spectrum moves little between two
questions: the previous answer is the first guess.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp

_GROWTH = 4
_OCTAVES = 16  # The longest step; numbers cover some 250.
# In every eighth step the interval is halved whatever the counts suggest.
_HALVED_EVERY = 8


class _Search(NamedTuple):
  """Thresholds of each row, as bits, and how many values reach them."""

  lower: jax.Array  # at least k values reach it
  upper: jax.Array  # fewer do
  lower_count: jax.Array
  upper_count: jax.Array
  step: jax.Array
  turn: jax.Array


def kth_largest(
  values: jax.Array, k: jax.Array, guess: jax.Array, wanted: jax.Array
) -> jax.Array:
  """Finds a threshold per row that exactly k of its values reach.

  Works on the bits of the numbers, which are ordered as the numbers are if
  these are not negative; a step in bits is one in the logarithm. Growing steps
  lead from the guess to the other side of the answer. Then the interval is
  divided where the answer lies if its values are evenly spread. All rows take
  as many turns as the slowest one, about nine for 16 rows of a spectrum.

  Args:
    values: `[rows, columns]` float32 or float64, none negative. They must be
      held in memory, not be computed where they are read: a compiler may round
      the same formula differently in two places.
    k: `[rows]` int32, from 1 on; one beyond `columns` counts as `columns`.
    guess: `[rows]`, of the type of `values`: where to begin.
    wanted: `[rows]` bool; the other rows' answers may be anything.

  Returns:
    `[rows]`, of the type of `values`. Where equal values leave no such number,
    it is the k-th largest, which more than k values reach.
  """
  k = jnp.minimum(k, values.shape[-1])
  octave = 1 << jnp.finfo(values.dtype).nmant
  longest = _OCTAVES * octave
  infinity = _bits(jnp.asarray(jnp.inf, values.dtype))

  def count(bits: jax.Array) -> jax.Array:
    # XLA vectorises the sum of floats best; it is exact up to 2^24.
    reached = values >= _number(bits)[:, None]
    return jnp.sum(reached.astype(jnp.float32), -1).astype(jnp.int32)

  def unfinished(search: _Search) -> jax.Array:
    apart = search.upper - search.lower > 1
    return jnp.any(wanted & (search.lower_count != k) & apart)

  def narrow(search: _Search) -> _Search:
    trial = _trial(search, k, infinity)
    step = jnp.minimum(search.step * _GROWTH, longest)
    search = search._replace(step=step, turn=search.turn + 1)
    return _with(search, trial, count(trial), k)

  first = _bits(guess)
  first_count = count(first)
  ranks_off = 1 + jnp.abs(first_count - k)
  whole = _Search(
    lower=jnp.zeros_like(first),
    upper=jnp.full_like(first, infinity),
    lower_count=jnp.full_like(k, values.shape[-1]),
    upper_count=jnp.zeros_like(k),
    step=jnp.minimum(ranks_off * (octave / k), longest).astype(first.dtype),
    turn=jnp.asarray(0),
  )
  search = _with(whole, first, first_count, k)
  found = _number(jax.lax.while_loop(unfinished, narrow, search).lower)
  # Devices that take denormal numbers for zero count zeros as reaching them.
  return jnp.where(found < jnp.finfo(found.dtype).tiny, 0.0, found)


def _bits(numbers: jax.Array) -> jax.Array:
  integer = jnp.int64 if numbers.dtype.itemsize == 8 else jnp.int32
  return jax.lax.bitcast_convert_type(numbers, integer)


def _number(bits: jax.Array) -> jax.Array:
  number = jnp.float64 if bits.dtype.itemsize == 8 else jnp.float32
  return jax.lax.bitcast_convert_type(bits, number)


def _with(
  search: _Search, trial: jax.Array, count: jax.Array, k: jax.Array
) -> _Search:
  """Returns the search with one more threshold counted."""
  enough = count >= k
  return search._replace(
    lower=jnp.where(enough, trial, search.lower),
    upper=jnp.where(enough, search.upper, trial),
    lower_count=jnp.where(enough, count, search.lower_count),
    upper_count=jnp.where(enough, search.upper_count, count),
  )


def _trial(search: _Search, k: jax.Array, infinity: jax.Array) -> jax.Array:
  """Returns the next threshold, strictly between the two known ones."""
  low, high = search.lower, search.upper
  between = search.lower_count - search.upper_count
  share = (search.lower_count - k + 0.5) / (between + 1.0)
  is_halving = search.turn % _HALVED_EVERY == _HALVED_EVERY - 1
  share = jnp.where(is_halving, 0.5, share)
  trial = low + ((high - low) * share).astype(low.dtype)
  trial = jnp.where(low == 0, high - search.step, trial)
  trial = jnp.where(high == infinity, low + search.step, trial)
  return jnp.clip(trial, low + 1, high - 1)
