"""Evaluation: every test excerpt × level × method, one JSON line each."""

import json
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import jax
import ml_collections
import numpy as np

from distortion_removal import (
  baselines,
  datasets,
  effects,
  evaluation_scores,
  methods,
)
from distortion_removal import (
  config as run_config,
)
from distortion_removal.datasets import effect_options, pairs, tasks
from distortion_removal.datasets.tasks import Task
from distortion_removal.errors import UserError
from distortion_removal.evaluation import sounds as sound_files
from distortion_removal.evaluation_scores import Scorer
from distortion_removal.files import write_whole
from distortion_removal.log import logger
from distortion_removal.progress import Progress
from distortion_removal.report import evaluation


def evaluate(
  workdir: Path, config: ml_collections.ConfigDict | None = None
) -> Path:
  """Scores a run, and methods without a network, on a test split.

  Writes results.jsonl, a table and a plot per metric and sounds to listen to,
  and prints the tables. Metrics of sets go to systems.jsonl, a line for each
  method and level.

  Args:
    workdir: of the run: its model, weights and chunking are used.
    config: names the data set, task, metrics and baselines if they are not the
      run's own. If it has no network, there need not be a run.

  Returns:
    The folder with the results, below `workdir`.

  Raises:
    UserError: no run, no data set, or the data set has another sample rate or
      channel count than the model.
  """
  run = _run(workdir, config)
  config = run if config is None else config
  _check_same_format(run, config)
  task = tasks.from_config(config.data)
  source = datasets.read_split(datasets.open_dataset(config.data), "test")
  candidates = {"distorted": methods.distorted}
  if run.model.name:
    candidates[run.model.name] = methods.network(workdir, run)
  found, left_out = _baselines(config, task)
  candidates |= found
  folder = workdir / "evaluation" / f"{_label(config)}_{task.name}"
  for name in ("listen", "sounds"):
    (folder / name).mkdir(parents=True, exist_ok=True)

  partial = folder / "results.jsonl.partial"
  names, unusable = evaluation_scores.usable(
    config.metrics,
    sample_rate=config.data.sample_rate,
    channels=config.data.channels,
  )
  scorer = Scorer(names, config.data.sample_rate, task.evaluation_levels)
  rows, entries = [], []
  try:
    with open(partial, "w") as file:
      for row in _score(
        config, task, source, candidates, scorer, folder, entries
      ):
        rows.append(row)
        file.write(json.dumps(row) + "\n")
    partial.replace(folder / "results.jsonl")
  finally:
    partial.unlink(missing_ok=True)
  systems = _write_systems(config, task, scorer, folder)
  _write_json(folder / "sounds.json", entries)
  description = {
    "dataset": _label(config),
    "task": task.name,
    "task_label": task.label,
    "level_name": effects.get(task.effect).level_name,
    "levels": task.evaluation_levels,
    "sample_rate": config.data.sample_rate,
    "channels": config.data.channels,
    "excerpts": len(source),
    "network": run.model.name,
    "methods": list(candidates),
    "left_out": left_out,
    "metrics": names,
    "metrics_left_out": unusable,
  }
  _write_json(folder / "evaluation.json", description)
  print(evaluation.write_tables(rows, systems, names, task, folder))
  print(f"\nlisten to {folder / 'listen'}, look at {folder}")
  return folder


def _run(
  workdir: Path, config: ml_collections.ConfigDict | None
) -> ml_collections.ConfigDict:
  """The run in `workdir`, or a configuration that can do without."""
  needed = config is None or config.model.name
  if needed or run_config.exists(workdir):
    return run_config.load(workdir)
  run_config.check(config)
  return config


def _baselines(
  config: ml_collections.ConfigDict, task: Task
) -> tuple[dict[str, methods.Method], dict[str, str]]:
  """The methods of `config.baselines`, and why others are left out."""
  found, left_out = {}, {}
  for name in config.baselines:
    if baselines.get(name).applies_to(task):
      found[name] = methods.baseline(name, config)
    else:
      left_out[name] = f"does not undo {effect_options.effect_of(task).label}"
      logger.info("%s is left out: it %s", name, left_out[name])
  return found, left_out


def _write_json(path: Path, content: object) -> None:
  write_whole(path, json.dumps(content, indent=1) + "\n")


def _label(config: ml_collections.ConfigDict) -> str:
  """Names a data set; folders of recordings by where they were prepared."""
  folders = ("audio_folder", "ceg", "paired_folder")
  if config.data.dataset in folders and config.data.data_dir:
    return Path(config.data.data_dir).name
  return config.data.dataset


