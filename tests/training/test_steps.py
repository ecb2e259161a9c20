"""The training step against one written out by hand, spread, and rounded."""

import dataclasses
import functools
import os
import subprocess
import sys

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from conftest import ROOT, shipped_config

from distortion_removal import effects, models
from distortion_removal.common import devices
from distortion_removal.common.errors import UserError
from distortion_removal.datasets import pairs
from distortion_removal.effects import clipping, tasks
from distortion_removal.training import losses, objectives, steps


class Cubic(nn.Module):
  """y = a x + b x^3: enough of a network to differentiate by hand."""

  @nn.compact
  def __call__(self, audio, train=False):
    a = self.param("a", nn.initializers.constant(0.5), ())
    b = self.param("b", nn.initializers.constant(-1.0), ())
    return a * audio + b * audio**3


def _clip(batch):
  return clipping.hard_clip(batch["clean"], batch["level"])


def _cubic_config(**optimizer):
  config = shipped_config("default")
  config.steps = 10
  config.data.update(sample_rate=8, segment_seconds=1.0)
  config.optimizer = {
    "learning_rate": 0.1,
    "final_learning_rate": 0.01,
    "warmup_steps": 3,
    "b1": 0.8,
    "b2": 0.95,
    "weight_decay": 0.2,
    "gradient_clip_norm": 0.3,
  } | optimizer
  return config


def _start(config, model, loss, *, ema_decay, parts=1):
  """The first state and the compiled step of a model against a hard clip."""
  step = functools.partial(
    steps.train_step,
    degrade=_clip,
    objective=objectives.waveform(model, loss),
    ema_decay=ema_decay,
    seed=0,
    parts=parts,
  )
  state = devices.replicate(steps.create_state(config, model))
  return state, devices.map_train(step)


def _learning_rate(count, options, steps):
  """Linear from 0 to the peak, then half a cosine down to the end."""
  if count < options.warmup_steps:
    return options.learning_rate * count / options.warmup_steps
  progress = (count - options.warmup_steps) / (steps - options.warmup_steps)
  span = options.learning_rate - options.final_learning_rate
  fall = 0.5 * (1 + np.cos(np.pi * min(progress, 1.0)))
  return options.final_learning_rate + span * fall


def _cubic_by_hand(batches, config, ema_decay):
  """The whole recursion in float64: clip, gradient, Adam, decay, average."""
  options = config.optimizer
  w = np.array([0.5, -1.0])
  average, m, v = w.copy(), np.zeros(2), np.zeros(2)
  history = []
  for count, (clean, gain_db) in enumerate(batches):
    factor = 10 ** (gain_db / 20)[:, None, None]
    x = np.clip(factor * clean, -1.0, 1.0)
    error = w[0] * x + w[1] * x**3 - clean
    gradient = 2 * np.array([np.mean(error * x), np.mean(error * x**3)])
    norm = np.sqrt(np.sum(gradient**2))
    clipped = gradient
    if options.gradient_clip_norm:
      clipped = gradient * min(1.0, options.gradient_clip_norm / norm)
    m = options.b1 * m + (1 - options.b1) * clipped
    v = options.b2 * v + (1 - options.b2) * clipped**2
    m_hat = m / (1 - options.b1 ** (count + 1))
    v_hat = v / (1 - options.b2 ** (count + 1))
    direction = m_hat / (np.sqrt(v_hat) + 1e-8) + options.weight_decay * w
    w = w - _learning_rate(count, options, config.steps) * direction
    step = count + 1
    decay = min(ema_decay, (1 + step) / (10 + step))
    average = decay * average + (1 - decay) * w
    history.append((np.mean(error**2), norm, w, average))
  return history


@pytest.mark.parametrize(
  ("gradient_clip_norm", "parts"), [(0.3, 1), (0.0, 1), (0.3, 2), (0.0, 4)]
)
def test_step_equals_the_one_written_out(gradient_clip_norm, parts):
  config = _cubic_config(gradient_clip_norm=gradient_clip_norm)
  ema_decay = 0.4  # reached in the sixth step
  rng = np.random.default_rng(0)
  batches = [
    (rng.uniform(-0.5, 0.5, (4, 8, 1)), rng.uniform(0.0, 20.0, 4))
    for _ in range(12)
  ]
  state, step = _start(
    config, Cubic(), losses.l2, ema_decay=ema_decay, parts=parts
  )
  norms = []
  for (clean, gain_db), (loss, norm, weights, average) in zip(
    batches, _cubic_by_hand(batches, config, ema_decay), strict=True
  ):
    batch = {"clean": np.float32(clean), "level": np.float32(gain_db)}
    state, scalars = step(state, devices.split_batch(batch))
    np.testing.assert_allclose(scalars["loss"], loss, rtol=1e-5)
    np.testing.assert_allclose(scalars["gradient_norm"], norm, rtol=1e-5)
    for tree, expected in (
      (state.params, weights),
      (state.ema["params"], average),
    ):
      found = [float(tree["a"]), float(tree["b"])]
      np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)
    norms.append(norm)
  assert min(norms) < 0.3 < max(norms)  # the clipping was and was not at work
  assert int(state.step) == 12
  rates = [_learning_rate(k, config.optimizer, 10) for k in (0, 3, 10, 12)]
  np.testing.assert_allclose(rates, [0.0, 0.1, 0.01, 0.01])


class Counting(nn.Module):
  """A gain that counts how often it was trained."""

  @nn.compact
  def __call__(self, audio, train=False):
    count = self.variable("batch_stats", "count", jnp.zeros, ())
    if train:
      count.value = count.value + 1.0
    return self.param("gain", nn.initializers.ones, ()) * audio


