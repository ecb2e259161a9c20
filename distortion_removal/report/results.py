"""All scores of a task on a data set, from any number of runs."""

import dataclasses
import functools
import itertools
from collections import Counter
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from distortion_removal import effects
from distortion_removal import metrics as metric_list
from distortion_removal.datasets import tasks
from distortion_removal.errors import UserError
from distortion_removal.log import logger
from distortion_removal.report import names, result_files
from distortion_removal.report.result_files import Evaluation

# Those of the paper come first.
_METRICS = tuple(
  dict.fromkeys(("si_sdr", "peaq", "r_nonlin", "fad", *metric_list.METRICS))
)
# Copies of a row that differ by less are the same but for rounding.
_TOLERANCE = 1e-3


@dataclasses.dataclass(frozen=True)
class Sound:
  """One excerpt by one method at one level, to listen to.

  Attributes:
    file: name of the excerpt.
    method: key; "clean" is the target.
    level: of the degradation; None where it makes no difference.
    path: absolute, of a FLAC file.
    scale: the audio is `scale` times the file's samples.
  """

  file: str
  method: str
  level: float | None
  path: Path
  scale: float


@dataclasses.dataclass(frozen=True)
class Results:
  """All scores of one task on one data set, from any number of runs.

  Attributes:
    task: name.
    task_label: for people; of unknown tasks the name.
    dataset: label of the data set.
    level_name: the column that holds the level, `gain_db`.
    level_label: the level for people, "gain".
    level_unit: "dB".
    levels: all that any row has, sorted.
    files: names of all excerpts that any row has.
    methods: keys of all that have rows, in the order of `names.in_order`.
    metrics: names of those that any row has.
    rows: of results.jsonl; one per excerpt, method and level.
    systems: rows of metrics of sets, one per method and level; level None is
      all levels together.
    left_out: methods that do not apply, and why.
    metrics_left_out: metrics that could not be computed, and why.
    failures: methods that failed on excerpts, and how many rows are lost.
    sounds: to listen to; may be empty.
    sample_rate: in Hz; None of old results.
    runs: of networks, the folder of the run that the scores are from.
  """

  task: str
  task_label: str
  dataset: str
  level_name: str
  level_label: str
  level_unit: str
  levels: tuple[float, ...]
  files: tuple[str, ...]
  methods: tuple[str, ...]
  metrics: tuple[str, ...]
  rows: tuple[dict, ...]
  systems: tuple[dict, ...]
  left_out: Mapping[str, str]
  metrics_left_out: Mapping[str, str]
  failures: Mapping[str, int]
  sounds: tuple[Sound, ...]
  sample_rate: int | None
  runs: Mapping[str, Path]

  def scores(self, metric: str) -> dict[str, np.ndarray]:
    """Every method's `[files, levels]` float64; NaN: missing or undefined."""
    shape = (len(self.methods), len(self.files), len(self.levels))
    table = np.full(shape, np.nan)
    values = np.array([row.get(metric) for row in self.rows], np.float64)
    table[self._places] = np.where(np.isfinite(values), values, np.nan)
    return dict(zip(self.methods, table, strict=True))

  def system_scores(self, metric: str) -> dict[str, dict[float | None, float]]:
    """A metric of sets by method, by level; None: all levels together."""
    found: dict[str, dict[float | None, float]] = {}
    for row in self.systems:
      if metric in row:
        value = np.nan if row[metric] is None else float(row[metric])
        found.setdefault(row["method"], {})[row[self.level_name]] = value
    return {name: found[name] for name in self.methods if name in found}

  @functools.cached_property
  def settings(self) -> dict[str, str]:
    """What a reader must know of each metric, as it was when it was used."""
    found: dict[str, dict[str, None]] = {}
    seen = None
    for row in (*self.rows, *self.systems):
      settings = row.get("settings")
      if settings is not seen:
        seen = settings
        for name, text in (settings or {}).items():
          found.setdefault(name, {})[str(text)] = None
    return {name: " or ".join(texts) for name, texts in found.items()}

  @functools.cached_property
  def _places(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Where each row's scores lie in `[methods, files, levels]`."""
    indices = []
    for keys, column in (
      (self.methods, "method"),
      (self.files, "file"),
      (self.levels, self.level_name),
    ):
      index = {key: i for i, key in enumerate(keys)}
      indices.append(np.array([index[row[column]] for row in self.rows], int))
    return tuple(indices)


def load(folders: Sequence[Path]) -> list[Results]:
  """Reads evaluations; those of one task and data set become one.

  What several runs have scored (the distorted input, baselines) is taken once,
  with a warning if the copies differ. Networks of one name from two runs are
  told apart by the run's folder.

  Args:
    folders: of runs, or of evaluations.

  Returns:
    In the order in which the tasks and data sets are found.

  Raises:
    UserError: a folder has no evaluation, a file is damaged, or evaluations of
      one task and data set differ in the sample rate.
  """
  groups: dict[tuple[str, str], list[Evaluation]] = {}
  for folder in _once(itertools.chain(*map(result_files.find, folders))):
    found = result_files.read(folder)
    groups.setdefault((found.task, found.dataset), []).append(found)
  return [_merge(group) for group in groups.values()]


def load_timings(folders: Sequence[Path]) -> list[dict]:
  """The rows of every timing.jsonl; networks are named as by `load`.

  Args:
    folders: of runs, or of evaluations; those not timed have no rows.

  Raises:
    UserError: a file is damaged.
  """
  rows = []
  groups: dict[tuple, _Keys] = {}
  for run in _once(map(result_files.run_folder, folders)):
    for row in result_files.read_timings(run):
      group = (row.get("task"), row.get("dataset"))
      keys = groups.setdefault(group, _Keys())
      rows.append(row | {"method": keys.key(row["method"], run)})
  return rows


def _once(folders: Iterable[Path]) -> Iterator[Path]:
  return iter(dict.fromkeys(folder.resolve() for folder in folders))


class _Keys:
  """Gives networks of one name from several runs keys of their own."""

  def __init__(self):
    self.runs: dict[str, Path] = {}

  def key(self, method: str, run: Path) -> str:
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


def _merge(group: Sequence[Evaluation]) -> Results:
  """One or more evaluations of the same task and data set."""
  first, keys = group[0], _Keys()
  rows: dict[Hashable, dict] = {}
  systems: dict[Hashable, dict] = {}
  sounds: dict[Hashable, Sound] = {}
  for found in group:
    name = found.level_name
    if name != first.level_name:
      raise UserError(
        f"{first.folder} has {first.level_name!r} and {found.folder} {name!r} "
        "as the level of one task; report them one by one"
      )
    _add(rows, found.rows, found, keys, ("file", "method", name))
    _add(systems, found.systems, found, keys, ("method", name))
    for sound in found.sounds:
      method = keys.key(sound["method"], found.run)
      place = (sound["file"], method, sound["level"])
      sounds.setdefault(place, Sound(**sound | {"method": method}))
  methods = names.in_order(row["method"] for row in rows.values())
  columns = set(itertools.chain(*rows.values(), *systems.values()))
  return Results(
    task=first.task,
    dataset=first.dataset,
    **_labels(first),
    levels=tuple(sorted({row[first.level_name] for row in rows.values()})),
    files=tuple(dict.fromkeys(row["file"] for row in rows.values())),
    methods=methods,
    metrics=tuple(name for name in _METRICS if name in columns),
    rows=tuple(rows.values()),
    systems=tuple(systems.values()),
    left_out=_left_out(group, methods),
    metrics_left_out={
      name: why
      for name, why in _told(group, "metrics_left_out").items()
      if name not in columns
    },
    failures=dict(
      Counter(r["method"] for r in rows.values() if r.get("error"))
    ),
    sounds=tuple(sounds.values()),
    sample_rate=_sample_rate(group),
    runs=keys.runs,
  )


def _add(
  table: dict[Hashable, dict],
  rows: Sequence[dict],
  found: Evaluation,
  keys: _Keys,
  columns: tuple[str, ...],
) -> None:
  """Adds rows; a copy only fills in what the first one lacks."""
  own_keys = {m: keys.key(m, found.run) for m in {r["method"] for r in rows}}
  differences: dict[str, float] = {}
  for row in rows:
    row["method"] = own_keys[row["method"]]
    place = tuple(row[name] for name in columns)
    if place in table:
      kept, other = table[place], row
      if kept.get("error") and not other.get("error"):
        kept, other = other, kept
      _compare(kept, other, differences)
      row = {**other, **kept}
      if not kept.get("error"):
        row.pop("error", None)
    table[place] = row
  for method, difference in differences.items():
    logger.warning(
      "%s: its scores of %s differ from those of another run, or of an excerpt "
      "of the same name, by up to %.3g; the first are used",
      found.folder,
      names.method_label(method),
      difference,
    )


def _compare(a: dict, b: dict, differences: dict[str, float]) -> None:
  """Notes by how much two rows' scores differ, by method."""
  for name in _METRICS:
    x, y = a.get(name), b.get(name)
    if x is not None and y is not None and abs(x - y) > _TOLERANCE:
      method = a["method"]
      differences[method] = max(abs(x - y), differences.get(method, 0.0))


def _labels(found: Evaluation) -> dict[str, str]:
  """Of the task and its level; of unknown tasks what the results say."""
  task = tasks.TASKS.get(found.task)
  if task is not None:
    effect = effects.get(task.effect)
  else:
    named = (e.level_name == found.level_name for e in effects.EFFECTS.values())
    effect = next(itertools.compress(effects.EFFECTS.values(), named), None)
  return {
    "task_label": task.label if task else found.task,
    "level_name": found.level_name,
    "level_label": effect.level_label if effect else found.level_name,
    "level_unit": effect.unit if effect else "",
  }


def _left_out(
  group: Sequence[Evaluation], methods: Sequence[str]
) -> dict[str, str]:
  found = _told(group, "left_out")
  listed = names.in_order(name for name in found if name not in methods)
  return {name: found[name] for name in listed}


def _told(group: Sequence[Evaluation], field: str) -> dict[str, str]:
  """A field of evaluation.json; where several tell, the first is believed."""
  found: dict[str, str] = {}
  for evaluation in group:
    found = dict(evaluation.card.get(field) or {}) | found
  return found


def _sample_rate(group: Sequence[Evaluation]) -> int | None:
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