def _check_same_format(
  run: ml_collections.ConfigDict, config: ml_collections.ConfigDict
) -> None:
  for field in ("sample_rate", "channels"):
    model, data = run.data[field], config.data[field]
    if model != data:
      raise UserError(
        f"the model was trained at {field} {model}, the data set has {data}; "
        f"give --config.data.{field}={model}"
      )


def _score(
  config: ml_collections.ConfigDict,
  task: Task,
  source: datasets.Source,
  candidates: Mapping[str, methods.Method],
  scorer: Scorer,
  folder: Path,
  entries: list[dict],
) -> Iterator[dict]:
  """Yields a result row per excerpt, method and level."""
  if not len(source):
    raise UserError(f"the test split of {config.data.dataset} is empty")
  level_name = effects.get(task.effect).level_name
  degrade = jax.jit(pairs.degrader(task))
  rate = config.data.sample_rate
  longest = round(config.data.excerpt_seconds * rate)
  compiled = set()
  method_seconds, begin = 0.0, time.perf_counter()
  for i, record in enumerate(_progress(source)):
    clean, degraded = _all_levels(record, task, degrade, longest)
    excerpt_fields = {
      "dataset": _label(config),
      "task": task.name,
      "file": pairs.record_name(record),
      "audio_seconds": clean.shape[1] / rate,
    }
    sounds = {}
    scorer.watch_target(clean[:1])
    for name, method in candidates.items():
      # So that the times below are fair.
      part = methods.warm_up_part(name, degraded, rate)
      if (name, part.stop - part.start) not in compiled:
        method(degraded[:, part], clean[:, part])
        compiled.add((name, part.stop - part.start))
      start = time.perf_counter()
      sounds[name] = method(degraded, clean)
      seconds = time.perf_counter() - start
      method_seconds += seconds
      fields = {"method": name, "compute_seconds": seconds / len(degraded)}
      scores = scorer.rows(name, sounds[name], clean[:1], degraded)
      for level, row in zip(task.evaluation_levels, scores, strict=True):
        yield excerpt_fields | fields | {level_name: level} | row
    if i < config.listen_excerpts:
      listen = folder / "listen"
      evaluation.write_sounds(listen, i, sounds | {"clean": clean}, task, rate)
      for name, audio in (sounds | {sound_files.CLEAN: clean[:1]}).items():
        levels = task.evaluation_levels[: len(audio)]
        if name == sound_files.CLEAN:
          levels = (None,)
        for entry in sound_files.write(
          folder / "sounds", i, name, audio, levels, rate
        ):
          path = f"sounds/{entry['path']}"
          file = {"file": excerpt_fields["file"]}
          entries.append(file | entry | {"path": path})
  total = time.perf_counter() - begin
  logger.info(
    "methods took %.0f %%, metrics %.0f %% of %.0f s",
    100.0 * method_seconds / total,
    100.0 * scorer.seconds / total,
    total,
  )


def _all_levels(
  record: dict, task: Task, degrade: Callable, longest: int
) -> tuple[np.ndarray, np.ndarray]:
  """Clean and degraded `[levels, time, channels]` of one excerpt."""
  sides = pairs.sides(record, task)
  length, levels = len(sides["clean"]), task.evaluation_levels
  # One static length for the effect: zeros at the end change nothing before
  # them, nor the threshold of an SDR clip.
  batch = {
    name: np.repeat(
      np.pad(side, ((0, longest - length), (0, 0)))[None], len(levels), axis=0
    )
    for name, side in sides.items()
  }
  batch["level"] = np.asarray(levels, np.float32)
  batch["seed"] = np.stack(
    [pairs.fixed_seed(record, i) for i in range(len(levels))]
  )
  degraded = np.asarray(degrade(batch))
  return batch["clean"][:, :length], degraded[:, :length]


def _write_systems(
  config: ml_collections.ConfigDict, task: Task, scorer: Scorer, folder: Path
) -> list[dict]:
  """The rows of metrics of sets; systems.jsonl has them if there are any."""
  fields = {"dataset": _label(config), "task": task.name}
  level_name = effects.get(task.effect).level_name
  rows = [fields | row for row in scorer.systems(level_name)]
  path = folder / "systems.jsonl"
  if rows:
    lines = [json.dumps(row) + "\n" for row in rows]
    write_whole(path, "".join(lines))
  else:
    path.unlink(missing_ok=True)  # Of results that are no longer there.
  return rows


def _progress(source: datasets.Source) -> Iterator[dict]:
  """The records; shows how many are done."""
  with Progress(
    len(source), "evaluated %.0f %%", unit="excerpt", is_shown=True
  ) as shown:
    for i in range(len(source)):
      yield source[i]
      shown.advance(1)
