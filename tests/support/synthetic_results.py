"""Results as `results.load` gives them, made up for tests."""

from pathlib import Path

import numpy as np

from distortion_removal import effects, metrics
from distortion_removal.audio import files as audio_io
from distortion_removal.effects import tasks
from distortion_removal.report import methods as names
from distortion_removal.report.results import Results, Sound

RATE = 16_000
METHODS = (
  "distorted",
  "demucs",
  "wave_unet",
  "crafx",
  "umx",
  "aspade",
  "ideal_ratio_mask",
)
METRICS = ("si_sdr", "peaq", "r_nonlin", "fad")
# Of each metric: what it is at no quality and at full quality.
_RANGES = {
  "si_sdr": (0.0, 40.0),
  "peaq": (-3.9, 0.0),
  "r_nonlin": (0.5, 1.0),
  "fad": (25.0, 0.5),
}


def make_results(
  *,
  task="overdrive",
  dataset="ceg",
  methods=METHODS,
  metric_names=METRICS,
  files=12,
  levels=None,
  scores=None,
  left_out=None,
  metrics_left_out=None,
  failures=None,
  sounds_folder=None,
  seed=0,
):
  """Plausible results: methods differ, and the task is easier at some levels.

  Args:
    task: name; unknown ones have gains in dB.
    dataset: label.
    methods: keys, in any order.
    metric_names: which have scores.
    files: how many excerpts, `test/0.wav`, `test/1.wav`, ...
    levels: None takes the task's.
    scores: by metric, by method, `[files, levels]`, in place of made-up ones;
      NaN is an undefined score.
    left_out: methods that do not apply, and why.
    metrics_left_out: metrics that could not be computed, and why.
    failures: methods and the rows they lost.
    sounds_folder: where sounds of the first excerpt go, at every level; None
      makes none.
    seed: of all that is random.

  Returns:
    `Results`.
  """
  methods = names.in_order(methods)
  known = tasks.TASKS.get(task)
  effect = effects.get(known.effect if known else "hard_clip")
  if levels is None:
    levels = known.evaluation_levels if known else (20.0, 30.0)
  levels = tuple(sorted(levels))
  found = _made_up(methods, metric_names, files, len(levels), seed)
  for name, by_method in (scores or {}).items():
    found[name] = found.get(name, {}) | by_method
  file_names = tuple(f"test/{i}.wav" for i in range(files))
  keys = {"dataset": dataset, "task": task}
  sets = [m for m in metric_names if metrics.get(m).embed is not None]
  rows = [
    keys
    | {"file": file, "method": method, effect.level_name: level}
    | {m: _number(found[m][method][i, k]) for m in found if m not in sets}
    for i, file in enumerate(file_names)
    for method in methods
    for k, level in enumerate(levels)
  ]
  systems = [
    keys
    | {"method": method, effect.level_name: level}
    | {m: _number(np.mean(found[m][method][:, k])) for m in sets}
    for method in methods
    for k, level in [*enumerate(levels), (slice(None), None)]
  ]
  return Results(
    task=task,
    task_label=known.label if known else task,
    dataset=dataset,
    level_name=effect.level_name,
    level_label=effect.level_label,
    level_unit=effect.unit,
    levels=levels,
    files=file_names,
    methods=methods,
    metrics=tuple(metric_names),
    rows=tuple(rows),
    systems=tuple(systems) if sets else (),
    left_out=left_out or {},
    metrics_left_out=metrics_left_out or {},
    failures=failures or {},
    sounds=_sounds(sounds_folder, file_names[0], methods, levels, seed),
    sample_rate=RATE,
    runs={m: Path("runs", m) for m in methods if names.is_network(m)},
  )


def _made_up(methods, metric_names, files, levels, seed):
  """By metric, by method: `[files, levels]`."""
  rng = np.random.default_rng(seed)
  ease = np.linspace(0.15, -0.15, levels) if levels > 1 else np.zeros(1)
  found = {name: {} for name in metric_names}
  for i, method in enumerate(methods):
    quality = 0.15 if method == "distorted" else 0.9 - 0.08 * i
    qualities = quality + ease + 0.08 * rng.standard_normal((files, levels))
    for name in metric_names:
      low, high = _RANGES.get(name, (0.0, 1.0))
      found[name][method] = low + (high - low) * np.clip(qualities, 0, 1)
  return found


def _number(value):
  return float(value) if np.isfinite(value) else None


def _sounds(folder, file, methods, levels, seed):
  """A tone, with less noise the better the method; stored at half scale."""
  if folder is None:
    return ()
  rng = np.random.default_rng(seed)
  clean = 0.5 * np.sin(2 * np.pi * 440.0 * np.arange(RATE) / RATE)
  versions = {("clean", None): clean}
  for i, method in enumerate(methods):
    amount = 0.3 if method == "distorted" else 0.01 * (i + 1)
    for level in levels:
      noise = amount * rng.uniform(-1, 1, len(clean))
      versions[method, level] = clean + noise
  found = []
  for i, ((method, level), audio) in enumerate(versions.items()):
    path = Path(folder).absolute() / f"{i:03d}.flac"
    audio_io.write(path, audio[:, None] / 2, RATE, subtype="PCM_24")
    found.append(Sound(file, method, level, path, 2.0))
  return tuple(found)
