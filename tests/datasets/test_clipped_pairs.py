"""Stored clipped pairs: what they are, that work on them goes on, crops."""

import itertools
import shutil
from pathlib import Path

import jax
import numpy as np
import pytest
from conftest import RATE, files_of, shipped_config

from distortion_removal.common.errors import UserError
from distortion_removal.datasets import clipped_pairs, opening
from distortion_removal.declipping.clip_level import find_exact_rails
from distortion_removal.effects import tasks
from distortion_removal.inference import consistent
from distortion_removal.training import check_config

SECONDS = 0.25


def _double(audio, clip_level, declippers):
  """Stands in for `estimates`: clipped samples times 2, 3, …"""
  del clip_level, declippers
  factors = 2.0 + np.arange(4)[:, None, None, None]
  return np.where(np.abs(audio) >= 1, factors * audio, audio)


@pytest.fixture
def config(tiny_data, tmp_path):
  """The smoke run on a copy of the tiny data, with pairs of 2,000 samples."""
  config = shipped_config("hybrid_hard_clip", "smoke")
  # Without the pairs of other tests.
  others = shutil.ignore_patterns("clipped_pairs")
  shutil.copytree(tiny_data, tmp_path / "data", ignore=others)
  config.data.data_dir = str(tmp_path / "data")
  config.data.dataset = "audio_folder"
  config.data.sample_rate = RATE
  config.data.clipped.seconds = SECONDS
  config.data.clipped.minutes = 16 * SECONDS / 60
  return config


@pytest.fixture
def quick(monkeypatch):
  """No declipper is called."""
  monkeypatch.setattr(clipped_pairs, "estimates", _double)


def _open(config):
  dataset = opening.open_dataset(config.data)
  return clipped_pairs.open_or_make(config, dataset)


def _sign_in(source, crop):
  """1 if the crop is part of a stored pair, -1 if it is of an inverted one."""
  for record in (source[i] for i in range(len(source))):
    clean = record["samples"][:, 0] * np.float64(record["scale"][0] / 32767)
    windows = np.lib.stride_tricks.sliding_window_view(clean, len(crop))
    for sign in (1, -1):
      near = np.flatnonzero(np.abs(windows[:, 0] - sign * crop[0]) < 1e-5)
      errors = np.abs(windows[near] - sign * crop).max(axis=1, initial=0.0)
      if len(near) and errors.min() < 1e-4 * np.abs(crop).max():
        return sign
  raise AssertionError("it is of no pair")


def test_rails_give_the_gain_or_the_sdr_of_the_task():
  rng = np.random.default_rng(0)
  clean = np.float32(0.1 * rng.standard_normal((3, 2_000, 1)))
  levels = np.array([20.0, 30.0, 40.0])
  found = clipped_pairs.rails(clean, tasks.get("hard_clip"), levels)
  np.testing.assert_allclose(found, [0.1, 10**-1.5, 0.01])
  sdrs_db = np.array([1.0, 5.0, 20.0])
  found = clipped_pairs.rails(clean, tasks.get("hard_clip_sdr"), sdrs_db)
  lost = np.maximum(np.abs(clean) - found[:, None, None], 0.0)
  ratio = np.sum(clean**2, axis=(1, 2)) / np.sum(lost**2, axis=(1, 2))
  np.testing.assert_allclose(10 * np.log10(ratio), sdrs_db, atol=0.01)


def test_a_thousandth_is_clipped_and_silence_has_a_rail():
  rng = np.random.default_rng(0)
  clean = np.float32(rng.uniform(-0.01, 0.01, (2, 2_000, 1)))
  clean[1] = 0.0
  task = tasks.get("hard_clip")
  found = clipped_pairs.rails(clean, task, np.array([0.0, 0.0]))
  assert np.sum(np.abs(clean[0]) >= found[0]) == 2
  assert found[1] == 1.0


@pytest.mark.e2e
def test_pairs_are_clean_audio_over_its_rail(config, quick):
  source, held_out, names = _open(config)
  assert len(source) == 16
  kinds = [name.rpartition("_")[0] for name in names]
  assert kinds == ["hard_clip"] * 2 + ["hard_clip_sdr"] * 2
  clean, found = held_out["clean"], held_out["estimates"]
  assert clean.shape == (4, SECONDS * RATE, 1)
  clipped = np.mean(np.abs(clean) >= 1, axis=(1, 2))
  assert np.all(clipped >= 1e-3)
  # Both sides are rounded to 16 bits of their peaks.
  step = np.abs(clean).max() / 32767
  for k in range(4):
    expected = np.where(
      np.abs(clean) >= 1, np.sign(clean) * (2.0 + k), np.clip(clean, -1, 1)
    )
    at_rail = np.abs(np.abs(clean) - 1) < step
    error = np.abs(found[..., k : k + 1] - expected)
    assert error[~at_rail].max() < (2 + k) / 32767
  inputs = np.asarray(clipped_pairs.inputs(held_out))
  np.testing.assert_array_equal(inputs[..., :1], np.clip(clean, -1, 1))
  signs = np.where(np.abs(clean) >= 1, np.sign(clean), 0)
  np.testing.assert_array_equal(inputs[..., 1:2], signs)
  np.testing.assert_array_equal(inputs[..., 2:], found)


