"""The paper's tasks hold what its table states; the others fit their effect."""

import subprocess
import sys

import jax
import numpy as np
import pytest
from conftest import shipped_config

from distortion_removal import effects
from distortion_removal.common.errors import UserError
from distortion_removal.effects import tasks


@pytest.mark.parametrize(
  ("name", "levels", "clean_peak", "loudness_lufs"),
  [
    ("overdrive", (20, 25, 30, 35, 40, 45, 50), 0.5, -19),
    ("hard_clip", (20, 25, 30, 35, 40, 45, 50), 0.5, -19),
    ("hard_clip_sdr", (1, 3, 5, 7, 10, 15, 20), None, -23),
  ],
)
def test_the_papers_tasks(name, levels, clean_peak, loudness_lufs):
  task = tasks.get(name)
  assert task.evaluation_levels == levels
  assert (task.clean_peak, task.loudness_lufs) == (clean_peak, loudness_lufs)


def test_a_task_for_each_effect():
  assert list(tasks.TASKS) == list(effects.EFFECTS)
  for name, task in tasks.TASKS.items():
    assert task.effect == task.name == name
    levels = task.evaluation_levels
    assert task.train_levels == (min(levels), max(levels))
    assert sorted(set(levels)) == list(levels)
  with pytest.raises(UserError, match=r"'fuzz'.*hard_clip, hard_clip_sdr"):
    tasks.get("fuzz")


@pytest.mark.parametrize(
  "name", [n for n, t in tasks.TASKS.items() if t.degraded_peak is not None]
)
def test_the_degraded_peak_is_about_what_the_effect_makes(name):
  task = tasks.get(name)
  n = np.arange(8000)
  audio = np.sin(0.05 * n) * np.exp(-n / 2000)
  audio = np.float32(task.clean_peak / np.abs(audio).max() * audio)
  levels = np.float32(task.evaluation_levels)
  clean = np.broadcast_to(audio[None, :, None], (len(levels), 8000, 1))
  degraded = jax.jit(effects.get(task.effect).apply)(clean, levels)
  peaks = np.abs(degraded).max((1, 2))
  np.testing.assert_allclose(peaks, task.degraded_peak, rtol=0.15)


def test_training_may_draw_from_other_levels():
  data = shipped_config("correction_random_distortion").data
  task = tasks.from_config(data)
  assert task.train_levels == (-5.0, 50.0)
  assert task.evaluation_levels == (10.0, 20.0, 30.0, 40.0, 50.0)
  data.levels = ()
  assert tasks.from_config(data).train_levels == (10.0, 50.0)
  for wrong in ((20.0,), (30.0, 20.0), ("a", "b")):
    data.levels = wrong
    with pytest.raises(UserError, match=r"config\.data\.levels"):
      tasks.from_config(data)


def test_import_is_light():
  code = (
    "import sys; from distortion_removal.effects import tasks; "
    "sys.exit(bool({'jax', 'tensorflow_datasets'} & sys.modules.keys()))"
  )
  subprocess.run([sys.executable, "-c", code], check=True)
