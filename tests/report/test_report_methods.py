"""How methods are called and in which order they come."""

import pytest

from distortion_removal import declipping, models
from distortion_removal.evaluation import baselines
from distortion_removal.report import methods


@pytest.mark.parametrize(
  ("method", "label"),
  [
    ("distorted", "distorted"),
    ("demucs", "Demucs"),
    ("wave_unet", "Wave-U-Net"),
    ("crafx", "CRAFx"),
    ("umx", "UMX"),
    ("aspade", "A-SPADE"),
    ("sspade", "S-SPADE"),
    ("social_sparsity", "social sparsity"),
    ("ideal_ratio_mask", "ideal ratio mask"),
    ("umx (run_2)", "UMX (run_2)"),
    ("somebody's", "somebody's"),
  ],
)
def test_label(method, label):
  assert methods.method_label(method) == label


def test_every_method_of_the_project_has_a_name():
  for method in (*baselines.BASELINES, *models._NETWORKS):
    assert methods.method_label(method) != method


def test_order():
  shuffled = [
    "ideal_ratio_mask",
    "zzz",
    "social_sparsity",
    "umx",
    "demucs (b)",
    "aaa",
    "aspade",
    "distorted",
    "demucs",
    "crafx",
    "aspade",
    "wave_unet",
  ]
  assert methods.in_order(shuffled) == (
    "distorted",
    "demucs (b)",
    "demucs",
    "wave_unet",
    "crafx",
    "umx",
    "aaa",
    "zzz",
    "aspade",
    "social_sparsity",
    "ideal_ratio_mask",
  )


def test_networks_are_what_a_run_has_of_its_own():
  networks = ["demucs", "umx (b)", "somebody's"]
  others = ["distorted", "clean", *baselines.BASELINES]
  assert all(map(methods.is_network, networks))
  assert not any(map(methods.is_network, others))


def test_baselines_are_the_input_and_declippers():
  assert all(map(methods.is_baseline, ["distorted", *declipping.DECLIPPERS]))
  others = ["clean", "ideal_ratio_mask", "demucs", "umx (b)", "somebody's"]
  assert not any(map(methods.is_baseline, others))
