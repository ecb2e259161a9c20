"""Statistics of degraded spectrograms against SciPy's spectrograms."""

import json

import numpy as np
import pytest
import scipy.signal
from conftest import make_tiny_config

from distortion_removal.datasets import opening, pairs, spectrum_statistics
from distortion_removal.effects import tasks

SIZE, HOP = 128, 32


@pytest.fixture
def builder(tiny_data):
  return opening.open_dataset(make_tiny_config(tiny_data).data)


def _statistics(builder, **options):
  return spectrum_statistics.spectrum_statistics(
    builder, size=SIZE, hop=HOP, **options
  )


def _magnitudes(record, index, rail=1.0):
  """Hard-clipped at the excerpt's own level, transformed by SciPy."""
  task = tasks.get("hard_clip")
  level = np.random.default_rng(index).uniform(*task.train_levels)
  clean = pairs.sides(record, task)["clean"][:, 0]
  degraded = np.clip(10 ** (level / 20) * clean, -rail, rail)
  _, _, spectrum = scipy.signal.stft(
    np.pad(degraded, SIZE // 2, "reflect"),
    window="hann",
    nperseg=SIZE,
    noverlap=SIZE - HOP,
    boundary=None,
    padded=False,
  )
  return np.abs(spectrum) * SIZE / 2


def _frames(builder, **options):
  source = opening.read_split(builder, "train")
  return np.concatenate(
    [_magnitudes(source[i], i, **options) for i in range(len(source))], 1
  )


@pytest.mark.e2e
def test_mean_and_deviation_over_all_frames(builder, tiny_config):
  """Those of an effect with options are others, beside them."""
  path = builder.data_path / f"spectrum_{SIZE}_{HOP}.json"
  path.unlink(missing_ok=True)
  mean, deviation = _statistics(builder)
  frames = _frames(builder)
  np.testing.assert_allclose(mean, frames.mean(1), rtol=1e-3, atol=1e-3)
  np.testing.assert_allclose(deviation, frames.std(1), rtol=1e-2, atol=1e-3)
  kept = json.loads(path.read_text())
  np.testing.assert_array_equal(np.float32(kept["mean"]), mean)

  tiny_config.data.effect.rail = 0.25
  task = tasks.from_config(tiny_config.data)
  railed, _ = _statistics(builder, task=task)
  frames = _frames(builder, rail=0.25)
  np.testing.assert_allclose(railed, frames.mean(1), rtol=1e-3, atol=1e-3)
  kept = json.loads(path.with_stem(f"{path.stem}_rail0.25").read_text())
  np.testing.assert_array_equal(np.float32(kept["mean"]), railed)
  np.testing.assert_array_equal(_statistics(builder)[0], mean)


def test_what_is_stored_is_not_computed_again(builder):
  path = builder.data_path / "spectrum_4_2.json"
  values = {"mean": [1.0, 2.0, 3.0], "deviation": [0.5, 0.25, 0.125]}
  path.write_text(json.dumps(values))
  mean, deviation = spectrum_statistics.spectrum_statistics(
    builder, size=4, hop=2
  )
  np.testing.assert_array_equal(mean, values["mean"])
  np.testing.assert_array_equal(deviation, values["deviation"])
  assert mean.dtype == deviation.dtype == np.float32


def test_those_of_a_mixture_weigh_data_sets_not_frames(monkeypatch):
  """As of all frames together, each weighing its set's share of one."""
  rng = np.random.default_rng(0)
  short, long = rng.uniform(0, 2, (9, 3)), rng.uniform(1, 8, (5_000, 3))
  monkeypatch.setattr(
    spectrum_statistics,
    "spectrum_statistics",
    lambda frames, **_: (frames.mean(0), frames.std(0)),
  )
  found = spectrum_statistics.mixture_statistics(
    [(short, 3.0), (long, 0.5)], size=4, hop=2
  )
  frames = np.concatenate([short, long])
  weights = np.repeat([3.0 / 9, 0.5 / 5_000], [9, 5_000])
  mean = np.average(frames, axis=0, weights=weights)
  variance = np.average((frames - mean) ** 2, axis=0, weights=weights)
  np.testing.assert_allclose(found, [mean, np.sqrt(variance)], rtol=1e-6)
  assert {each.dtype for each in found} == {np.dtype("float32")}
