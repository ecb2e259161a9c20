"""The inverse effect as a method of the evaluation."""

import numpy as np
import pytest
from conftest import make_tiny_config
from overdriven import overdriven, si_sdr_db, strings

from distortion_removal.effects import tasks
from distortion_removal.evaluation import baselines, methods


@pytest.mark.parametrize(
  ("task", "applies"),
  [("overdrive", True), ("diode", True), ("hard_clip", False)],
)
def test_it_is_for_effects_of_the_family(task, applies):
  assert baselines.get("inversion").applies_to(tasks.get(task)) == applies


@pytest.mark.e2e
def test_undoes_the_task_in_each_item_and_channel(tmp_path):
  """An item that is clean stays as it is."""
  config = make_tiny_config(tmp_path / "data")
  config.data.task, config.data.sample_rate = "overdrive", 16_000
  clean = np.stack([strings(2.0, 0), strings(2.0, 1)])[..., None]
  degraded = np.float32(clean)
  degraded[0] = overdriven(clean[0], 35.0, 20.0)
  output = methods.baseline("inversion", config)(degraded, None)
  assert (output.shape, output.dtype) == (degraded.shape, np.float32)
  np.testing.assert_array_equal(output[1], degraded[1])
  assert si_sdr_db(output[0, :, 0], clean[0, :, 0]) > 70.0
