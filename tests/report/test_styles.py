"""Styles: who looks how, and that readers can tell them apart."""

import itertools

import numpy as np
import pytest
from matplotlib.colors import to_rgb

from distortion_removal.evaluation import baselines
from distortion_removal.report.styles import style, styles

METHODS = (
  "distorted",
  "demucs",
  "wave_unet",
  "crafx",
  "umx",
  *baselines.BASELINES,
)
# What colour-blind readers see, of linear RGB: Machado, Oliveira, Fernandes,
# "A physiologically-based model for simulation of color vision deficiency",
# 2009, severity 1.
VISION = {
  "protan": [
    [0.152286, 1.052583, -0.204868],
    [0.114503, 0.786281, 0.099216],
    [-0.003882, -0.048116, 1.051998],
  ],
  "deutan": [
    [0.367322, 0.860646, -0.227968],
    [0.280085, 0.672501, 0.047413],
    [-0.011820, 0.042940, 0.968881],
  ],
  "tritan": [
    [1.255528, -0.076749, -0.178779],
    [-0.078411, 0.930809, 0.147602],
    [0.004733, 0.691367, 0.303900],
  ],
  "normal": np.eye(3),
}
XYZ = [
  [0.4124, 0.3576, 0.1805],
  [0.2126, 0.7152, 0.0722],
  [0.0193, 0.1192, 0.9505],
]


def _cie_lab(colour, vision):
  rgb = np.array(to_rgb(colour))
  linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
  seen = np.clip(np.array(vision) @ linear, 0, 1)
  ratios = XYZ @ seen / np.sum(XYZ, axis=1)
  x, y, z = np.where(ratios > 0.008856, np.cbrt(ratios), 7.787 * ratios + 0.138)
  return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


@pytest.mark.parametrize("vision", VISION)
def test_colours_differ_to_every_reader(vision):
  for one, other in itertools.combinations(METHODS, 2):
    colours = [
      _cie_lab(style(method).colour, VISION[vision]) for method in (one, other)
    ]
    assert np.linalg.norm(colours[0] - colours[1]) > 15, (one, other)


def test_without_colour_marker_and_dash_tell_methods_apart():
  looks = {(style(m).marker, style(m).dash) for m in METHODS}
  assert len(looks) == len({style(m).marker for m in METHODS}) == len(METHODS)


def test_the_input_is_black_and_dashed():
  assert style("distorted").colour == "#000000"
  assert style("distorted").dash == "--"
  assert [m for m in METHODS if style(m).dash == "--"] == ["distorted"]


def test_an_unknown_method_has_a_style_of_its_own_that_lasts():
  known = [style(m) for m in METHODS]
  assert style("my_network") not in known
  # From the name alone, so also in another process and another figure.
  assert style("my_network").colour == "#332288"
  assert style("my_network") == styles(["demucs", "my_network"])["my_network"]


def test_many_unknown_methods_in_one_figure_differ_and_keep_their_colours():
  names = [f"demucs (run{i})" for i in range(15)]
  found = styles(["demucs", *names])
  assert len({(look.marker, look.dash) for look in found.values()}) == 16
  assert all(found[name].colour == style(name).colour for name in names)


def test_more_methods_than_styles_are_drawn_all_the_same():
  names = [f"network {i}" for i in range(200)]
  assert list(styles(names)) == names
