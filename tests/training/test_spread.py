"""A batch on several devices, in parts, and with blocks computed twice.

The paper's networks, with Adam and their own losses: 20 steps end at the same
parameters. Dropout is off, as its draws differ by device and part.
"""

import functools
import json
import os
import subprocess
import sys

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from conftest import ROOT, shipped_config

from distortion_removal import models
from distortion_removal.common import devices
from distortion_removal.common.errors import UserError
from distortion_removal.config import sibling
from distortion_removal.models.umx import BatchNorm
from distortion_removal.training import objectives, steps
from distortion_removal.training import train as training

NAMES = ("demucs", "wave_unet", "crafx", "umx")
BATCH, SAMPLES = 8, 1024
TINY = sibling(str(ROOT / "configs/parts/x"), "networks").TINY


def _config(name, **fields):
  config = shipped_config(f"{name}_ceg_hard_clip", "smoke")
  config.pretrain_steps, config.steps = 0, 20
  config.update(fields)
  if "dropout" in config.model.fields:
    config.model.fields.dropout = 0.0
  # Programs that compile soon.
  small = {"demucs": {"depth": 2, "lstm_layers": 1}, "wave_unet": {"levels": 2}}
  config.model.fields.update(small.get(name, {}))
  return config


def _clip(batch):
  gain = 10 ** (batch["level"] / 20)[:, None, None]
  return jnp.clip(gain * batch["clean"], -1.0, 1.0)


def _train(config, count, *, take=20):
  """Trains on `count` devices; returns parameters and batch statistics."""
  model = models.from_config(config)
  state = steps.create_state(config, model)
  with pytest.MonkeyPatch.context() as patch:
    spread = functools.partial(jax.pmap, devices=jax.devices()[:count])
    patch.setattr(devices.jax, "pmap", spread)
    step = training._make_step(config, model, _clip, config.objective)
  rng = np.random.default_rng(1)
  for _ in range(take):
    batch = {
      "clean": rng.uniform(-0.5, 0.5, (BATCH, SAMPLES, 1)).astype(np.float32),
      "level": rng.uniform(0.0, 20.0, BATCH).astype(np.float32),
    }
    split = {k: x.reshape(count, -1, *x.shape[1:]) for k, x in batch.items()}
    state, _ = step(state, split)
  return jax.device_get(state.variables)


def _deviations(variables, wanted):
  """The relative deviation of every array, in the L2 norm."""
  return [
    float(np.linalg.norm(a - b) / max(np.linalg.norm(b), 1e-30))
    for a, b in zip(
      jax.tree.leaves(variables), jax.tree.leaves(wanted), strict=True
    )
  ]


def compare(name):
  """Prints the largest deviation from one device, as a whole, by case.

  Its rows are as experiments/robustness.py reads them.
  """
  assert jax.device_count() == 8
  wanted, found = _train(_config(name), 1), {}
  for count in (2, 4, 8):
    found[count, ""] = _train(_config(name), count)
  found[1, "remat"] = _train(_config(name, remat=True), 1)
  if name != "umx":  # It normalises each part by itself, see below.
    parts = _config(name, accumulate=2, remat=True)
    found[2, "2 parts, remat"] = _train(parts, 2)
  moved = max(_deviations(_train(_config(name), 1, take=0), wanted))
  rows = [
    {
      "network": name,
      "processes": 1,
      "devices": count,
      "case": case,
      "deviation": max(_deviations(variables, wanted)),
    }
    for (count, case), variables in found.items()
  ]
  print(json.dumps({"moved": moved, "rows": rows}))


_COMPARE = """
import sys
sys.path[:0] = ["tests", "tests/training"]
import test_spread
test_spread.compare(sys.argv[1])
"""


