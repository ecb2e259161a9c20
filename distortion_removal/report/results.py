"""All scores of a task on a data set, from any number of runs."""

import dataclasses
import functools
import itertools
import re
from collections import Counter
from collections.abc import (
  Callable,
  Hashable,
  Iterable,
  Iterator,
  Mapping,
  Sequence,
)
from pathlib import Path

import numpy as np

from distortion_removal import effects
from distortion_removal import metrics as metric_list
from distortion_removal.common.errors import UserError
from distortion_removal.effects import tasks
from distortion_removal.report import merging, result_files
from distortion_removal.report import methods as names
from distortion_removal.report.result_files import Evaluation

# Those of the paper come first.
_METRICS = tuple(
  dict.fromkeys(("si_sdr", "peaq", "r_nonlin", "fad", *metric_list.METRICS))
)


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
    failures: methods that failed on excerpts, and how many rows are lost; not
      those of which only a metric failed.
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

  def where(self, holds: Callable[[dict], bool]) -> dict[str, np.ndarray]:
    """Every method's `[files, levels]` bool: it has a row for which it holds.

    Args:
      holds: what to ask of a row.
    """
    shape = (len(self.methods), len(self.files), len(self.levels))
    table = np.zeros(shape, bool)
    table[self._places] = [holds(row) for row in self.rows]
    return dict(zip(self.methods, table, strict=True))

  def system_scores(self, metric: str) -> dict[str, dict[float | None, float]]:
    """A metric of sets by method, by level; None: all levels together."""
    found: dict[str, dict[float | None, float]] = {}
    for row in self.systems:
      if metric in row:
        value = np.nan if row[metric] is None else float(row[metric])
        value = value if np.isfinite(value) else np.nan
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


def load_timings(
  folders: Sequence[Path], results: Sequence[Results]
) -> list[dict]:
  """The rows of every timing.jsonl; networks are named as in the results.

  Args:
    folders: of runs, or of evaluations; those not timed have no rows.
    results: what `load` found in these folders; a network that they do not
      have gets a key that they do not have either.

  Raises:
    UserError: a file is damaged.
  """
  rows = []
  groups = {(x.task, x.dataset): merging.Keys(x.runs) for x in results}
  for run in _once(map(result_files.run_folder, folders)):
    for row in result_files.read_timings(run):
      group = (row.get("task"), row.get("dataset"))
      keys = groups.setdefault(group, merging.Keys())
      rows.append(row | {"method": keys.key(row["method"], run)})
  return rows


def file_stems(results: Sequence[Results]) -> list[str]:
  """DATASET_TASK in letters that file systems take, no two alike."""
  stems: list[str] = []
  for one in results:
    stem = re.sub(r"[^\w.-]+", "_", f"{one.dataset}_{one.task}")
    others = (f"{stem}_{number}" for number in itertools.count(2))
    candidates = itertools.chain([stem], others)
    stems.append(next(x for x in candidates if x not in stems))
  return stems


def _once(folders: Iterable[Path]) -> Iterator[Path]:
  return iter(dict.fromkeys(folder.resolve() for folder in folders))


def _merge(group: Sequence[Evaluation]) -> Results:
  """One or more evaluations of the same task and data set."""
  first, keys = group[0], merging.Keys()
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
    merging.add(rows, found.rows, found, keys, ("file", "method", name))
    merging.add(systems, found.systems, found, keys, ("method", name))
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
    left_out=merging.left_out(group, methods),
    metrics_left_out={
      name: why
      for name, why in merging.told(group, "metrics_left_out").items()
      if name not in columns
    },
    failures=dict(
      Counter(r["method"] for r in rows.values() if result_files.has_failed(r))
    ),
    sounds=tuple(sounds.values()),
    sample_rate=merging.sample_rate(group),
    runs=keys.runs,
  )


def _labels(found: Evaluation) -> dict[str, str]:
  """Of the task and its level; of unknown tasks what the results say.

  A task whose effect has options is not among those known by name.
  """
  task = tasks.TASKS.get(found.task)
  if task is not None:
    effect = effects.get(task.effect)
  else:
    named = (e.level_name == found.level_name for e in effects.EFFECTS.values())
    effect = next(itertools.compress(effects.EFFECTS.values(), named), None)
  label = found.card.get("task_label") or found.task
  return {
    "task_label": task.label if task else label,
    "level_name": found.level_name,
    "level_label": effect.level_label if effect else found.level_name,
    "level_unit": effect.unit if effect else "",
  }
