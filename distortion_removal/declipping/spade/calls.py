"""Calls of the compiled iteration of A-SPADE and S-SPADE.

The program has one static shape per setting, whatever the length of the audio.
"""

import functools
from collections.abc import Callable, Iterator

import jax
import numpy as np

from distortion_removal.declipping import side_by_side
from distortion_removal.declipping.spade import iteration, working_set

Solve = Callable[..., Iterator[tuple[np.ndarray, iteration.Result]]]

# Samples of the frames that iterate together, and bounds of their number: those
# of a CPU should stay in its cache, but fill its vectors; an accelerator wants
# many.
_CPU = 1 << 16, 16, 128
_ACCELERATOR = 1 << 23, 128, 1024
_ROUNDS = 8  # Frames of a call over frames that iterate together.


def solve(
  settings: iteration.Settings,
  new_spectrum: iteration.NewSpectrum,
  problem: Callable[[np.ndarray], iteration.Problem],
  where: np.ndarray,
  dtype: np.dtype,
) -> Iterator[tuple[np.ndarray, iteration.Result]]:
  """Declips frames, a number of them in each call.

  Args:
    settings: of the iteration.
    new_spectrum: what makes it A- or S-SPADE.
    problem: gives the frames for a part of `where`, NumPy arrays.
    where: `[2, count]`, which frames.
    dtype: of their samples.

  Yields:
    Parts of `where`, and the results of their frames.
  """
  count = where.shape[1]
  if not count:
    return
  on_cpu = jax.default_backend() == "cpu"
  samples, fewest, most = _CPU if on_cpu else _ACCELERATOR
  slots = min(max(samples // settings.frame, fewest), most)
  capacity = _ROUNDS * slots
  workers = side_by_side.workers()
  # As many calls for each worker, and as much work in each; first the longest,
  # so that short ones are left to fill up the end.
  calls = min(workers * -(-count // (workers * capacity)), count)
  groups = np.array_split(where, calls, axis=1)
  work = np.concatenate([_work(problem(group)) for group in groups])
  where = where[:, np.argsort(-work, kind="stable")]
  parts = [where[:, i::calls] for i in range(calls)]
  program = _compiled(settings, new_spectrum, slots, capacity, dtype)

  def call(part: np.ndarray) -> iteration.Result:
    size = part.shape[1]
    padded = jax.tree.map(
      lambda x: np.pad(x, [(0, capacity - size), *[(0, 0)] * (x.ndim - 1)]),
      problem(part),
    )
    with jax.enable_x64(dtype == np.float64):
      result = program(padded, np.int32(size))
      return jax.tree.map(lambda x: np.asarray(x)[:size], result)

  yield from side_by_side.run(call, parts)


def _work(problem: iteration.Problem) -> np.ndarray:
  """Coefficients that each frame, as it is, needs to be within epsilon.

  Of what can be told beforehand, this goes best with its iterations: the rank
  correlation on recordings was 0.85 to 0.96.
  """
  frame = problem.windowed.shape[1]
  spectrum = np.fft.rfft(problem.windowed)
  energy = np.sort(2.0 / frame * (spectrum.real**2 + spectrum.imag**2))
  without = np.cumsum(energy, axis=1) <= problem.epsilon[:, None] ** 2
  return energy.shape[1] - np.sum(without, axis=1)


@functools.cache
def _compiled(
  settings: iteration.Settings,
  new_spectrum: iteration.NewSpectrum,
  slots: int,
  capacity: int,
  dtype: np.dtype,
) -> Callable[[iteration.Problem, np.ndarray], iteration.Result]:
  """The program for `capacity` frames, compiled once for all threads."""
  method = iteration.Spade(settings, new_spectrum).method()

  def run(problems: iteration.Problem, count: jax.Array) -> iteration.Result:
    return working_set.run(method, problems, count, slots)

  shape = capacity, settings.frame
  problems = iteration.Problem(
    jax.ShapeDtypeStruct(shape, dtype),
    jax.ShapeDtypeStruct(shape, np.int8),
    jax.ShapeDtypeStruct(shape[:1], dtype),
  )
  count = jax.ShapeDtypeStruct((), np.int32)
  with jax.enable_x64(dtype == np.float64):
    return jax.jit(run).lower(problems, count).compile()
