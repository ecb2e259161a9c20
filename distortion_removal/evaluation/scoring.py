"""The work: excerpts through the methods, and beside it through the metrics."""

import threading
import time
from collections.abc import Mapping, Sequence

import numpy as np

from distortion_removal.common import devices
from distortion_removal.common.log import Progress, logger
from distortion_removal.datasets.opening import Source
from distortion_removal.evaluation import entries
from distortion_removal.evaluation.beside import Beside
from distortion_removal.evaluation.entries import Outcome
from distortion_removal.evaluation.excerpts import Audio, Degrader, Excerpt
from distortion_removal.evaluation.methods import Method
from distortion_removal.evaluation.plan import Plan
from distortion_removal.evaluation.stopwatch import Stopwatch
from distortion_removal.evaluation.store import Store
from distortion_removal.report.failures import reason


def score(plan: Plan, source: Source, names: Sequence[str]) -> None:
  """Scores what is not stored yet, of this process's share of the excerpts.

  Args:
    plan: of the evaluation; its parts are written.
    source: its records.
    names: of the methods, and of the target.
  """
  rank, processes = devices.process()
  stores = {name: plan.store(name) for name in names}
  share = plan.blocks()[rank::processes]
  tasks = [(block, _missing(plan, block, stores)) for block in share]
  total = len(stores) * sum(map(len, share))
  left = sum(len(g) for _, todo in tasks for gs in todo.values() for g in gs)
  if left < total:
    logger.info("%d of %d scores are there already", total - left, total)
  degrade = Degrader(source, plan.task, plan.longest, plan.block_size)
  seconds, begin = {"methods": 0.0, "metrics": 0.0}, time.perf_counter()
  lock = threading.Lock()

  def finish(name: str, group: Sequence[Excerpt], *arguments: Mapping) -> None:
    start = time.perf_counter()
    stores[name].save(
      group, entries.score(plan, stores[name], name, group, *arguments)
    )
    with lock:
      seconds["metrics"] += time.perf_counter() - start
      shown.advance(len(group))

  with (
    Progress(left, "evaluated %.0f %%", unit="score", is_shown=True) as shown,
    Beside() as beside,
  ):
    for block, todo in tasks:
      audio = degrade(block) if todo else {}
      for name, groups in todo.items():
        for group in groups:
          outcomes = _outcomes(plan.methods.get(name), name, group, audio)
          seconds["methods"] += sum(x.seconds or 0.0 for x in outcomes.values())
          beside.submit(finish, name, group, outcomes, audio)
  logger.info(
    "methods took %.0f s, metrics beside them %.0f s, all %.0f s",
    *seconds.values(),
    time.perf_counter() - begin,
  )


def _missing(
  plan: Plan, block: Sequence[Excerpt], stores: Mapping[str, Store]
) -> dict[str, list[Sequence[Excerpt]]]:
  """What of a block each method still has to do; what failed, once more."""
  found = {}
  for name, store in stores.items():
    parts = [(g, store.load(g)) for g in plan.groups(name, block)]
    groups = [group for group, part in parts if part is None or part.failed]
    if groups:
      found[name] = groups
  return found


def _outcomes(
  method: Method | None,
  name: str,
  group: Sequence[Excerpt],
  audio: Mapping[int, Audio | str],
) -> dict[int, Outcome]:
  """Of every excerpt; those of one length go through a method together."""
  found, by_length = {}, {}
  for excerpt in group:
    sides = audio[excerpt.index]
    if isinstance(sides, str):
      found[excerpt.index] = Outcome(None, None, sides)
    elif method is None:
      found[excerpt.index] = Outcome(sides.clean, None)
    else:
      members = by_length.setdefault(sides.clean.shape[1], {})
      members[excerpt.index] = sides
  for members in by_length.values():
    tried = _tried(method, members)
    for excerpt in group:
      if excerpt.index in tried and (error := tried[excerpt.index].error):
        logger.warning("%s failed on %s: %s", name, excerpt.file, error)
    found |= tried
  return found


def _tried(method: Method, members: Mapping[int, Audio]) -> dict[int, Outcome]:
  """All together, or if that fails each by itself."""
  try:
    return _together(method, members)
  except Exception as error:
    if len(members) == 1:
      return dict.fromkeys(members, Outcome(None, None, reason(error)))
  return {
    index: outcome
    for one in members.items()
    for index, outcome in _tried(method, dict([one])).items()
  }


def _together(
  method: Method, members: Mapping[int, Audio]
) -> dict[int, Outcome]:
  """One call of a method with all levels of excerpts of one length."""
  degraded = np.concatenate([sides.degraded for sides in members.values()])
  levels = len(degraded) // len(members)
  clean = np.concatenate(
    [np.repeat(sides.clean, levels, axis=0) for sides in members.values()]
  )
  with Stopwatch() as watch:
    estimates = method(degraded, clean)
  if estimates.shape != degraded.shape:
    raise ValueError(f"made {estimates.shape} of {degraded.shape}")
  seconds = watch.seconds / len(members)
  split = np.split(estimates, len(members))
  return {
    index: Outcome(estimate, seconds)
    for index, estimate in zip(members, split, strict=True)
  }
