"""Checkpoints: which weights are read, and whose they must be."""

import shutil
import subprocess

import jax
import jax.numpy as jnp
import numpy as np
import optax
import orbax.checkpoint as ocp
import pytest
from conftest import read_checkpoint

from distortion_removal.common.errors import UserError
from distortion_removal.training import bad_steps, checkpoint, stored_steps
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


@pytest.fixture
def stored(tmp_path):
  """A folder with steps 1 and 2, an array of 2 of them larger than a page."""
  checkpoints = Checkpoints(tmp_path)
  for step in (1, 2):
    checkpoints.save_last(step, _large_state(step))
  checkpoints.save_best(2, _large_state(2).ema, 7.25)
  checkpoints.close()
  return tmp_path


def _large_state(step):
  params = {"layer": jax.random.normal(jax.random.key(step), (60, 60))}
  return TrainState.create(
    apply_fn=None,
    params=params,
    tx=optax.chain(optax.clip_by_global_norm(1.0), optax.adam(1e-3)),
    model_state={},
    ema={"params": params},
    guard=bad_steps.no_bad_steps(params),
  ).replace(step=step)


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


def _flip(path, at):
  content = bytearray(path.read_bytes())
  content[at % len(content)] ^= 1
  path.write_bytes(content)


def _files(folder):
  """Its files, the weights themselves first."""
  paths = (path for path in folder.rglob("*") if path.is_file())
  return sorted(paths, key=lambda path: -path.stat().st_size)


def _outcome(workdir, step):
  """None if `step` is read as it was stored, else the error."""
  checkpoints = Checkpoints(workdir)
  try:
    found = checkpoints.restore_last(_large_state(0))
  except UserError as error:
    return str(error)
  finally:
    checkpoints.close()
  pair = (
    jax.tree.leaves((x.params, x.ema, x.opt_state))
    for x in (found, _large_state(step))
  )
  jax.tree.map(np.testing.assert_array_equal, *pair)
  return None


def test_a_flipped_bit_in_the_weights_is_seen(stored):
  """orbax itself reads it as it is."""
  folder = stored / "checkpoints/last/2"
  assert _outcome(stored, 2) is None
  _flip(_files(folder / "ema")[0], 5_000)
  restored = ocp.StandardCheckpointHandler().restore(folder / "ema")
  assert np.sum(restored["params"]["layer"] != _large_state(2).params["layer"])
  message = _outcome(stored, 2)
  assert message.startswith(f"{folder}/ema: the checkpoint is damaged")
  assert "--skip_damaged" in message


@pytest.mark.parametrize("damage", ["flip", "remove"])
def test_damage_is_named_or_does_not_matter(stored, damage):
  """Each file of an item and the checksums; orbax needs not all of them."""
  step = stored / "checkpoints/last/2"
  refused = 0
  for path in _files(step / "opt") + _files(step / "checksums"):
    content = path.read_bytes()
    path.unlink() if damage == "remove" else _flip(path, 40)
    if message := _outcome(stored, 2):
      refused += 1
      assert message.startswith(f"{step}/")
      assert "the checkpoint is damaged (" in message
      assert "\n" not in message
    path.write_bytes(content)
  assert refused >= 3


def test_the_step_before_is_used_only_if_asked_for(stored, caplog, monkeypatch):
  monkeypatch.setattr(stored_steps.logger, "propagate", True)
  stored_steps.drop_damaged(stored)  # There is nothing to drop.
  assert checkpoint.last_step(stored) == 2
  _flip(_files(stored / "checkpoints/last/2/params")[0], 5_000)
  assert _outcome(stored, 2)
  assert checkpoint.last_step(stored) == 2
  stored_steps.drop_damaged(stored)
  assert "last/2/params: the checkpoint is damaged" in caplog.text
  assert checkpoint.last_step(stored) == 1
  assert _outcome(stored, 1) is None
  assert _steps(stored, "last") == {"1"}
  # The step can be stored again.
  checkpoints = Checkpoints(stored)
  assert checkpoints.best_score == 7.25
  checkpoints.save_last(2, _large_state(2))
  checkpoints.close()
  assert _outcome(stored, 2) is None


def test_nothing_is_dropped_where_nothing_is_whole(stored):
  for step in (1, 2):
    _flip(_files(stored / f"checkpoints/last/{step}/guard")[0], 40)
    (stored / f"checkpoints/last/{step}/checksums/metadata").unlink()
  with pytest.raises(UserError, match="no checkpoint here is whole"):
    stored_steps.drop_damaged(stored)
  assert _steps(stored, "last") == {"1", "2"}


def test_a_damaged_score_of_the_best_is_named(stored):
  path = stored / "checkpoints/best/2/metrics/metrics"
  path.write_text(path.read_text().replace("7.25", "9.25"))
  with pytest.raises(UserError, match="best/2/metrics: the checkpoint is dam"):
    Checkpoints(stored)
  stored_steps.drop_damaged(stored)
  checkpoints = Checkpoints(stored)
  assert checkpoints.best_score == -np.inf
  checkpoints.close()
  assert _steps(stored, "best") == set()


def test_remnants_of_a_killed_run_are_removed(stored):
  """A step that was being written, and one that was being removed."""
  last = stored / "checkpoints" / "last"
  shutil.copytree(last / "2", last / "3.orbax-checkpoint-tmp")
  (last / "replaced" / "1").mkdir(parents=True)
  assert checkpoint.last_step(stored) == 2
  Checkpoints(stored).close()
  assert _steps(stored, "last") == {"1", "2"}


@pytest.mark.e2e
def test_a_disk_that_fills_while_it_is_written_to(tmp_path, monkeypatch):
  """A real one, of two checkpoints; what lies there stays whole."""
  mount = ["mount", "-t", "tmpfs", "-o", "size=500k", "tmpfs", tmp_path]
  try:
    done = subprocess.run(mount, capture_output=True, check=False).returncode
  except FileNotFoundError:
    done = 1
  if done:
    pytest.skip("no file system can be mounted here")
  # Another program takes the place after the check.
  monkeypatch.setattr(checkpoint, "_OVERHEAD_BYTES", -(1 << 30))
  try:
    checkpoints = Checkpoints(tmp_path)
    checkpoints.save_last(1, _large_state(1))
    with pytest.raises(UserError, match="no space left on the disk; make room"):
      for step in (2, 3, 4):
        checkpoints.save_last(step, _large_state(step))
    left = checkpoint.last_step(tmp_path)
    # The next start removes the remnants itself.
    assert _outcome(tmp_path, left) is None
    assert all(name.isdigit() for name in _steps(tmp_path, "last"))
  finally:
    subprocess.run(["umount", "--lazy", tmp_path], check=True)


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
