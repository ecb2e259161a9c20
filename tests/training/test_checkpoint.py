"""Checkpoints: which weights are read, and whose they must be."""

import shutil

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from conftest import read_checkpoint

from distortion_removal.common.errors import UserError
from distortion_removal.training import bad_steps, checkpoint
from distortion_removal.training.checkpoint import Checkpoints
from distortion_removal.training.steps import TrainState


def _state(value):
  params = {"layer": {"kernel": jnp.full((2, 3), value), "bias": jnp.ones(3)}}
  return TrainState.create(
    apply_fn=None,
    params=params,
    tx=optax.adam(1e-3),
    model_state={"batch_stats": {"mean": jnp.full(3, value)}},
    ema={
      "params": jax.tree.map(lambda x: x / 2, params),
      "batch_stats": {"mean": jnp.full(3, value + 1.0)},
    },
    guard=bad_steps.no_bad_steps(params)._replace(step=np.full((), value)),
  )


def _shapes(**more):
  shape = jax.ShapeDtypeStruct
  tree = {"kernel": shape((2, 3), "float32"), "bias": shape((3,), "float32")}
  return {
    "params": {"layer": tree | more},
    "batch_stats": {"mean": shape((3,), "float32")},
  }


def _steps(workdir, kind):
  return {path.name for path in (workdir / "checkpoints" / kind).iterdir()}


def test_last_comes_back(tmp_path):
  checkpoints = Checkpoints(tmp_path)
  assert checkpoints.latest_step() is None
  assert checkpoint.last_step(tmp_path) is None
  for step in (1, 2, 3):
    state = _state(float(step)).replace(step=step)
    checkpoints.save_last(step, state)
  checkpoints.close()

  assert checkpoint.last_step(tmp_path) == 3
  checkpoints = Checkpoints(tmp_path)
  assert checkpoints.latest_step() == 3
  restored = checkpoints.restore_last(_state(0.0))
  checkpoints.close()
  assert restored.step == 3
  for name in ("params", "model_state", "ema", "opt_state", "guard"):
    pair = (getattr(x, name) for x in (restored, state))
    jax.tree.map(np.testing.assert_array_equal, *pair)
  assert _steps(tmp_path, "last") == {"2", "3"}


def test_the_best_weights_are_preferred_and_their_score_stays(tmp_path):
  checkpoints = Checkpoints(tmp_path)
  assert checkpoints.best_score == -np.inf
  checkpoints.save_last(5, _state(5.0))
  checkpoints.close()
  weights, step = checkpoint.restore_weights(tmp_path, _shapes())
  assert step == 5
  jax.tree.map(np.testing.assert_array_equal, weights, _state(5.0).ema)

  checkpoints = Checkpoints(tmp_path)
  checkpoints.save_best(2, _state(2.0).ema, 7.25)
  checkpoints.save_best(4, _state(4.0).ema, 8.5)
  assert checkpoints.best_score == 8.5
  checkpoints.close()
  weights, step = checkpoint.restore_weights(tmp_path, _shapes())
  assert step == 4
  jax.tree.map(np.testing.assert_array_equal, weights, _state(4.0).ema)
  checkpoints = Checkpoints(tmp_path)
  assert checkpoints.best_score == 8.5
  checkpoints.close()
  assert _steps(tmp_path, "best") == {"4"}


def test_another_models_weights_are_refused_by_name(tmp_path):
  checkpoints = Checkpoints(tmp_path)
  checkpoints.save_best(1, _state(1.0).ema, 0.0)
  checkpoints.close()
  shapes = _shapes(gain=jax.ShapeDtypeStruct((), "float32"))
  with pytest.raises(UserError, match=r"layer/gain has shape none, .*\(\)"):
    checkpoint.restore_weights(tmp_path, shapes)
  with pytest.raises(UserError, match="no checkpoint here; train first"):
    checkpoint.restore_weights(tmp_path / "none", shapes)


@pytest.mark.e2e
def test_a_step_that_was_not_completed_is_passed_over(tiny_run, tmp_path):
  shutil.copytree(tiny_run / "checkpoints", tmp_path / "checkpoints")
  last = tmp_path / "checkpoints" / "last"
  shutil.rmtree(tmp_path / "checkpoints" / "best")
  (last / "6").rename(last / "6.orbax-checkpoint-tmp")
  ema = read_checkpoint(tiny_run, "last", 3, "ema")
  shapes = jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype), ema)
  weights, step = checkpoint.restore_weights(tmp_path, shapes)
  assert step == 3
  jax.tree.map(np.testing.assert_array_equal, weights, ema)


@pytest.mark.e2e
def test_damaged_weights_are_told(tiny_run, tmp_path):
  shutil.copytree(tiny_run / "checkpoints/best", tmp_path / "checkpoints/best")
  for path in tmp_path.rglob("d/*"):
    path.write_bytes(path.read_bytes()[:20])
  with pytest.raises(UserError, match="ema: the checkpoint is damaged"):
    checkpoint.restore_weights(tmp_path, _shapes())


def test_what_does_not_fit_on_the_disk_is_refused(tmp_path, monkeypatch):
  checkpoints = Checkpoints(tmp_path)
  checkpoints.save_last(1, _state(1.0))

  class Usage:
    free = 500_000

  monkeypatch.setattr(checkpoint.shutil, "disk_usage", lambda path: Usage)
  with pytest.raises(UserError, match=r"takes 1\.0 MB of 0\.5; make room"):
    checkpoints.save_last(2, _state(2.0))
  checkpoints.close()
  assert _steps(tmp_path, "last") == {"1"}
