"""The tasks hold what the paper's table states."""

import subprocess
import sys

import pytest

from distortion_removal.datasets import tasks
from distortion_removal.errors import UserError


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


def test_unknown_task_names_the_known_ones():
  with pytest.raises(UserError, match="overdrive, hard_clip, hard_clip_sdr"):
    tasks.get("fuzz")


def test_import_is_light():
  code = (
    "import sys; from distortion_removal.datasets import tasks; "
    "print({'jax', 'tensorflow_datasets'} & sys.modules.keys())"
  )
  result = subprocess.run(
    [sys.executable, "-c", code], capture_output=True, text=True, check=True
  )
  assert result.stdout.strip() == "set()"
