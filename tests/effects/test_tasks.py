"""The paper's tasks hold what its table states; the others fit their effect."""

import subprocess
import sys

import jax
import numpy as np
import pytest

from distortion_removal import effects
from distortion_removal.common.errors import UserError
from distortion_removal.effects import tasks


@pytest.mark.parametrize("name", ["overdrive", "hard_clip"])
def test_guitar_tasks(name):
  task = tasks.get(name)
  assert task.effect == task.name == name
  assert task.train_levels == (20, 50)
  assert task.evaluation_levels == (20, 25, 30, 35, 40, 45, 50)
  assert task.clean_peak == 0.5
  assert task.loudness_lufs == -19


def test_signaltrain_task_keeps_the_original_scale():
  task = tasks.get("hard_clip_sdr")
  assert task.train_levels == (1, 20)
  assert task.evaluation_levels == (1, 3, 5, 7, 10, 15, 20)
  assert task.clean_peak is None
  assert task.loudness_lufs == -23


def test_a_task_for_each_effect():
  assert list(tasks.TASKS) == list(effects.EFFECTS)
  for name, task in tasks.TASKS.items():
    assert task.effect == task.name == name
    levels = task.evaluation_levels
    assert task.train_levels == (min(levels), max(levels))
    assert sorted(set(levels)) == list(levels)
    assert (task.clean_peak is None) == (name in ("hard_clip_sdr", "recorded"))


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


def test_unknown_task_names_the_known_ones():
  with pytest.raises(UserError, match=r"'fuzz'.*hard_clip, hard_clip_sdr"):
    tasks.get("fuzz")


def test_import_is_light():
  code = (
    "import sys; from distortion_removal.effects import tasks; "
    "print({'jax', 'tensorflow_datasets'} & sys.modules.keys())"
  )
  result = subprocess.run(
    [sys.executable, "-c", code], capture_output=True, text=True, check=True
  )
  assert result.stdout.strip() == "set()"
