"""The work of an evaluation: excerpts → methods → metrics → stored scores.

Methods run in the calling thread, metrics in threads next to it.
"""

import collections
import concurrent.futures
import functools
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np

from distortion_removal.common import cores, devices
from distortion_removal.common.log import Progress, logger
from distortion_removal.datasets.opening import Source
from distortion_removal.declipping import DECLIPPERS
from distortion_removal.evaluation import scores
from distortion_removal.evaluation.excerpts import Audio, Degrader, Excerpt
from distortion_removal.evaluation.methods import Method
from distortion_removal.evaluation.plan import Plan
from distortion_removal.evaluation.store import StoredScores
from distortion_removal.report.failures import reason
from distortion_removal.report.methods import CLEAN

# JAX's events for tracing, lowering and compiling.
_COMPILING = "/jax/core/compile/"
_compiling = threading.local()


class Estimate(NamedTuple):
  """A method's estimate of one excerpt, or why there is none."""

  audio: np.ndarray | None = None  # `[levels, time, channels]`; target: 1 level
  seconds: float | None = None  # of computing, for one level; target: None
  error: str | None = None  # one line


class Job(NamedTuple):
  """Estimates by one method, to be scored together in a thread."""

  name: str  # the method's, or `CLEAN`
  excerpts: Sequence[Excerpt]
  estimates: Mapping[int, Estimate]  # by excerpt index
  audio: Mapping[int, Audio | str]  # by index; a line if a record is unusable


def score_missing(plan: Plan, source: Source) -> None:
  """Scores what is not stored yet of this process's share of the excerpts."""
  rank, processes = devices.process()
  todo = [(x, _missing(plan, x)) for x in plan.blocks()[rank::processes]]
  total = len(plan.stores) * sum(len(block) for block, _ in todo)
  left = sum(len(x) for _, missing in todo for x in missing.values())
  if not left:
    logger.info(
      "nothing has changed since the last evaluation; to do it again, remove "
      "%s",
      plan.stores[CLEAN].folder.parent,
    )
    return
  if left < total:
    logger.info("%d of %d scores are there already", total - left, total)
  degrade = Degrader(source, plan.task, plan.longest_samples, plan.block_size)
  jobs = _estimate_all(plan, degrade, todo)
  what = "evaluated %.0f %%"
  with Progress(left, what, unit="score", is_shown=True) as progress:
    for scored in in_threads(functools.partial(_score_job, plan), jobs):
      progress.advance(scored)


def _missing(plan: Plan, block: Sequence[Excerpt]) -> dict[str, list[Excerpt]]:
  """Finds the excerpts without scores by method; failed ones are retried."""
  found = {
    name: [excerpt for excerpt in block if not store.is_scored(excerpt)]
    for name, store in plan.stores.items()
  }
  return {name: missing for name, missing in found.items() if missing}


