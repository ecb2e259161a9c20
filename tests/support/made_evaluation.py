"""Evaluations as a run leaves them, with sounds, made up for the page."""

import json

import numpy as np
import soundfile

from distortion_removal import effects
from distortion_removal.effects import tasks
from distortion_removal.report import results

RATE = 16_000
METHODS = ("distorted", "demucs", "ideal_ratio_mask")


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


def make_evaluation(
  folder,
  *,
  task="overdrive",
  dataset="ceg",
  files=("test/00.wav#000", "test/01.wav#000"),
  methods=METHODS,
  levels=(20.0, 35.0, 50.0),
  left_out=None,
  errors=(),
  seconds=1.5,
  rate=RATE,
  channels=1,
):
  """Writes results.jsonl, evaluation.json, sounds.json and sounds.

  Versions differ by how hard they are driven and by their noise; the middle
  excerpt of a task is as any other.

  Args:
    folder: of the evaluation, made.
    task: name.
    dataset: label.
    files: names of the excerpts, all of which have sounds.
    methods: keys; of "clean" there is a sound without a level.
    levels: of the degradation.
    left_out: methods that do not apply, and why.
    errors: (file, method, level) that failed, and have no sound.
    seconds: of each excerpt.
    rate: in Hz.
    channels: of each sound, each a little different.

  Returns:
    `folder`.
  """
  (folder / "sounds").mkdir(parents=True)
  level_name = effects.get(tasks.get(task).effect).level_name
  rows, sounds = [], []

  def add(file, method, level, audio):
    path = f"sounds/{len(sounds):04d}.flac"
    sides = np.stack([audio * 0.9**c for c in range(channels)], axis=1)
    soundfile.write(folder / path, sides / 2, rate, "PCM_24")
    place = {"file": file, "method": method, "level": level}
    sounds.append(place | {"path": path, "scale": 2.0})

  for i, file in enumerate(files):
    clean = plucked(seconds, i, rate)
    add(file, "clean", None, clean)
    for m, method in enumerate(methods):
      for level in levels:
        row = {"dataset": dataset, "task": task, "file": file}
        row |= {"method": method, level_name: level}
        row |= {"audio_seconds": seconds, "compute_seconds": 0.1}
        if (file, method, level) in errors:
          scores = {"si_sdr": None, "peaq": None, "r_nonlin": None}
          rows.append(row | scores | {"error": "out of memory"})
          continue
        si_sdr_db = 20.0 * m - 0.2 * level + i
        peaq = max(-3.9, -4.0 + 0.9 * m)
        rows.append(
          row | {"si_sdr": si_sdr_db, "peaq": peaq, "r_nonlin": 0.5 + 0.1 * m}
        )
        drive = 10.0 ** (level / (20.0 + 40.0 * m))
        add(file, method, level, np.tanh(drive * clean))
  card = {
    "dataset": dataset,
    "task": task,
    "level_name": level_name,
    "levels": list(levels),
    "sample_rate": rate,
    "channels": channels,
    "excerpts": len(files),
    "network": "demucs",
    "methods": list(methods),
    "left_out": left_out or {},
    "metrics": ["si_sdr", "peaq", "r_nonlin"],
    "metrics_left_out": {},
  }
  lines = "".join(json.dumps(row) + "\n" for row in rows)
  (folder / "results.jsonl").write_text(lines)
  (folder / "evaluation.json").write_text(json.dumps(card))
  (folder / "sounds.json").write_text(json.dumps(sounds))
  return folder


def make_results(folder, tasks_and_options):
  """`Results` of several evaluations in `folder`, each with its options."""
  folders = [
    make_evaluation(folder / "run" / "evaluation" / str(i), **options)
    for i, options in enumerate(tasks_and_options)
  ]
  return results.load(folders)
