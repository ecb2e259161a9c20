"""Options that follow the sample rate: those of the papers, octaves between."""

import pytest

from distortion_removal.declipping import (
  DECLIPPERS,
  check_options,
  options_at,
)


@pytest.mark.parametrize(
  ("name", "sample_rate", "expected"),
  [
    ("aspade", 16_000, {"frame": 1024, "hop": 256, "r": 1}),
    ("sspade", 44_100, {"frame": 8192, "hop": 2048, "r": 2}),
    ("aspade", 48_000, {"frame": 8192, "hop": 2048, "r": 2}),
    ("aspade", 96_000, {"frame": 16384, "hop": 4096, "r": 2}),
    ("aspade", 22_050, {"frame": 1024, "hop": 256, "r": 1}),
    ("parabola", 44_100, {"frame": 8192, "hop": 2048}),
    ("nmf", 16_000, {"frame": 2048, "hop": 512}),
    ("nmf", 8_000, {"frame": 1024, "hop": 256}),
  ],
)
def test_options_follow_the_sample_rate(name, sample_rate, expected):
  assert options_at(name, sample_rate) == expected


@pytest.mark.parametrize("name", DECLIPPERS)
def test_every_rate_has_options_that_work(name):
  for sample_rate in (1, 100, 8_000, 11_025, 32_000, 192_000, 768_000):
    check_options(name, options_at(name, sample_rate), 0.5)
