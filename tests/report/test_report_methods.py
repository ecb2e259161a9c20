"""Methods: their names, order, families, and looks that can be told apart."""

import itertools

import numpy as np
import pytest
from matplotlib.colors import to_rgb

from distortion_removal import declipping
from distortion_removal.evaluation import baselines
from distortion_removal.report.methods import (
  family,
  in_order,
  method_label,
  styles,
)

NETWORKS = ("demucs", "wave_unet", "crafx", "umx")
OURS = ("hybrid", "inverses", "correction")
METHODS = ("distorted", *NETWORKS, *OURS, *baselines.BASELINES)


def test_order():
  order = [
    *("distorted", "demucs (b)", "demucs", "wave_unet", "crafx", "umx"),
    *("aaa", "zzz", *OURS, "aspade", "social_sparsity", "ideal_ratio_mask"),
  ]
  # Runs of one network stay as they are given.
  shuffled = [*order[5:], *order[:5], "aspade"]
  assert list(in_order(shuffled)) == order
  assert not set(METHODS) & set(map(method_label, METHODS[1:]))


def test_families():
  families = {
    "network": ["demucs", "umx (b)", "somebody's", *OURS],
    "input": ["distorted"],
    "target": ["clean"],
    "declipper": declipping.DECLIPPERS,
    "oracle": ["ideal_ratio_mask"],
  }
  for name, methods in families.items():
    assert {family(method) for method in methods} == {name}


def _matrix(text):
  return np.array(text.split(), float).reshape(3, 3)


# What colour-blind readers see, of linear RGB: Machado, Oliveira, Fernandes,
# "A physiologically-based model for simulation of color vision deficiency",
# 2009, severity 1.
VISION = {
  "protan": """0.152286 1.052583 -0.204868 0.114503 0.786281 0.099216
    -0.003882 -0.048116 1.051998""",
  "deutan": """0.367322 0.860646 -0.227968 0.280085 0.672501 0.047413
    -0.011820 0.042940 0.968881""",
  "tritan": """1.255528 -0.076749 -0.178779 -0.078411 0.930809 0.147602
    0.004733 0.691367 0.303900""",
  "normal": "1 0 0 0 1 0 0 0 1",
}
XYZ = _matrix("0.4124 0.3576 0.1805 0.2126 0.7152 0.0722 0.0193 0.1192 0.9505")


def _cie_lab(colour, vision):
  rgb = np.array(to_rgb(colour))
  linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
  seen = np.clip(_matrix(vision) @ linear, 0, 1)
  ratios = XYZ @ seen / np.sum(XYZ, axis=1)
  x, y, z = np.where(ratios > 0.008856, np.cbrt(ratios), 7.787 * ratios + 0.138)
  return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


@pytest.mark.parametrize("vision", VISION)
def test_colours_differ_to_every_reader(vision):
  looks = styles(METHODS)
  seen = {m: _cie_lab(looks[m].colour, VISION[vision]) for m in METHODS}
  for one, other in itertools.combinations(METHODS, 2):
    assert np.linalg.norm(seen[one] - seen[other]) > 15, (one, other)


def test_without_colour_marker_and_dash_tell_methods_apart():
  looks = styles(METHODS)
  assert len({look.marker for look in looks.values()}) == len(METHODS)
  assert [m for m in METHODS if looks[m].dash == "--"] == ["distorted"]
  names = [*METHODS, *(f"demucs (run{i})" for i in range(16))]
  looks = styles(names)
  assert list(looks) == names
  pairs = {(look.marker, look.dash) for look in looks.values()}
  assert len(pairs) == len(names)
  # More than there are styles are drawn all the same.
  assert len(styles(map(str, range(200)))) == 200
