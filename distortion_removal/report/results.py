"""Scores of a task on a data set, merged from the evaluations of any runs."""

import dataclasses
import functools
import itertools
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from distortion_removal import effects
from distortion_removal.common.errors import UserError
from distortion_removal.common.log import logger
from distortion_removal.effects import tasks
from distortion_removal.metrics import METRICS
from distortion_removal.report import result_files
from distortion_removal.report.methods import family, in_order, method_label
from distortion_removal.report.result_files import Evaluation

PAPER_METRICS = ("si_sdr", "peaq", "r_nonlin", "fad")
# Copies of a row that differ by less are the same but for rounding.
_TOLERANCE = 1e-3
_REASONS = ("error", "metric_errors")  # why a row lacks all scores, or some


@dataclasses.dataclass(frozen=True)
class Sound:
  """One excerpt by one method at one level, to listen to."""

  file: str  # the excerpt's name
  method: str  # key; "clean" is the target
  level: float | None  # of the degradation; None where it makes no difference
  path: Path  # of a FLAC file
  scale: float  # the audio is `scale` times the file's samples


@dataclasses.dataclass(frozen=True)
class Results:
  """All scores of one task on one data set, from any number of runs."""

  task: str
  task_label: str  # for people
  dataset: str
  level_name: str  # the column that holds the level, `gain_db`
  level_label: str  # for people, "gain"
  level_unit: str  # "dB"
  levels: tuple[float, ...]  # all that any row has, sorted
  files: tuple[str, ...]  # names of all excerpts that any row has
  methods: tuple[str, ...]  # keys of all that have rows, in order
  metrics: tuple[str, ...]  # names of all that any row has, the paper's first
  rows: tuple[dict, ...]  # of results.jsonl: an excerpt, method and level each
  # Of metrics of sets: a method and level each, None for all levels together.
  systems: tuple[dict, ...]
  left_out: Mapping[str, str]  # methods that do not apply, and why
  metrics_left_out: Mapping[str, str]  # that could not be computed, and why
  settings: Mapping[str, str]  # what a reader must know of each metric
  sounds: tuple[Sound, ...]  # to listen to; may be empty
  sample_rate: int  # in Hz
  runs: Mapping[str, Path]  # the run that each network's scores are from

  @property
  def title(self) -> str:
    """The task and the data set, for headings."""
    return f"{self.task_label} on {self.dataset}"

  def scores(self, metric: str) -> dict[str, np.ndarray]:
    """Returns each method's `[files, levels]` float64, NaN without a score."""
    shape = (len(self.methods), len(self.files), len(self.levels))
    table = np.full(shape, np.nan)
    values = np.array([row.get(metric) for row in self.rows], np.float64)
    table[self._places] = np.where(np.isfinite(values), values, np.nan)
    return dict(zip(self.methods, table, strict=True))

  def system_scores(self, metric: str) -> dict[str, dict[float | None, float]]:
    """Returns a metric of sets by method, by level; None: all levels."""
    found: dict[str, dict[float | None, float]] = {}
    for row in self.systems:
      if metric in row:
        value = np.nan if row[metric] is None else float(row[metric])
        value = value if np.isfinite(value) else np.nan
        found.setdefault(row["method"], {})[row[self.level_name]] = value
    return {name: found[name] for name in self.methods if name in found}

  @functools.cached_property
  def failures(self) -> dict[str, int]:
    """Methods that failed on excerpts, and how many rows lack scores."""
    return dict(Counter(r["method"] for r in self.rows if r.get("error")))

  @functools.cached_property
  def _places(self) -> tuple[np.ndarray, ...]:
    """The place of each row in `[methods, files, levels]`."""
    columns = {
      "method": self.methods,
      "file": self.files,
      self.level_name: self.levels,
    }
    indices = []
    for column, keys in columns.items():
      index = {key: i for i, key in enumerate(keys)}
      indices.append(np.array([index[row[column]] for row in self.rows], int))
    return tuple(indices)


def load(folders: Sequence[Path]) -> list[Results]:
  """Reads evaluations; those of one task and data set become one.

  Rows that several runs have (the distorted input, baselines) are taken once,
  with a warning if the copies differ. Networks of one name from two runs are
  told apart by the run's folder.

  Raises:
    UserError: a folder has no evaluation, a file is damaged, or evaluations of
      one task and data set differ in the sample rate.
  """
  groups: dict[tuple[str, str], list[Evaluation]] = {}
  found = itertools.chain(*map(result_files.find_evaluations, folders))
  for folder in dict.fromkeys(path.resolve() for path in found):
    evaluation = result_files.read_evaluation(folder)
    key = (evaluation.card["task"], evaluation.card["dataset"])
    groups.setdefault(key, []).append(evaluation)
  return [_merge(group) for group in groups.values()]


def load_timings(
  folders: Sequence[Path], results: Sequence[Results]
) -> list[dict]:
  """Reads every timing.jsonl; networks are named as in the results.

  A network that the results do not have gets a key that they do not have.
  """
  rows = []
  groups = {(x.task, x.dataset): _Networks(x.runs) for x in results}
  for run in dict.fromkeys(map(result_files.run_folder, folders)):
    for row in result_files.read_timings(run):
      networks = groups.setdefault((row["task"], row["dataset"]), _Networks())
      rows.append(row | {"method": networks.key(row["method"], run)})
  return rows


def file_stems(results: Sequence[Results]) -> list[str]:
  """Returns DATASET_TASK in letters that file systems take, no two alike."""
  stems: list[str] = []
  for one in results:
    stem = re.sub(r"[^\w.-]+", "_", f"{one.dataset}_{one.task}")
    others = (f"{stem}_{number}" for number in itertools.count(2))
    candidates = itertools.chain([stem], others)
    stems.append(next(x for x in candidates if x not in stems))
  return stems


