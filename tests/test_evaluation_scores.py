"""Scores of an evaluation against the metrics themselves."""

import logging

import numpy as np
import pytest

from distortion_removal import evaluation_scores, metrics
from distortion_removal.errors import UserError
from distortion_removal.metrics import Metric
from distortion_removal.metrics.frechet import Statistics, distance

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
  assert evaluation_scores.usable(names, sample_rate=RATE, channels=1) == (
    ["si_sdr", "toy"],
    {"lacking": "no weights; run x"},
  )
  assert caplog.messages == ["lacking is left out: no weights; run x"]


def test_a_metric_of_two_channels_is_left_out_of_three(caplog):
  caplog.set_level(logging.WARNING)
  options = {"sample_rate": 48_000, "channels": 3}
  found, left_out = evaluation_scores.usable(["peaq", "sdr"], **options)
  assert found == ["sdr"]
  assert list(left_out) == ["peaq"]
  assert "peaq is left out: not for this audio: PEAQ takes" in caplog.text


def test_rows_are_the_metrics_of_each_level():
  clean, estimate = _excerpt(0)
  degraded = np.clip(estimate, -0.5, 0.5)
  names = ("si_sdr", "delta_sdr", "toy")
  scorer = evaluation_scores.Scorer(names, RATE, LEVELS)
  scorer.watch_target(clean)
  rows = list(scorer.rows("a", estimate, clean, degraded))
  assert len(rows) == 2
  options_of = {"si_sdr": {}, "delta_sdr": {"degraded": degraded}}
  for k, row in enumerate(rows):
    for name, options in options_of.items():
      function = metrics.get(name).function
      expected = function(estimate, clean, sample_rate=RATE, **options)
      assert row[name] == expected[k]
    assert row["settings"] == {
      "si_sdr": metrics.get("si_sdr").settings,
      "delta_sdr": metrics.get("delta_sdr").settings,
      "toy": "toy settings",
    }
    assert "toy" not in row
    assert 0.0 < row["metric_seconds"] <= scorer.seconds


def test_undefined_scores_are_none():
  clean, estimate = _excerpt(0)
  scorer = evaluation_scores.Scorer(("sdr",), RATE, LEVELS)
  rows = scorer.rows("a", estimate, 0 * clean, estimate)
  assert [row["sdr"] for row in rows] == [None, None]
  assert list(scorer.systems("gain_db")) == []


def test_a_system_is_all_its_excerpts():
  """Against the distance of all windows at once, in one array."""
  excerpts = [_excerpt(0), _excerpt(1, 1.5), _excerpt(2)]
  scorer = evaluation_scores.Scorer(("toy",), RATE, LEVELS)
  for clean, estimate in excerpts:
    scorer.watch_target(clean)
    for method, scale in (("a", 1.0), ("b", 0.5)):
      list(scorer.rows(method, scale * estimate, clean, estimate))
  rows = list(scorer.systems("gain_db"))
  keys = [(row["method"], row["gain_db"]) for row in rows]
  assert keys == [(m, x) for m in ("a", "b") for x in (20.0, 50.0, None)]
  reference = _statistics([clean for clean, _ in excerpts])
  for row in rows:
    scale = {"a": 1.0, "b": 0.5}[row["method"]]
    chosen = {20.0: [0], 50.0: [1], None: [0, 1]}[row["gain_db"]]
    whole = _statistics([scale * e[[k]] for _, e in excerpts for k in chosen])
    assert row["toy"] == pytest.approx(distance(whole, reference), rel=1e-6)
    assert row["toy_windows"] == [35 * len(chosen), 35]
    assert row["settings"] == {"toy": "toy settings"}
  assert rows[0]["toy"] < rows[1]["toy"]


def _statistics(parts):
  windows = [_windows(part, sample_rate=RATE) for part in parts]
  return Statistics.from_embeddings(np.concatenate(windows))


def test_a_broken_estimate_is_left_out_of_its_level_alone():
  clean, estimate = _excerpt(0)
  broken = estimate.copy()
  broken[1, 3] = np.nan
  scorer = evaluation_scores.Scorer(("toy",), RATE, LEVELS)
  scorer.watch_target(clean)
  list(scorer.rows("a", broken, clean, estimate))
  first, second, whole = scorer.systems("gain_db")
  expected = _statistics([estimate[:1]])
  for row in (first, whole):
    reference = _statistics([clean])
    assert row["toy"] == pytest.approx(distance(expected, reference), rel=1e-6)
    assert row["toy_windows"] == [10, 10]
  assert second["toy"] is None
  assert second["toy_windows"] == [0, 10]