def in_threads(
  call: Callable[[Any], Any], arguments: Iterable[Any]
) -> Iterator[Any]:
  """Yields a function's results, from threads, while its arguments are made.

  Few calls wait, as arguments are large. After an error no waiting call begins.
  """
  # Most metrics use several cores themselves.
  threads = max(1, cores.available() // 4)
  pool = concurrent.futures.ThreadPoolExecutor(threads)
  waiting: collections.deque = collections.deque()
  try:
    for argument in arguments:
      while len(waiting) > threads:
        yield waiting.popleft().result()
      waiting.append(pool.submit(call, argument))
    while waiting:
      yield waiting.popleft().result()
  finally:
    pool.shutdown(cancel_futures=True)


def _estimate_all(
  plan: Plan,
  degrade: Degrader,
  todo: Iterable[tuple[Sequence[Excerpt], Mapping[str, list[Excerpt]]]],
) -> Iterator[Job]:
  """Yields the estimates of each block's missing excerpts by each method."""
  for block, missing in todo:
    audio = degrade(block) if missing else {}
    for name, excerpts in missing.items():
      # Declippers take long: little is lost if they are stopped.
      size = 1 if name in DECLIPPERS else len(excerpts)
      for start in range(0, len(excerpts), size):
        group = excerpts[start : start + size]
        estimates = _estimate(plan.methods.get(name), name, group, audio)
        yield Job(name, group, estimates, audio)


def _estimate(
  method: Method | None,
  name: str,
  excerpts: Iterable[Excerpt],
  audio: Mapping[int, Audio | str],
) -> dict[int, Estimate]:
  """Estimates excerpts, those of one length in one call; see `Job`."""
  found, by_length = {}, {}
  for excerpt in excerpts:
    sides = audio[excerpt.index]
    if isinstance(sides, str):
      found[excerpt.index] = Estimate(error=sides)
    elif method is None:  # the target
      found[excerpt.index] = Estimate(sides.clean)
    else:
      by_length.setdefault(sides.clean.shape[1], {})[excerpt] = sides
  for members in by_length.values():
    found |= _call(method, name, members)
  return found


def _call(
  method: Method, name: str, members: Mapping[Excerpt, Audio]
) -> dict[int, Estimate]:
  """Calls a method once for all, or if that fails once for each."""
  try:
    return _call_together(method, members)
  except Exception as error:
    if len(members) == 1:
      (excerpt,) = members
      logger.warning("%s failed on %s: %s", name, excerpt.file, reason(error))
      return {excerpt.index: Estimate(error=reason(error))}
  found = {}
  for excerpt, sides in members.items():
    found |= _call(method, name, {excerpt: sides})
  return found


def _call_together(
  method: Method, members: Mapping[Excerpt, Audio]
) -> dict[int, Estimate]:
  """Calls a method once with all levels of excerpts of one length."""
  degraded = np.concatenate([sides.degraded for sides in members.values()])
  levels = len(degraded) // len(members)
  clean = np.concatenate(
    [np.repeat(sides.clean, levels, axis=0) for sides in members.values()]
  )
  estimates, seconds = timed(lambda: method(degraded, clean))
  if estimates.shape != degraded.shape:
    raise ValueError(f"made {estimates.shape} of {degraded.shape}")
  each = np.split(estimates, len(members))
  return {
    excerpt.index: Estimate(estimate, seconds / len(degraded))
    for excerpt, estimate in zip(members, each, strict=True)
  }


def timed(call: Callable[[], Any]) -> tuple[Any, float]:
  """Returns a call's result and seconds, without this thread's compiling.

  Compiling would make the first excerpts look slow.
  """
  _listen_to_compiling()
  _compiling.spans = []
  start = time.perf_counter()
  result = call()
  elapsed = time.perf_counter() - start
  compiling = sum(end - begin for begin, end in _compiling.spans)
  return result, max(0.0, elapsed - compiling)


@functools.cache
def _listen_to_compiling() -> None:
  jax.monitoring.register_event_duration_secs_listener(_note_compiling)


def _note_compiling(event: str, seconds: float, **_: object) -> None:
  if event.startswith(_COMPILING) and hasattr(_compiling, "spans"):
    end = time.perf_counter()
    begin = end - seconds
    # A function is traced within another, whose span ends later and covers it.
    outside = [span for span in _compiling.spans if span[0] < begin]
    _compiling.spans = [*outside, (begin, end)]


def _score_job(plan: Plan, job: Job) -> int:
  """Scores and stores a method's estimates; returns their number."""
  store = plan.stores[job.name]
  levels = (None,) if job.name == CLEAN else plan.task.evaluation_levels
  for excerpt in job.excerpts:
    estimate, sides = job.estimates[excerpt.index], job.audio[excerpt.index]
    sounds = []
    if excerpt.index < plan.config.listen_excerpts and not estimate.error:
      sounds = store.write_sounds(
        excerpt, estimate.audio, levels, plan.sample_rate
      )
    scored = _score(plan, job.name, excerpt, estimate, sides)
    store.save(excerpt, scored._replace(sounds=sounds))
  return len(job.excerpts)


def _score(
  plan: Plan,
  name: str,
  excerpt: Excerpt,
  estimate: Estimate,
  sides: Audio | str,
) -> StoredScores:
  """Scores one excerpt by one method; the target in metrics of sets alone."""
  rate = plan.sample_rate
  levels = plan.task.evaluation_levels if name != CLEAN else ()  # no rows
  metric_seconds = None
  if estimate.error:
    found = scores.no_scores(plan.metrics, len(levels))
    problem = {"error": estimate.error}
  else:
    start = time.perf_counter()
    if name == CLEAN:
      found = scores.embed(plan.metrics, estimate.audio, sample_rate=rate)
    else:
      found = scores.score(
        plan.metrics,
        estimate.audio,
        sides.clean,
        sides.degraded,
        sample_rate=rate,
      )
    # The method has done its work, and its other scores count.
    failed = "; ".join(found.errors)
    problem = {"metric_errors": failed} if failed else {}
    if failed:
      logger.warning("%s on %s: %s", name, excerpt.file, failed)
    metric_seconds = (time.perf_counter() - start) / len(estimate.audio)
  is_read = not isinstance(sides, str)
  rows = [
    {
      "file": excerpt.file,
      "audio_seconds": sides.clean.shape[1] / rate if is_read else None,
      "method": name,
      "compute_seconds": estimate.seconds,
      plan.level_name: level,
      **of_level,
      "metric_seconds": metric_seconds,
      **problem,
    }
    for level, of_level in zip(levels, found.rows, strict=True)
  ]
  error = next(iter(problem.values()), None)
  return StoredScores(rows, found.embeddings, [], error)
