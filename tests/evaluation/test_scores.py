"""Scores of an evaluation against the metrics themselves."""

import dataclasses
import logging

import numpy as np
import pytest

from distortion_removal import metrics
from distortion_removal.common.errors import UserError
from distortion_removal.evaluation import scores
from distortion_removal.metrics import Metric
from distortion_removal.metrics.fad.frechet import Statistics, distance

RATE = 100
LEVELS = (20.0, 50.0)


def _windows(audio, *, sample_rate):
  """Two dimensions for every tenth of a second; none of a broken item."""
  assert sample_rate == RATE
  audio = audio[np.isfinite(audio).all(axis=(1, 2))]
  cut = audio.reshape(-1, 10)
  return np.stack([cut.mean(axis=1), cut.max(axis=1, initial=-9.0)], axis=1)


def _without_weights(audio, *, sample_rate):
  raise UserError("no weights; run x")


@pytest.fixture(autouse=True)
def of_sets(monkeypatch):
  """Two metrics of sets, of which one cannot be used."""
  for name, embed in (("toy", _windows), ("lacking", _without_weights)):
    described = "", "lower", 0.0, np.inf, name, f"{name} settings"
    metric = Metric(None, *described, embed=embed)
    monkeypatch.setitem(metrics.METRICS, name, metric)


def _excerpt(seed, seconds=1.0):
  """Clean `[1, time, 1]` and two estimates of it."""
  rng = np.random.default_rng(seed)
  clean = rng.standard_normal((1, round(RATE * seconds), 1)).astype(np.float32)
  noise = rng.standard_normal((2, *clean.shape[1:])).astype(np.float32)
  return clean, clean + np.array([0.1, 1.0], "f4")[:, None, None] * noise


def test_what_cannot_be_used_is_left_out_and_says_why(caplog):
  caplog.set_level(logging.WARNING)
  names = ["si_sdr", "lacking", "toy"]
  assert scores.usable(names, sample_rate=RATE, channels=1) == (
    ["si_sdr", "toy"],
    {"lacking": "no weights; run x"},
  )
  assert caplog.messages == ["lacking is left out: no weights; run x"]


def test_a_metric_of_two_channels_is_left_out_of_three(caplog):
  caplog.set_level(logging.WARNING)
  options = {"sample_rate": 48_000, "channels": 3}
  found, left_out = scores.usable(["peaq", "sdr"], **options)
  assert found == ["sdr"]
  assert list(left_out) == ["peaq"]
  assert "peaq is left out: not for this audio: PEAQ takes" in caplog.text


def test_rows_are_the_metrics_of_each_level():
  clean, estimate = _excerpt(0)
  degraded = np.clip(estimate, -0.5, 0.5)
  names = ("si_sdr", "delta_sdr", "toy")
  found = scores.score(names, estimate, clean, degraded, sample_rate=RATE)
  assert len(found.rows) == 2
  options_of = {"si_sdr": {}, "delta_sdr": {"degraded": degraded}}
  for k, row in enumerate(found.rows):
    assert row == {
      name: metrics.get(name).function(
        estimate, clean, sample_rate=RATE, **options
      )[k]
      for name, options in options_of.items()
    }
  for k, windows in enumerate(found.embeddings["toy"]):
    expected = _windows(estimate[[k]], sample_rate=RATE)
    np.testing.assert_array_equal(windows, expected)
  assert found.errors == []
  assert found.seconds > 0.0


def test_undefined_scores_are_none():
  clean, estimate = _excerpt(0)
  found = scores.score(
    ("sdr",), estimate, 0 * clean, estimate, sample_rate=RATE
  )
  assert found.rows == [{"sdr": None}] * 2
  systems = scores.Systems(LEVELS)
  systems.add("a", found.embeddings)
  assert list(systems.rows("gain_db")) == []


def test_a_metric_that_fails_leaves_the_others(monkeypatch):
  def broken(*_, **__):
    raise RuntimeError("no such thing\nas this")

  broken_metric = dataclasses.replace(metrics.get("sdr"), function=broken)
  monkeypatch.setitem(metrics.METRICS, "sdr", broken_metric)
  clean, estimate = _excerpt(0)
  found = scores.score(
    ("sdr", "si_sdr", "lacking"), estimate, clean, estimate, sample_rate=RATE
  )
  assert [row["sdr"] for row in found.rows] == [None, None]
  assert all(row["si_sdr"] is not None for row in found.rows)
  assert found.errors == [
    "lacking: UserError: no weights; run x",
    "sdr: RuntimeError: no such thing",
  ]
  assert scores.nothing(("sdr", "si_sdr", "toy"), 1) == [
    {"sdr": None, "si_sdr": None}
  ]


def _embedded(audio):
  found, errors = scores.embed(("toy", "sdr"), audio, sample_rate=RATE)
  assert errors == []
  return found


def test_a_system_is_all_its_excerpts():
  """Against the distance of all windows at once, in one array."""
  excerpts = [_excerpt(0), _excerpt(1, 1.5), _excerpt(2)]
  systems = scores.Systems(LEVELS)
  for clean, estimate in excerpts:
    systems.add_target(_embedded(clean))
    for method, scale in (("a", 1.0), ("b", 0.5)):
      systems.add(method, _embedded(scale * estimate))
  rows = list(systems.rows("gain_db"))
  keys = [(row["method"], row["gain_db"]) for row in rows]
  assert keys == [(m, x) for m in ("a", "b") for x in (20.0, 50.0, None)]
  reference = _statistics([clean for clean, _ in excerpts])
  for row in rows:
    scale = {"a": 1.0, "b": 0.5}[row["method"]]
    chosen = {20.0: [0], 50.0: [1], None: [0, 1]}[row["gain_db"]]
    whole = _statistics([scale * e[[k]] for _, e in excerpts for k in chosen])
    assert row["toy"] == pytest.approx(distance(whole, reference), rel=1e-6)
    assert row["toy_windows"] == [35 * len(chosen), 35]
  assert rows[0]["toy"] < rows[1]["toy"]


def _statistics(parts):
  windows = [_windows(part, sample_rate=RATE) for part in parts]
  return Statistics.from_embeddings(np.concatenate(windows))


def test_a_broken_estimate_is_left_out_of_its_level_alone():
  clean, estimate = _excerpt(0)
  broken = estimate.copy()
  broken[1, 3] = np.nan
  systems = scores.Systems(LEVELS)
  systems.add_target(_embedded(clean))
  systems.add("a", _embedded(broken))
  first, second, whole = systems.rows("gain_db")
  expected = _statistics([estimate[:1]])
  for row in (first, whole):
    reference = _statistics([clean])
    assert row["toy"] == pytest.approx(distance(expected, reference), rel=1e-6)
    assert row["toy_windows"] == [10, 10]
  assert second["toy"] is None
  assert second["toy_windows"] == [0, 10]