def test_an_estimate_that_is_no_number_is_not_stored(config, monkeypatch):
  def spoilt(*words):
    found = _double(*words)
    found[2, -1, 7] = np.nan
    return found

  monkeypatch.setattr(clipped_pairs, "estimates", spoilt)
  with pytest.raises(UserError, match="an estimate is not a number"):
    _open(config)
  folder = Path(opening.open_dataset(config.data).data_dir_root)
  assert not files_of(folder / "clipped_pairs")


def test_work_that_is_interrupted_goes_on_and_more_is_added(config, quick):
  folder = Path(opening.open_dataset(config.data).data_dir_root)
  config.data.clipped.tasks = config.data.clipped.tasks[:1]
  _open(config)
  before = files_of(folder / "clipped_pairs")
  train = [path for path in before if path.name.startswith("train")]
  assert len(train) == 1
  train[0].unlink()
  _open(config)
  assert files_of(folder / "clipped_pairs") == before
  config.data.clipped.minutes *= 2
  source, _, _ = _open(config)
  assert len(source) == 32
  after = files_of(folder / "clipped_pairs")
  assert before.items() < after.items()
  assert len(after) == len(before) + 1
  # Pairs of the parts differ, and other declippers make others.
  assert np.abs(source[0]["samples"] - source[16]["samples"]).max() > 0
  config.model.declippers.nmf.iterations += 1
  _open(config)
  assert len(files_of(folder / "clipped_pairs")) == 2 * len(after)


@pytest.mark.e2e
def test_crops_are_drawn_the_same_again_from_any_step(config, quick):
  source, _, _ = _open(config)
  segment = 500
  options = {"segment": segment, "batch_size": 4, "seed": 3}

  def take(start, count):
    batches = clipped_pairs.training_batches(source, start=start, **options)
    found = [jax.device_get(x) for x in itertools.islice(batches, count)]
    batches.close()
    return found

  batches = take(0, 8)
  jax.tree.map(np.testing.assert_array_equal, batches[5:], take(5, 3))
  clean = np.concatenate([x["clean"].reshape(4, segment) for x in batches])
  found = np.concatenate(
    [x["estimates"].reshape(4, segment, 4) for x in batches]
  )
  assert np.all(np.mean(np.abs(clean) >= 1, axis=1) >= 0.001)
  # Estimates have the sign of their clean side, which is inverted at random.
  is_clipped = np.abs(clean) >= 1.01
  assert np.all(
    np.sign(found) == np.sign(clean)[..., None], where=is_clipped[..., None]
  )
  signs = [_sign_in(source, crop) for crop in clean]
  assert 8 <= signs.count(1) <= 24


@pytest.mark.e2e
def test_estimates_on_the_fly_are_those_that_are_stored(config):
  """From clipped audio at another level, whose rail is found.

  A quarter, which rounds nothing: declippers choose what to let in, so that a
  rounding may end in another choice.
  """
  _, held_out, _ = _open(config)
  given = []

  def network(inputs):
    given.append(inputs)
    return inputs[..., :1]

  clipped = 0.25 * np.clip(held_out["clean"], -1, 1)
  rails = find_exact_rails(clipped)
  np.testing.assert_array_equal(rails.high, 0.25)
  consistent.restore(
    clipped, rails, function=network, declippers=config.model.declippers
  )
  (inputs,) = given
  stored = np.asarray(clipped_pairs.inputs(held_out))
  np.testing.assert_array_equal(inputs[..., :2], stored[..., :2])
  step = np.abs(stored).max(axis=1, keepdims=True) / 32767
  assert np.all(np.abs(inputs - stored) <= step)


@pytest.mark.parametrize(
  ("field", "value", "message"),
  [
    ("data.channels", 2, "channels is 2.* set 1"),
    ("model.fields.estimates", 3, "estimates is 3.*make 4"),
    ("data.clipped.tasks", (("overdrive", 20.0, 50.0),), "overdrive is not"),
    ("data.task", "overdrive", "overdrive is not hard clipping"),
  ],
)
def test_runs_that_cannot_work_are_refused(field, value, message):
  config = shipped_config("hybrid_hard_clip")
  config.update_from_flattened_dict({field: value})
  with pytest.raises(UserError, match=message):
    check_config.check(config)
