"""Merges what several runs have scored, and warns where they disagree."""

from collections.abc import Hashable, Iterator, Mapping, Sequence
from pathlib import Path

from distortion_removal import metrics
from distortion_removal.common.errors import UserError
from distortion_removal.common.log import logger
from distortion_removal.report import methods as names
from distortion_removal.report.result_files import Evaluation, has_failed

# Copies of a row that differ by less are the same but for rounding.
_TOLERANCE = 1e-3
# Why a row has no scores, or lacks some.
_REASONS = ("error", "metric_errors")


class Keys:
  """Gives networks of one name from several runs keys of their own.

  Attributes:
    runs: the run of each network, by its key; some may be given.
  """

  def __init__(self, runs: Mapping[str, Path] | None = None):
    self.runs = dict(runs or {})

  def key(self, method: str, run: Path) -> str:
    """What reports call a run's method; the same whenever it is asked."""
    if not names.is_network(method):
      return method
    for candidate in self._candidates(method, run):
      if self.runs.setdefault(candidate, run) == run:
        return candidate
    raise AssertionError("no two runs have the same path")

  @staticmethod
  def _candidates(method: str, run: Path) -> Iterator[str]:
    yield method
    for start in range(len(run.parts) - 1, -1, -1):
      yield f"{method} ({'/'.join(run.parts[start:])})"


def add(
  table: dict[Hashable, dict],
  rows: Sequence[dict],
  found: Evaluation,
  keys: Keys,
  columns: tuple[str, ...],
) -> None:
  """Adds rows; a copy only fills in what the first one lacks.

  Args:
    table: of the rows of other runs; gets these.
    rows: to add; their method becomes that of `keys`.
    found: the evaluation that they are of.
    keys: of the methods.
    columns: that tell one row from another.
  """
  own_keys = {m: keys.key(m, found.run) for m in {r["method"] for r in rows}}
  differences: dict[str, float] = {}
  for row in rows:
    row["method"] = own_keys[row["method"]]
    place = tuple(row[name] for name in columns)
    if place in table:
      kept, other = table[place], row
      if _lack(other) < _lack(kept):
        kept, other = other, kept
      _compare(kept, other, differences)
      row = {**other, **kept}
      for reason in _REASONS:
        if not kept.get(reason):
          row.pop(reason, None)
    table[place] = row
  for method, difference in differences.items():
    logger.warning(
      "%s: its scores of %s differ from those of another run, or of an excerpt "
      "of the same name, by up to %.3g; the first are used",
      found.folder,
      names.method_label(method),
      difference,
    )


def _lack(row: Mapping) -> tuple[bool, bool]:
  """Whether all of a row failed, and whether anything of it did."""
  return has_failed(row), any(row.get(reason) for reason in _REASONS)


def _compare(a: dict, b: dict, differences: dict[str, float]) -> None:
  """Notes by how much two rows' scores differ, by method."""
  for name in metrics.METRICS:
    x, y = a.get(name), b.get(name)
    if x is not None and y is not None and abs(x - y) > _TOLERANCE:
      method = a["method"]
      differences[method] = max(abs(x - y), differences.get(method, 0.0))


def left_out(
  group: Sequence[Evaluation], methods: Sequence[str]
) -> dict[str, str]:
  """Methods that no run applied, and why; `methods` have rows."""
  found = told(group, "left_out")
  listed = names.in_order(name for name in found if name not in methods)
  return {name: found[name] for name in listed}


def told(group: Sequence[Evaluation], field: str) -> dict[str, str]:
  """A field of evaluation.json; where several tell, the first is believed."""
  found: dict[str, str] = {}
  for evaluation in group:
    found = dict(evaluation.card.get(field) or {}) | found
  return found


def sample_rate(group: Sequence[Evaluation]) -> int | None:
  """That of all evaluations, in Hz; None if none of them says.

  Raises:
    UserError: they differ.
  """
  rates: dict[int, Path] = {}
  for found in group:
    rate = found.card.get("sample_rate")
    if rate:
      rates.setdefault(int(rate), found.folder)
  if len(rates) > 1:
    told = ", ".join(f"{path} at {rate} Hz" for rate, path in rates.items())
    raise UserError(
      f"evaluations of {group[0].task!r} on {group[0].dataset!r} have several "
      f"sample rates: {told}; report them one by one"
    )
  return next(iter(rates), None)
