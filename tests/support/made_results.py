"""Evaluation folders as `evaluate` leaves them, with scores of one's choice."""

import json
import tempfile
from pathlib import Path

import numpy as np
import soundfile

from distortion_removal import effects, metrics
from distortion_removal.effects import tasks
from distortion_removal.report import results

RATE = 16_000
METHODS = ("distorted", "demucs", "wave_unet", "aspade", "ideal_ratio_mask")
SETTINGS = {"si_sdr": "mean kept", "fad": "VGGish"}
# By metric: its score at no quality and at full quality.
_RANGES = {
  "si_sdr": (0.0, 40.0),
  "peaq": (-3.9, 0.0),
  "r_nonlin": (0.5, 1.0),
  "fad": (25.0, 0.5),
}


def make_rows(
  scores, *, level_name="gain_db", task="overdrive", dataset="guitar"
):
  """Rows of results.jsonl, of SI-SDR by method, by level, by excerpt."""
  shared = {"dataset": dataset, "task": task, "settings": SETTINGS}
  shared |= {"audio_seconds": 2.0, "compute_seconds": 0.25}
  return [
    {"method": method, level_name: level, "file": f"test/{i}", "si_sdr": score}
    | shared
    for method, by_level in scores.items()
    for level, column in by_level.items()
    for i, score in enumerate(column)
  ]


def make_timing(method, seconds, **others):
  """A row of timing.jsonl: seconds per second of audio at the best batch, 1."""
  row = {"method": method, "device": "cpu", "batch": 1, "best": True}
  row |= {"seconds_per_second": seconds, "peak_memory_bytes": 100 * 2**20}
  row |= {"dataset": "guitar", "task": "hard_clip", "sample_rate": RATE}
  row |= {"hardware": "Some CPU, 2 cores", "load_average": 1.25}
  return row | others


def write_evaluation(run, rows, *, systems=(), card=None):
  """Writes an evaluation without sounds into a run's folder; returns its own.

  `card` is what evaluation.json has besides the usual.
  """
  task, dataset = rows[0]["task"], rows[0]["dataset"]
  folder = run / "evaluation" / f"{dataset}_{task}".replace("/", "_")
  folder.mkdir(parents=True, exist_ok=True)
  write_lines(folder / "results.jsonl", rows)
  if systems:
    write_lines(folder / "systems.jsonl", systems)
  usual = {
    "dataset": dataset,
    "task": task,
    "task_label": tasks.get(task).label if task in tasks.TASKS else task,
    "level_name": "gain_db",
    "sample_rate": RATE,
    "left_out": {},
    "metrics_left_out": {},
  }
  (folder / "evaluation.json").write_text(json.dumps(usual | (card or {})))
  (folder / "sounds.json").write_text("[]")
  return folder


def write_lines(path, rows):
  """Writes a JSON line per row."""
  path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def make_results(folder=None, **options):
  """`Results` of `make_evaluation`; without sounds no folder is needed."""
  with tempfile.TemporaryDirectory() as temporary:
    run = make_evaluation(folder or Path(temporary), **options)
    return results.load([run])[0]


def make_evaluation(
  run,
  *,
  task="overdrive",
  dataset="ceg",
  methods=METHODS,
  metric_names=("si_sdr", "peaq", "r_nonlin", "fad"),
  files=12,
  levels=None,
  scores=None,
  errors=(),
  heard=0,
  seconds=1.5,
  channels=1,
  **card,
):
  """Writes plausible results into a run's folder; returns the evaluation's.

  Args:
    files: how many excerpts, or their names.
    levels: None takes the task's.
    scores: by metric, by method, `[files, levels]`, in place of made-up ones;
      NaN is an undefined score.
    errors: (file, method, level) that failed, and have no sound.
    heard: how many excerpts have sounds, at every level.
    card: what evaluation.json has besides the usual.
  """
  if isinstance(files, int):
    files = [f"test/{i}.wav" for i in range(files)]
  level_name = effects.get(tasks.get(task).effect).level_name
  if levels is None:
    levels = tasks.get(task).evaluation_levels
  found = _plausible(methods, metric_names, len(files), len(levels))
  for name, by_method in (scores or {}).items():
    found[name] |= by_method
  sets = [m for m in metric_names if metrics.get(m).embed is not None]
  shared = {"dataset": dataset, "task": task}
  rows = [
    shared
    | {"file": file, "method": method, level_name: level}
    | _scores(found, method, (i, k), set(metric_names) - set(sets))
    for i, file in enumerate(files)
    for method in methods
    for k, level in enumerate(levels)
  ]
  for row in rows:
    if (row["file"], row["method"], row[level_name]) in errors:
      row |= dict.fromkeys(set(metric_names) & set(row))
      row["error"] = "out of memory"
  systems = [
    shared
    | {"method": method, level_name: level}
    | _scores(found, method, (slice(None), k), sets)
    | {f"{name}_windows": [8, 8] for name in sets}
    for method in methods
    for k, level in [*enumerate(levels), (slice(None), None)]
  ]
  folder = write_evaluation(
    run,
    rows,
    systems=systems if sets else (),
    card={"level_name": level_name} | card,
  )
  (folder / "sounds").mkdir()
  entries = []
  for i, file in enumerate(files[:heard]):
    clean = plucked(seconds, i)
    for m, method in enumerate(("clean", *methods)):
      for level in levels if m else [None]:
        if (file, method, level) not in errors:
          gain = 10.0 ** (level / (40.0 * m - 20.0)) if m else None
          audio = np.tanh(gain * clean) if m else clean
          entry = {"file": file, "method": method, "level": level, "scale": 2.0}
          entry["path"] = f"sounds/{len(entries):04d}.flac"
          sides = np.stack([audio * 0.9**c for c in range(channels)], axis=1)
          soundfile.write(folder / entry["path"], sides / 2, RATE, "PCM_24")
          entries.append(entry)
  (folder / "sounds.json").write_text(json.dumps(entries))
  return folder


def _plausible(methods, metric_names, files, levels):
  """Scores by metric, by method: `[files, levels]`."""
  rng = np.random.default_rng(0)
  ease = np.linspace(0.15, -0.15, levels) if levels > 1 else np.zeros(1)
  found = {name: {} for name in metric_names}
  for i, method in enumerate(methods):
    quality = 0.15 if method == "distorted" else 0.9 - 0.08 * i
    qualities = quality + ease + 0.08 * rng.standard_normal((files, levels))
    for name in metric_names:
      low, high = _RANGES.get(name, (0.0, 1.0))
      found[name][method] = low + (high - low) * np.clip(qualities, 0, 1)
  return found


def _scores(found, method, place, names):
  """A row's scores: means over a place, None where undefined."""
  means = {name: float(np.mean(found[name][method][place])) for name in names}
  return {name: x if np.isfinite(x) else None for name, x in means.items()}


def plucked(seconds, seed, rate=RATE):
  """Chords of decaying tones, two a second, `[time]` with a peak of 0.5."""
  rng = np.random.default_rng(seed)
  time = np.arange(round(seconds * rate)) / rate
  audio = 0.002 * rng.standard_normal(len(time))
  for onset in np.arange(0.0, seconds, 0.5):
    own = np.maximum(time - onset, 0.0)
    for pitch_hz in 110.0 * 2.0 ** (rng.integers(0, 24, 3) / 12.0):
      for k in range(1, 9):
        decay = np.exp(-2.0 * k**0.5 * own) * (time >= onset)
        audio += decay * np.sin(2 * np.pi * k * pitch_hz * own) / k
  return 0.5 * audio / np.abs(audio).max()