class _Networks:
  """Gives networks of one name from several runs keys of their own."""

  def __init__(self, runs: Mapping[str, Path] | None = None):
    self.runs = dict(runs or {})

  def key(self, method: str, run: Path) -> str:
    """Returns what reports call a run's method; always the same for it."""
    if family(method) != "network":
      return method
    return next(
      candidate
      for candidate in self._candidates(method, run)
      if self.runs.setdefault(candidate, run) == run
    )

  @staticmethod
  def _candidates(method: str, run: Path) -> Iterator[str]:
    yield method
    for start in range(len(run.parts) - 1, -1, -1):
      yield f"{method} ({'/'.join(run.parts[start:])})"


def _merge(group: Sequence[Evaluation]) -> Results:
  """Merges evaluations of the same task and data set."""
  card, networks = group[0].card, _Networks()
  level = card["level_name"]
  rows: dict[tuple, dict] = {}
  systems: dict[tuple, dict] = {}
  sounds: dict[tuple, Sound] = {}
  for found in group:
    _add(rows, found.rows, found, networks, ("file", "method", level))
    _add(systems, found.systems, found, networks, ("method", level))
    for entry in found.sounds:
      method = networks.key(entry["method"], found.run)
      folder = found.folder.resolve()
      path = (folder / entry["path"]).resolve()
      # Sounds may have been deleted to save space; and a stranger's results
      # must not bring files from elsewhere into a page.
      if path.is_file() and path.is_relative_to(folder):
        sound = Sound(**entry | {"method": method, "path": path})
        sounds.setdefault((sound.file, method, sound.level), sound)
  methods = in_order(row["method"] for row in rows.values())
  columns = set(itertools.chain(*rows.values(), *systems.values()))
  names = dict.fromkeys((*PAPER_METRICS, *METRICS))
  left_out = _first(group, "left_out")
  effect = _effect(card["task"], level)
  return Results(
    task=card["task"],
    task_label=card["task_label"],
    dataset=card["dataset"],
    level_name=level,
    level_label=effect.level_label,
    level_unit=effect.unit,
    levels=tuple(sorted({row[level] for row in rows.values()})),
    files=tuple(dict.fromkeys(row["file"] for row in rows.values())),
    methods=methods,
    metrics=tuple(name for name in names if name in columns),
    rows=tuple(rows.values()),
    systems=tuple(systems.values()),
    left_out={m: left_out[m] for m in in_order(left_out) if m not in methods},
    metrics_left_out={
      name: why
      for name, why in _first(group, "metrics_left_out").items()
      if name not in columns
    },
    settings=_settings(group),
    sounds=tuple(sounds.values()),
    sample_rate=_sample_rate(group),
    runs=networks.runs,
  )


def _add(
  table: dict[tuple, dict],
  rows: Sequence[dict],
  found: Evaluation,
  networks: _Networks,
  columns: tuple[str, ...],
) -> None:
  """Adds an evaluation's rows to those of other runs, by their `columns`.

  A copy of a row only fills in what the first one lacks.
  """
  differences: dict[str, float] = {}
  for row in rows:
    row["method"] = method = networks.key(row["method"], found.run)
    place = tuple(row[name] for name in columns)
    if place in table:
      kept, other = sorted((table[place], row), key=_lack)
      scores = ((kept.get(name), other.get(name)) for name in METRICS)
      for difference in (abs(x - y) for x, y in scores if None not in (x, y)):
        differences[method] = max(difference, differences.get(method, 0.0))
      row = other | kept
      for reason in _REASONS:
        if not kept.get(reason):
          row.pop(reason, None)
    table[place] = row
  for method, difference in differences.items():
    if difference > _TOLERANCE:
      logger.warning(
        "%s: the scores of %s differ from those of another run, or of an "
        "excerpt of the same name, by up to %.3g; the first are used",
        found.folder,
        method_label(method),
        difference,
      )


def _lack(row: Mapping) -> tuple[bool, bool]:
  """Tells whether a row has no score at all, and whether it lacks any."""
  return bool(row.get("error")), any(row.get(reason) for reason in _REASONS)


def _first(group: Sequence[Evaluation], field: str) -> dict[str, str]:
  """Joins a field of evaluation.json; the first reason for a name counts."""
  found: dict[str, str] = {}
  for evaluation in group:
    found = evaluation.card[field] | found
  return found


def _settings(group: Sequence[Evaluation]) -> dict[str, str]:
  """Joins the settings of each metric; runs may differ in them."""
  found: dict[str, dict[str, None]] = {}
  for evaluation in group:
    for name, text in evaluation.settings.items():
      found.setdefault(name, {})[text] = None
  return {name: " or ".join(texts) for name, texts in found.items()}


def _sample_rate(group: Sequence[Evaluation]) -> int:
  rates = {found.card["sample_rate"]: found.folder for found in group}
  if len(rates) > 1:
    places = ", ".join(f"{path} at {rate} Hz" for rate, path in rates.items())
    raise UserError(f"several sample rates: {places}; report them one by one")
  return next(iter(rates))


def _effect(task: str, level_name: str) -> effects.Effect:
  """Returns the effect that says what the level is.

  A task whose effect has options is not among those known by name.
  """
  if task in tasks.TASKS:
    return effects.get(tasks.TASKS[task].effect)
  found = effects.EFFECTS.values()
  return next(effect for effect in found if effect.level_name == level_name)
