"""Statistics of scores `[files, levels]`; excerpts are the unit.

The scores of one excerpt at several levels are not independent. So the
bootstrap draws excerpts, with all their levels, and a test of all levels
together sees one number per excerpt.
"""

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np

from distortion_removal.report.methods import family

RESAMPLES = 2_000
CONFIDENCE = 0.95
_SEED = 0
_BLOCK = 100  # resamples at a time: bounds the memory


@dataclasses.dataclass(frozen=True)
class Summary:
  """Statistics of a method at one level or at all; NaN without scores."""

  count: int  # defined scores
  excerpts: int  # that have any
  q1: float  # lower quartile, linear between scores as in NumPy
  median: float
  q3: float
  mean: float
  low: float  # the mean's 95 % interval; NaN for less than two excerpts
  high: float


@dataclasses.dataclass(frozen=True)
class Comparison:
  """A Wilcoxon signed-rank test of a method against another, two-sided."""

  reference: str  # key of the other method, a baseline
  count: int  # excerpts on which both have scores
  difference: float  # median over these, the method's score less the other's
  p: float  # uncorrected; NaN without an excerpt
  p_holm: float  # corrected for the number of tests of the metric


def summaries(
  scores: Mapping[str, np.ndarray],
) -> dict[str, tuple[Summary, ...]]:
  """Summarises `[files, levels]` at each level and, last, of all together."""
  cells = {
    method: [*(table[:, [k]] for k in range(table.shape[1])), table]
    for method, table in scores.items()
  }
  flat = [cell for columns in cells.values() for cell in columns]
  intervals = iter(mean_intervals(flat))
  return {
    method: tuple(_summary(cell, *next(intervals)) for cell in columns)
    for method, columns in cells.items()
  }


def _summary(cell: np.ndarray, low: float, high: float) -> Summary:
  is_defined = ~np.isnan(cell)
  values = cell[is_defined]
  if not len(values):
    return Summary(0, 0, *[np.nan] * 6)
  q1, median, q3 = np.percentile(values, (25, 50, 75))
  excerpts = int(is_defined.any(axis=1).sum())
  numbers = (q1, median, q3, values.mean(), low, high)
  return Summary(len(values), excerpts, *map(float, numbers))


def mean_intervals(
  tables: Sequence[np.ndarray], resamples: int = RESAMPLES
) -> list[tuple[float, float]]:
  """Computes 95 % intervals of means by the percentile bootstrap.

  A draw takes as many excerpts as there are, with repetition, each with its
  scores at all levels. It is the same draw for all tables, always of one seed.
  The ends are NaN if less than two excerpts have any score.

  Args:
    tables: `[files, levels]` each, of the same excerpts; NaN where undefined.
    resamples: number of draws.
  """
  # scipy.stats.bootstrap gathers the scores of every draw, which is slow for
  # many excerpts, and has no interval where a draw has no score at all.
  if not tables:
    return []
  counts = np.stack([(~np.isnan(x)).sum(axis=1) for x in tables], axis=1)
  sums = np.stack([np.nansum(x, axis=1) for x in tables], axis=1)
  random = np.random.default_rng(_SEED)
  means = []
  for start in range(0, resamples, _BLOCK):
    weights = _draws(random, min(_BLOCK, resamples - start), len(sums))
    with np.errstate(invalid="ignore"):
      means.append((weights @ sums) / (weights @ counts))
  tail = (1.0 - CONFIDENCE) / 2.0
  is_known = (counts > 0).sum(axis=0) > 1
  intervals = [(np.nan, np.nan)] * len(tables)
  for k, column in enumerate(np.concatenate(means).T):
    if is_known[k]:
      intervals[k] = tuple(np.nanquantile(column, (tail, 1 - tail)).tolist())
  return intervals


def _draws(random: np.random.Generator, count: int, files: int) -> np.ndarray:
  """Counts how often each draw has each file, `[count, files]`."""
  indices = random.integers(0, files, (count, files))
  indices += files * np.arange(count)[:, None]
  hits = np.bincount(indices.ravel(), minlength=count * files)
  return hits.reshape(count, files).astype(float)


def comparisons(
  scores: Mapping[str, np.ndarray], *, is_higher_better: bool
) -> dict[str, Comparison]:
  """Tests every method against the best baseline.

  The best baseline has the best median over all scores among the methods that
  are neither networks nor oracles. An excerpt counts with its mean difference
  over the levels at which both have a score. Differences of zero are left out,
  as Wilcoxon did; if all are zero, p is 1.

  Args:
    scores: by method, `[files, levels]`, NaN where there is none.
    is_higher_better: whether the metric's higher values are better.

  Returns:
    The tests by method, but for the reference and methods without scores.
  """
  sign = 1.0 if is_higher_better else -1.0
  medians = {
    method: sign * np.nanmedian(table)
    for method, table in scores.items()
    if not np.isnan(table).all()
  }
  baselines = [
    m for m in medians if family(m) in ("input", "declipper", "inversion")
  ]
  reference = max(baselines, key=medians.__getitem__, default=None)
  if reference is None:
    return {}
  differences = {
    method: _by_excerpt(scores[method], scores[reference])
    for method in medians
    if method != reference
  }
  ps = [wilcoxon(difference) for difference in differences.values()]
  found = {}
  for (method, values), p, p_holm in zip(
    differences.items(), ps, holm(ps), strict=True
  ):
    median = float(np.median(values)) if len(values) else np.nan
    found[method] = Comparison(reference, len(values), median, p, p_holm)
  return found


def _by_excerpt(a: np.ndarray, b: np.ndarray) -> np.ndarray:
  """Returns the mean difference of each excerpt that has any, `[excerpts]`."""
  difference = a - b
  is_defined = ~np.isnan(difference)
  count = is_defined.sum(axis=1)
  total = np.where(is_defined, difference, 0.0).sum(axis=1)
  return total[count > 0] / count[count > 0]


def wilcoxon(difference: np.ndarray) -> float:
  """Returns the signed-rank test's two-sided p; 1 if all are 0, NaN if none."""
  from scipy import stats

  if not len(difference):
    return np.nan
  if not difference.any():
    return 1.0
  return float(stats.wilcoxon(difference).pvalue)


def holm(ps: Sequence[float]) -> list[float]:
  """Corrects by Holm's (1979) step-down method; NaNs stay and do not count."""
  ps = np.asarray(ps, float)
  corrected = np.full(ps.shape, np.nan)
  order = np.argsort(ps)[: np.count_nonzero(~np.isnan(ps))]
  factors = len(order) - np.arange(len(order))
  steps = np.maximum.accumulate(factors * ps[order])
  corrected[order] = np.minimum(steps, 1.0)
  return corrected.tolist()