def test_statistics_are_averaged_as_the_parameters_are():
  config = _cubic_config()
  state, step = _start(config, Counting(), losses.l2, ema_decay=0.3)
  batch = {"clean": np.ones((1, 1, 8, 1), np.float32), "level": np.ones((1, 1))}
  average = 0.0
  for number in range(1, 6):
    state, _ = step(state, batch)
    decay = min(0.3, (1 + number) / (10 + number))
    average = decay * average + (1 - decay) * number
    assert float(state.model_state["batch_stats"]["count"]) == number
    found = float(state.ema["batch_stats"]["count"])
    np.testing.assert_allclose(found, average, rtol=1e-6)
  restarted = steps.begin_stage(state)
  assert float(restarted.ema["batch_stats"]["count"]) == 5


def test_dropout_differs_by_step_and_device():
  """A loss that is a number drawn from the key tells which key it was."""
  state = steps.create_state(_cubic_config(), Cubic())

  def objective(variables, degraded, clean, key):
    del degraded, clean
    return jax.random.uniform(key) + 0 * variables["params"]["a"], {}

  step = functools.partial(
    steps.train_step, degrade=_clip, objective=objective, ema_decay=0.9, seed=7
  )
  step = jax.jit(jax.vmap(step, (None, 0), None, axis_name=devices.AXIS))
  batch = {"clean": jnp.zeros((2, 1, 8, 1)), "level": jnp.zeros((2, 1))}
  for number in range(2):
    state, scalars = step(state, batch)
    key = jax.random.fold_in(jax.random.key(7), number)
    drawn = [jax.random.uniform(jax.random.fold_in(key, i)) for i in range(2)]
    np.testing.assert_allclose(scalars["loss"], np.mean(drawn), rtol=1e-6)


def test_a_warm_up_without_end_is_refused():
  config = _cubic_config(warmup_steps=10)
  with pytest.raises(UserError, match="steps 10 must be more than"):
    steps.create_optimizer(config)


_SPREAD = """
import sys
sys.path[:0] = ["tests", "tests/training"]
import test_steps
test_steps.train_on_all_devices(sys.argv[1])
"""


def train_on_all_devices(path):
  """Four steps of the cubic with a global batch of eight, stored."""
  config = _cubic_config()
  state, step = _start(config, Cubic(), losses.neg_si_sdr, ema_decay=0.9)
  rng = np.random.default_rng(0)
  outputs = {}
  for i in range(4):
    batch = {
      "clean": np.float32(rng.uniform(-0.5, 0.5, (8, 256, 1))),
      "level": np.float32(rng.uniform(0.0, 20.0, 8)),
    }
    state, scalars = step(state, devices.split_batch(batch))
    outputs |= {f"{key}_{i}": value for key, value in scalars.items()}
  leaves = jax.tree.leaves((state.params, state.ema))
  outputs |= {f"leaf_{i}": leaf for i, leaf in enumerate(leaves)}
  np.savez(path, devices=jax.device_count(), **jax.device_get(outputs))


@pytest.mark.e2e
def test_eight_devices_do_what_one_does(tmp_path):
  train_on_all_devices(tmp_path / "here.npz")
  flag = "--xla_force_host_platform_device_count=8"
  subprocess.run(
    [sys.executable, "-c", _SPREAD, str(tmp_path / "eight.npz")],
    env=os.environ | {"XLA_FLAGS": flag, "JAX_PLATFORMS": "cpu"},
    cwd=ROOT,
    check=True,
  )
  here, eight = np.load(tmp_path / "here.npz"), np.load(tmp_path / "eight.npz")
  assert eight["devices"] == 8
  for name in set(here) - {"devices"}:
    np.testing.assert_allclose(
      eight[name], here[name], rtol=1e-6, atol=1e-6, err_msg=name
    )


@pytest.mark.e2e
def test_bfloat16_computes_but_does_not_store():
  config = _cubic_config(learning_rate=1e-3, warmup_steps=1)
  clean = np.float32(np.random.default_rng(0).uniform(-0.5, 0.5, (2, 256, 1)))
  batch = {"clean": clean, "level": np.float32([6.0, 12.0])}
  states, losses_of = {}, {}
  for dtype in ("float32", "bfloat16"):
    model = models.create(
      "demucs", channels=4, depth=1, lstm_layers=0, resample=False, dtype=dtype
    )
    state, step = _start(config, model, losses.l1, ema_decay=0.9)
    text = str(jax.make_jaxpr(model.apply)({"params": state.params}, clean))
    assert ("bf16" in text) == (dtype == "bfloat16")
    states[dtype], scalars = step(state, devices.split_batch(batch))
    losses_of[dtype] = float(scalars["loss"])
  rounded = states["bfloat16"]
  for tree in (rounded.params, rounded.ema, rounded.opt_state[1][0].mu):
    assert {leaf.dtype for leaf in jax.tree.leaves(tree)} == {
      np.dtype("float32")
    }
  ratio = losses_of["bfloat16"] / losses_of["float32"]
  assert ratio != 1.0
  assert abs(ratio - 1) < 0.02


def test_an_effect_that_draws_gets_the_seed_of_each_example(monkeypatch):
  task = tasks.get("random_distortion")
  effect = dataclasses.replace(
    effects.get(task.effect),
    function=lambda audio, level, seed: audio * (level + seed)[:, None, None],
  )
  monkeypatch.setitem(effects.EFFECTS, task.effect, effect)
  batch = {
    "clean": np.ones((3, 8, 1), np.float32),
    "level": np.full(3, 20, np.float32),
    "seed": np.uint32([5, 6, 5]),
  }
  degraded = pairs.degrader(task)(batch)
  np.testing.assert_array_equal(degraded[:, 0, 0], [25, 26, 25])