@pytest.mark.e2e
@pytest.mark.parametrize("name", NAMES)
def test_the_same_parameters_after_20_steps(name, record_property):
  flags = (
    "--xla_force_host_platform_device_count=8",
    "--xla_backend_optimization_level=0",
  )
  result = subprocess.run(
    [sys.executable, "-c", _COMPARE, name],
    env=os.environ | {"XLA_FLAGS": " ".join(flags), "JAX_PLATFORMS": "cpu"},
    cwd=ROOT,
    check=True,
    stdout=subprocess.PIPE,
    text=True,
  )
  found = json.loads(result.stdout)
  for row in found["rows"]:
    record_property("comparison", json.dumps(row))
  assert found["moved"] > 1e-3
  assert max(row["deviation"] for row in found["rows"]) < 1e-5, found


def test_a_batch_that_does_not_divide_claims_no_folder(tmp_path):
  config = shipped_config("quickstart", "smoke")
  config.update(batch_size=4, accumulate=3)
  with pytest.raises(UserError, match="choose 3 or 6"):
    training.train(config, tmp_path / "run")
  assert not (tmp_path / "run").exists()


class _Normalised(nn.Module):
  """A batch normalisation, and what it makes of audio."""

  axis_name: str | None = None
  remat: bool = False

  @nn.compact
  def __call__(self, audio, train=False):
    return BatchNorm(self.axis_name, name="norm")(audio, train)


def test_each_part_is_normalised_by_itself():
  """The new statistics are the means of those that each part makes alone."""
  model = models.for_training(_Normalised())
  config = _config("umx")
  config.optimizer.update(warmup_steps=0, weight_decay=0.0)
  step = functools.partial(
    steps.train_step,
    degrade=lambda batch: batch["clean"] ** 3,
    objective=objectives.waveform(model, lambda x, y: jnp.mean((x - y) ** 2)),
    ema_decay=0.9,
    seed=0,
    parts=3,
  )
  state = steps.create_state(config, _Normalised())
  clean = np.random.default_rng(0).standard_normal((1, 6, 5, 1), np.float32)
  state, scalars = devices.map_train(step)(state, {"clean": clean})
  x = (clean.astype(np.float64) ** 3).reshape(3, -1)
  y = (x - x.mean(1, keepdims=True)) / np.sqrt(x.var(1, keepdims=True) + 1e-5)
  errors = y - clean.reshape(3, -1)
  np.testing.assert_allclose(scalars["loss"], np.mean(errors**2), rtol=1e-5)
  norm = np.hypot(np.mean(2 * errors * y), np.mean(2 * errors))
  np.testing.assert_allclose(scalars["gradient_norm"], norm, rtol=1e-5)
  found = state.model_state["batch_stats"]["norm"]
  np.testing.assert_allclose(found["mean"], [0.1 * x.mean()], rtol=1e-4)
  wanted = 0.9 + 0.1 * x.var(1, ddof=1).mean()
  np.testing.assert_allclose(found["var"], [wanted], rtol=1e-5)


@pytest.mark.e2e
@pytest.mark.parametrize("name", [*NAMES, "hybrid", "inverses", "correction"])
def test_blocks_that_are_computed_again_are_not_kept(name):
  """Bytes from the forward to the backward pass; parameters stay the same."""
  kept = {}
  for remat in (False, True):
    fields = TINY[name] if name in NAMES else {}
    model = models.create(name, remat=remat, **fields)
    shapes = models.variable_shapes(model)
    channels = models.input_channels(model)
    audio = jax.ShapeDtypeStruct((2, 32_768, channels), jnp.float32)

    def backward(variables, audio, model=model):
      method = "magnitudes" if name == "umx" else "__call__"
      function = functools.partial(model.apply, method=method)
      return jax.vjp(function, variables, audio)[1]

    leaves = jax.tree.leaves(jax.eval_shape(backward, shapes, audio))
    kept[remat] = sum(leaf.size * leaf.dtype.itemsize for leaf in leaves)
    kept[remat, "shapes"] = shapes
  assert kept[True, "shapes"] == kept[False, "shapes"]
  assert kept[True] < 0.8 * kept[False], kept
