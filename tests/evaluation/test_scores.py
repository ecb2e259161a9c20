"""Scores of an evaluation against the metrics themselves."""

import itertools
from unittest import mock

import numpy as np
import pytest
from evaluation_case import toy_windows

from distortion_removal import metrics
from distortion_removal.common.errors import UserError
from distortion_removal.evaluation import scores
from distortion_removal.metrics import Metric
from distortion_removal.metrics.fad.frechet import Statistics, distance

RATE = 10
LEVELS = (20.0, 50.0)


@pytest.fixture(autouse=True)
def of_sets(monkeypatch):
  """Two metrics of sets, of which one cannot be used."""
  lacking = mock.Mock(side_effect=UserError("no weights; run x"))
  for name, embed in (("toy", toy_windows), ("lacking", lacking)):
    metric = Metric(None, "", "lower", 0.0, np.inf, name, embed=embed)
    monkeypatch.setitem(metrics.METRICS, name, metric)


def _excerpt(seed, seconds=10):
  """Clean `[1, time, 1]` and two estimates of it."""
  rng = np.random.default_rng(seed)
  clean = rng.standard_normal((1, RATE * seconds, 1)).astype(np.float32)
  noise = rng.standard_normal((2, *clean.shape[1:])).astype(np.float32)
  return clean, clean + np.array([0.1, 1.0], "f4")[:, None, None] * noise


def test_what_cannot_be_used_is_left_out_and_says_why(caplog):
  names = ["sdr", "lacking", "peaq"]
  found, left_out = scores.usable(names, sample_rate=48_000, channels=3)
  assert found == ["sdr"]
  assert left_out["lacking"] == "no weights; run x"
  assert left_out["peaq"].startswith("not for this audio: PEAQ takes")
  assert "lacking is left out: no weights; run x" in caplog.messages


def _embedded(audio):
  return scores.embed(("toy", "sdr"), audio, sample_rate=RATE).embeddings


def _statistics(parts):
  windows = [toy_windows(part, sample_rate=RATE) for part in parts]
  return Statistics.from_embeddings(np.concatenate(windows))


def test_a_system_is_all_its_excerpts():
  """Against the distance of all windows at once, in one array.

  A broken estimate is left out of its level alone.
  """
  excerpts = [_excerpt(0), _excerpt(1, 15), _excerpt(2)]
  excerpts[1][1][1, 3] = np.nan  # of 50 dB
  scales = {"a": 1.0, "b": 0.5}
  systems = scores.Systems(LEVELS)
  for clean, estimate in excerpts:
    systems.add_target(_embedded(clean))
    for method, scale in scales.items():
      systems.add(method, _embedded(scale * estimate))
  reference = _statistics([clean for clean, _ in excerpts])
  levels = [(20.0, [0], 35), (50.0, [1], 20), (None, [0, 1], 55)]
  expected = itertools.product(scales, levels)
  for row, (method, (level, chosen, count)) in zip(
    systems.rows("gain_db"), expected, strict=True
  ):
    assert (row["method"], row["gain_db"]) == (method, level)
    estimates = [scales[method] * e[[k]] for _, e in excerpts for k in chosen]
    toy = distance(_statistics(estimates), reference)
    assert row["toy"] == pytest.approx(toy, rel=1e-6)
    assert row["toy_windows"] == [count, 35]
