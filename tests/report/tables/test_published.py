"""The paper's numbers: as its text and tables have them."""

import pytest

from distortion_removal.effects import tasks
from distortion_removal.report.tables.published import published

ALL = ("distorted", "demucs", "wave_unet", "crafx", "umx", "ideal_ratio_mask")
# Rounded as published with the system's description: SI-SDR in dB.
MEDIANS = {
  "overdrive": dict(zip(ALL, (3.3, 37.9, 32.7, 18.5, 9.9, 13.3), strict=True)),
  "hard_clip": {"aspade": 8.1}
  | dict(zip(ALL, (2.4, 9.0, 7.8, 6.1, 7.8, 12.5), strict=True)),
  "hard_clip_sdr": {"wave_unet": 16.1, "umx": 14.3, "aspade": 13.4}
  | {"distorted": 8.6, "demucs": 20.5, "ideal_ratio_mask": 16.8},
}


@pytest.mark.parametrize("task", MEDIANS)
def test_every_method_has_every_metric(task):
  found = published(task)
  quartiles = found.quartiles["si_sdr"]
  assert {m: round(x[1], 1) for m, x in quartiles.items()} == MEDIANS[task]
  for metric in ("si_sdr", "peaq", "r_nonlin", "fad"):
    assert set(found.methods(metric)) == set(MEDIANS[task])
  for by_method in found.quartiles.values():
    assert all(q1 < q2 < q3 for q1, q2, q3 in by_method.values())


def test_means_by_input_sdr():
  found = published("hard_clip_sdr").mean_by_level
  levels = tasks.get("hard_clip_sdr").evaluation_levels
  for by_method in found.values():
    assert set(by_method) == set(MEDIANS["hard_clip_sdr"])
    assert all(tuple(means) == levels for means in by_method.values())
  # SI-SDR of a clipped signal is about its SDR.
  for level, mean in found["si_sdr"]["distorted"].items():
    assert mean == pytest.approx(level, abs=1.5)
