"""Steps that are not numbers: what they leave as it was, and what is told."""

import json

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import safetensors
from conftest import files_of, read_checkpoint, read_metrics, shipped_config

from distortion_removal.common import devices
from distortion_removal.common.errors import UserError
from distortion_removal.datasets import opening, pairs
from distortion_removal.effects import tasks
from distortion_removal.training import bad_steps, steps
from distortion_removal.training.train import train


class Two(nn.Module):
  """a x + b, and a count of the steps."""

  @nn.compact
  def __call__(self, audio):
    self.variable("batch_stats", "count", jnp.zeros, ())
    a = self.param("a", nn.initializers.constant(2.0), ())
    return a * audio + self.param("b", nn.initializers.constant(3.0), ())


def _spoils(where):
  """An objective, a² x + b, that is spoilt where a batch is negative."""

  def objective(variables, degraded, clean, key):
    del clean, key
    a, b = (variables["params"][name] for name in "ab")
    x = jnp.mean(degraded)
    count = variables["batch_stats"]["count"] + 1.0
    loss = a**2 * jnp.abs(x) + b
    if where == "loss":
      loss += jax.lax.stop_gradient(jnp.where(x < 0, jnp.inf, 0.0))
    elif where == "gradient":
      rest = jnp.where(x < 0, a - jax.lax.stop_gradient(a), 1.0)
      loss += jnp.sqrt(rest) - jax.lax.stop_gradient(jnp.sqrt(rest))
    else:
      count = jnp.where(x < 0, jnp.nan, count)
    return loss, {"batch_stats": {"count": count}}

  return objective


def _start(where="loss", tolerated=0):
  """The first state and the compiled step."""
  config = shipped_config("default")
  config.steps = 10
  config.data.update(sample_rate=8, segment_seconds=1.0)
  config.optimizer.warmup_steps = 0
  config.optimizer.learning_rate = 0.1

  def step(state, batch):
    return steps.train_step(
      state,
      batch,
      degrade=lambda batch: batch["clean"],
      objective=_spoils(where),
      ema_decay=0.1,  # reached at once, so that it is the same at any step
      seed=0,
      tolerated=tolerated,
    )

  state = devices.replicate(steps.create_state(config, Two()))
  return config, state, devices.map_train(step)


def _take(step, state, values):
  for value in values:
    batch = {"clean": np.full((1, 8, 1), value, np.float32)}
    state, scalars = step(state, devices.split_batch(batch))
  return jax.device_get(state), scalars


def _assert_same(one, other):
  """To the bit, but for the step and the guard."""
  for name in ("params", "opt_state", "model_state", "ema"):
    jax.tree.map(
      np.testing.assert_array_equal, getattr(one, name), getattr(other, name)
    )


@pytest.mark.parametrize("where", ["loss", "gradient", "statistics"])
def test_a_bad_step_changes_nothing_but_the_place_in_the_data(where):
  _, state, step = _start(where, tolerated=1)
  straight, _ = _take(step, state, [0.25, 0.5, 1.0])
  _, state, _ = _start(where)
  skipped, _ = _take(step, state, [0.25, 0.5, -1.0, 1.0])
  _assert_same(straight, skipped)
  assert (int(straight.step), int(skipped.step)) == (3, 4)
  assert int(straight.guard.skipped) == 0
  found = skipped.guard
  assert (int(found.skipped), int(found.in_a_row)) == (1, 0)
  assert int(found.step) == 3
  assert float(straight.params["a"]) < 2.0  # The good ones counted.


def test_the_guard_holds_the_last_bad_steps_numbers():
  """The gradient of a² |x| + b is (2 a |x|, 1)."""
  config, state, step = _start()
  before, _ = _take(step, state, [0.25])
  _, state, _ = _start()
  after, scalars = _take(step, state, [0.25, -0.5, 1.0, -1.0])
  # Nothing may be skipped: no step after the bad one is taken.
  _assert_same(before, after)
  assert bad_steps.is_over(after.guard, "stop")
  assert not bad_steps.is_over(after.guard, "skip")
  assert int(after.guard.step) == 2
  assert float(after.guard.loss) == np.inf
  a = float(before.params["a"])
  np.testing.assert_allclose(after.guard.gradient_norms, [a, 1.0], rtol=1e-6)
  assert bad_steps.block_names(after.params) == ["a", "b"]
  norm = np.hypot(2 * a, 1.0)  # of the last step
  np.testing.assert_allclose(scalars["gradient_norm"], norm, rtol=1e-6)
  # Half a cosine from 0.1, one step of ten after its start.
  peak, end = 0.1, config.optimizer.final_learning_rate
  rate = end + (peak - end) * 0.5 * (1 + np.cos(np.pi / 10))
  assert steps.rate_of_next(after, config) == pytest.approx(rate, rel=1e-6)


