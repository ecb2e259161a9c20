"""Evaluation: every test excerpt × level × method, one JSON line each."""

import json
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import jax
import ml_collections
import numpy as np

from distortion_removal import (
  audio_io,
  baselines,
  datasets,
  effects,
  methods,
  metrics,
)
from distortion_removal import (
  config as run_config,
)
from distortion_removal.datasets import pairs, tasks
from distortion_removal.datasets.tasks import Task
from distortion_removal.errors import UserError
from distortion_removal.log import logger
from distortion_removal.metrics.loudness import normalise_loudness
from distortion_removal.progress import Progress
from distortion_removal.report import plots, tables


def evaluate(
  workdir: Path, config: ml_collections.ConfigDict | None = None
) -> Path:
  """Scores a run, and methods without a network, on a test split.

  Writes results.jsonl, a table and a plot per metric and sounds to listen to,
  and prints the tables.

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
  task = tasks.get(config.data.task)
  source = datasets.read_split(datasets.open_dataset(config.data), "test")
  candidates = {"distorted": methods.distorted}
  if run.model.name:
    candidates[run.model.name] = methods.network(workdir, run)
  candidates |= _baselines(config, task)
  folder = workdir / "evaluation" / f"{_label(config)}_{task.name}"
  (folder / "listen").mkdir(parents=True, exist_ok=True)

  partial = folder / "results.jsonl.partial"
  rows = []
  try:
    with open(partial, "w") as file:
      for row in _score(config, task, source, candidates, folder / "listen"):
        rows.append(row)
        file.write(json.dumps(row) + "\n")
    partial.replace(folder / "results.jsonl")
  finally:
    partial.unlink(missing_ok=True)
  _report(rows, task, config, folder)
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
) -> dict[str, methods.Method]:
  """The methods of `config.baselines` that can undo the task's effect."""
  found = {}
  for name in config.baselines:
    if baselines.get(name).applies_to(task.effect):
      found[name] = methods.baseline(name, config)
    else:
      logger.info("%s is left out: it does not undo %s", name, task.effect)
  return found


def _label(config: ml_collections.ConfigDict) -> str:
  """Names a data set; folders of recordings by where they were prepared."""
  if config.data.dataset == "audio_folder" and config.data.data_dir:
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
  listen: Path,
) -> Iterator[dict]:
  """Yields a result row per excerpt, method and level."""
  if not len(source):
    raise UserError(f"the test split of {config.data.dataset} is empty")
  degrade = jax.jit(effects.get(task.effect).apply)
  rate = config.data.sample_rate
  longest = round(config.data.excerpt_seconds * rate)
  compiled = set()
  for i, record in enumerate(_progress(source)):
    excerpt = pairs.scale_to_task(record, task)
    clean, degraded = _all_levels(excerpt, task, degrade, longest)
    excerpt_fields = {
      "dataset": _label(config),
      "task": task.name,
      "file": pairs.record_name(record),
      "audio_seconds": len(excerpt) / rate,
    }
    sounds = {}
    for name, method in candidates.items():
      # So that the times below are fair.
      part = methods.warm_up_part(name, degraded, rate)
      if (name, part.stop - part.start) not in compiled:
        method(degraded[:, part], clean[:, part])
        compiled.add((name, part.stop - part.start))
      start = time.perf_counter()
      sounds[name] = method(degraded, clean)
      seconds = (time.perf_counter() - start) / len(degraded)
      fields = {"method": name, "compute_seconds": seconds}
      for scores in _scores(sounds[name], clean, task, config):
        yield excerpt_fields | fields | scores
    if i < config.listen_excerpts:
      _write_sounds(listen, i, sounds | {"clean": clean}, task, rate)


def _all_levels(
  excerpt: np.ndarray, task: Task, degrade: Callable, longest: int
) -> tuple[np.ndarray, np.ndarray]:
  """Clean and degraded `[levels, time, channels]` of one excerpt."""
  levels = np.asarray(task.evaluation_levels, np.float32)
  # One static length for the effect: zeros at the end change nothing before
  # them, nor the threshold of an SDR clip.
  padded = np.pad(excerpt, ((0, longest - len(excerpt)), (0, 0)))
  clean = np.repeat(padded[None], len(levels), axis=0)
  degraded = np.asarray(degrade(clean, levels))
  return clean[:, : len(excerpt)], degraded[:, : len(excerpt)]


def _scores(
  estimate: np.ndarray,
  clean: np.ndarray,
  task: Task,
  config: ml_collections.ConfigDict,
) -> Iterator[dict]:
  """The level and the metrics of every level's estimate."""
  level_name = effects.get(task.effect).level_name
  columns = {
    name: metrics.get(name).function(
      estimate, clean, sample_rate=config.data.sample_rate
    )
    for name in config.metrics
  }
  for k, level in enumerate(task.evaluation_levels):
    scores = {name: _number(column[k]) for name, column in columns.items()}
    yield {level_name: level, **scores}


def _number(value: float) -> float | None:
  """A JSON number; None where the metric is undefined."""
  return float(value) if np.isfinite(value) else None


def _progress(source: datasets.Source) -> Iterator[dict]:
  """The records; shows how many are done."""
  with Progress(
    len(source), "evaluated %.0f %%", unit="excerpt", is_shown=True
  ) as shown:
    for i in range(len(source)):
      yield source[i]
      shown.advance(1)


def _write_sounds(
  folder: Path,
  index: int,
  sounds: Mapping[str, np.ndarray],
  task: Task,
  sample_rate: int,
) -> None:
  """Writes one excerpt at the task's middle level, equally loud."""
  level = len(task.evaluation_levels) // 2
  label = f"{task.evaluation_levels[level]:g}dB"
  for name, audio in sounds.items():
    scaled, limited = normalise_loudness(
      audio[level], sample_rate=sample_rate, loudness_lufs=task.loudness_lufs
    )
    path = folder / f"{index:03d}_{label}_{name}.wav"
    if limited:
      logger.info("%s is quieter than the others: its peak is full", path)
    audio_io.write(path, scaled, sample_rate)
  figure = plots.spectrogram_strip(
    {name: audio[level] for name, audio in sounds.items()}, sample_rate
  )
  figure.savefig(folder / f"{index:03d}_{label}.png", dpi=120)


def _report(
  rows: list[dict],
  task: Task,
  config: ml_collections.ConfigDict,
  folder: Path,
) -> None:
  """Prints and writes a table, and draws a plot, per metric."""
  effect = effects.get(task.effect)
  texts = []
  for name in config.metrics:
    metric = metrics.get(name)
    scores = tables.collect(rows, effect.level_name, name)
    texts.append(tables.median_table(scores, metric, effect))
    figure = plots.score_by_level(
      scores,
      level_label=f"{effect.level_label} / {effect.unit}",
      score_label=tables.heading(metric),
    )
    figure.savefig(folder / f"{name}.png", dpi=150)
  text = "\n\n".join(texts)
  (folder / "table.md").write_text(text + "\n")
  print(text)
  print(f"\nlisten to {folder / 'listen'}, look at {folder}")
