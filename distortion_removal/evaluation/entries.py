"""From the estimates of a few excerpts to what is stored of them."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from distortion_removal.common.log import logger
from distortion_removal.evaluation import scores, sounds
from distortion_removal.evaluation.excerpts import Audio, Excerpt
from distortion_removal.evaluation.plan import Plan
from distortion_removal.evaluation.sounds import CLEAN
from distortion_removal.evaluation.store import Part, Store


class Outcome(NamedTuple):
  """What a method made of one excerpt: an estimate, or a line of why not.

  Attributes:
    estimate: `[levels, time, channels]`; of the target there is one level.
    seconds: that it took.
    error: one line.
  """

  estimate: np.ndarray | None
  seconds: float | None
  error: str | None = None


def score(
  plan: Plan,
  store: Store,
  name: str,
  group: Sequence[Excerpt],
  outcomes: Mapping[int, Outcome],
  audio: Mapping[int, Audio | str],
) -> Part:
  """Scores a group of excerpts; the sounds of the first are written.

  Args:
    plan: of the evaluation.
    store: of the method; its folder gets the sounds.
    name: of the method, or `CLEAN`.
    group: the excerpts.
    outcomes: of the method, by index of the excerpt.
    audio: likewise both sides, or a line of why there are none.
  """
  part = Part([], [])
  for excerpt in group:
    outcome, sides = outcomes[excerpt.index], audio[excerpt.index]
    rows, embeddings, errors = [], {}, []
    if name != CLEAN:
      rows, embeddings, errors = _rows(plan, name, excerpt, outcome, sides)
    elif not outcome.error:
      embeddings, errors = scores.embed(
        plan.metrics, outcome.estimate, sample_rate=plan.sample_rate
      )
    if errors:
      logger.warning("%s on %s: %s", name, excerpt.file, "; ".join(errors))
    part.entries.append(
      {
        "error": outcome.error or "; ".join(errors) or None,
        "rows": rows,
        "sounds": _sounds(plan, store, name, excerpt, outcome),
      }
    )
    part.embeddings.append(embeddings)
  return part


def _sounds(
  plan: Plan, store: Store, name: str, excerpt: Excerpt, outcome: Outcome
) -> list[dict]:
  if excerpt.index >= plan.config.listen_excerpts or outcome.error:
    return []
  levels = (None,) if name == CLEAN else plan.task.evaluation_levels
  return sounds.write(
    store.folder,
    excerpt.index,
    name,
    outcome.estimate,
    levels,
    plan.sample_rate,
  )


def _rows(
  plan: Plan, name: str, excerpt: Excerpt, outcome: Outcome, sides: Audio | str
) -> tuple[list[dict], scores.Embeddings, list[str]]:
  """A method's rows of one excerpt, and what else the metrics had to say."""
  levels = plan.task.evaluation_levels
  known = not isinstance(sides, str)
  fields = {
    "file": excerpt.file,
    "audio_seconds": sides.clean.shape[1] / plan.sample_rate if known else None,
    "method": name,
  }
  if outcome.error:
    nothing = scores.nothing(plan.metrics, len(levels))
    found = scores.Scores(nothing, {}, [], None)
    compute, metric = None, None
  else:
    found = scores.score(
      plan.metrics,
      outcome.estimate,
      sides.clean,
      sides.degraded,
      sample_rate=plan.sample_rate,
    )
    compute = outcome.seconds / len(levels)
    metric = found.seconds / len(levels)
  end = {"metric_seconds": metric}
  if outcome.error:
    end["error"] = outcome.error
  elif found.errors:
    # The method has done its work, and its other scores count.
    end["metric_errors"] = "; ".join(found.errors)
  rows = [
    fields | {"compute_seconds": compute, plan.level_name: level} | column | end
    for level, column in zip(levels, found.rows, strict=True)
  ]
  return rows, found.embeddings, found.errors