def test_a_run_of_bad_steps_ends_the_skipping():
  _, state, step = _start(tolerated=2)
  straight, _ = _take(step, state, [0.25, 1.0])
  _, state, _ = _start()
  skipped, _ = _take(step, state, [0.25, -1.0, -1.0, 1.0])
  _assert_same(straight, skipped)
  assert (int(skipped.guard.skipped), int(skipped.guard.in_a_row)) == (2, 0)
  _, state, _ = _start()
  before, _ = _take(step, state, [0.25])
  _, state, _ = _start()
  ended, _ = _take(step, state, [0.25, -1.0, -1.0, -1.0, 1.0])
  _assert_same(before, ended)
  assert (int(ended.guard.skipped), int(ended.guard.in_a_row)) == (3, 3)


def _poison(monkeypatch, bad, *, drop=False):
  """Makes one number of the batches of some steps NaN, or drops these."""
  honest = pairs.training_batches

  class Poisoned:
    def __init__(self, source, task, *, start=0, **options):
      self._batches = honest(source, task, start=start, **options)
      self._number = start

    def __next__(self):
      batch = next(self._batches)
      self._number += 1
      if self._number in bad and drop:
        return next(self)
      if self._number in bad:
        batch["clean"] = batch["clean"].at[0, 1, 5].set(jnp.nan)
      return batch

    def close(self):
      self._batches.close()

  monkeypatch.setattr(pairs, "training_batches", Poisoned)


def _honest_batch(config, number):
  batches = pairs.training_batches(
    opening.training_source(config.data, opening.open_dataset(config.data)),
    tasks.from_config(config.data),
    segment=round(config.data.segment_seconds * config.data.sample_rate),
    batch_size=config.batch_size,
    seed=config.seed,
    start=number - 1,
  )
  batch = devices.join_batch(next(batches))
  batches.close()
  return batch


@pytest.mark.e2e
def test_a_run_stops_and_keeps_the_batch(tiny_config, tmp_path, monkeypatch):
  """It is noticed two steps later, and nothing was taken in between."""
  config = tiny_config
  expected = _honest_batch(config, 4)
  expected["clean"] = expected["clean"].copy()
  expected["clean"][1, 5] = np.nan
  config.log_every = config.validate_every = config.checkpoint_every = 3
  _poison(monkeypatch, [4])
  message = r"at step 4 \(step 3 is stored\).*whose clean is not finite"
  with pytest.raises(UserError, match=message) as caught:
    train(config, tmp_path)
  path = tmp_path / "bad_batch_step_4.safetensors"
  assert str(path) in str(caught.value)
  with safetensors.safe_open(path, "numpy") as file:
    facts = file.metadata()
    assert set(file.keys()) == expected.keys()
    for key, value in expected.items():
      np.testing.assert_array_equal(file.get_tensor(key), value)
  assert (facts["step"], facts["loss"]) == ("4", "nan")
  config.optimizer.warmup_steps = 1
  rate = float(steps.learning_rates(config)(3))
  assert float(facts["learning_rate"]) == pytest.approx(rate)
  norms = json.loads(facts["gradient_norms"])
  blocks = read_checkpoint(tmp_path, "last", 3, "params")["params"]
  assert norms == dict.fromkeys(sorted(blocks), "nan")
  # The same command stops there again; the next one goes past it.
  before = files_of(tmp_path / "checkpoints")
  with pytest.raises(UserError, match="at step 4"):
    train(config, tmp_path)
  assert files_of(tmp_path / "checkpoints") == before
  config.on_nan = "skip"
  train(config, tmp_path)
  assert read_metrics(tmp_path)[-2]["train/skipped_steps"] == 1


@pytest.mark.e2e
def test_a_run_without_a_batch_is_that_which_skips_it(
  tiny_config, tmp_path, monkeypatch
):
  config = tiny_config
  config.on_nan = "skip"
  config.validate_every = 6
  with monkeypatch.context() as context:
    _poison(context, [2, 4])
    train(config, tmp_path / "skipped")
  rows = read_metrics(tmp_path / "skipped")
  counts = [x["train/skipped_steps"] for x in rows if "train/loss" in x]
  assert counts == [0, 1, 1, 2, 2, 2]
  losses = [x["train/loss"] for x in rows if "train/loss" in x]
  assert [loss is None for loss in losses] == [k in (2, 4) for k in range(1, 7)]
  config.checkpoint_every = 4
  _poison(monkeypatch, [2, 4], drop=True)
  train(config, tmp_path / "dropped")
  for item in ("params", "opt"):
    skipped, dropped = (
      read_checkpoint(tmp_path / name, "last", step, item)
      for name, step in (("skipped", 6), ("dropped", 4))
    )
    jax.tree.map(np.testing.assert_array_equal, skipped, dropped)
