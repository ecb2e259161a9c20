"""Devices: one here, eight in test_steps.py, two processes in multihost/."""

import os
import subprocess
import sys

import jax
import numpy as np
import pytest
from conftest import ROOT

from distortion_removal.common import devices
from distortion_removal.common.errors import UserError

_BAD_PLATFORM = """
import jax
from distortion_removal.common import devices
from distortion_removal.common.errors import UserError
try:
  devices.{call}
except UserError as error:
  print(error)
else:
  print("started", jax.default_backend())
"""


def _check_platform(platforms, call="check_platform()"):
  """The lines of a new process: what is printed, then the log."""
  result = subprocess.run(
    [sys.executable, "-c", _BAD_PLATFORM.format(call=call)],
    env=os.environ | {"JAX_PLATFORMS": platforms, "CUDA_VISIBLE_DEVICES": ""},
    cwd=ROOT,
    capture_output=True,
    text=True,
    check=True,
  )
  return (result.stdout + result.stderr).splitlines()


@pytest.mark.parametrize("platforms", ["cuda", "gibberish", "cpu,gibberish"])
def test_a_platform_that_is_not_there_is_named(platforms):
  (line,) = _check_platform(platforms)
  assert line.startswith(f"JAX_PLATFORMS={platforms}: ")
  assert line.endswith(" cpu: unset JAX_PLATFORMS, or set it to cpu")


def test_the_second_choice_is_told():
  started, warning = _check_platform("cuda,cpu")
  assert started == "started cpu"
  assert "there is no cuda here" in warning


def test_a_device_that_is_asked_for():
  """Whatever the environment says; one that is not here is named."""
  (line,) = _check_platform("cpu", "use('gpu')")
  assert line.startswith("--device=gpu: JAX has no gpu here, only cpu; ")
  assert _check_platform("cuda", "use('cpu')") == ["started cpu"]


def test_a_platform_that_is_there_goes_without_saying(caplog):
  devices.check_platform()
  assert not caplog.messages


def test_split_batch_keeps_the_order_and_join_batch_restores_it(monkeypatch):
  monkeypatch.setattr(jax, "local_device_count", lambda: 4)
  batch = {"clean": np.arange(48).reshape(8, 3, 2), "level": np.arange(8)}
  split = devices.split_batch(batch)
  assert split["clean"].shape == (4, 2, 3, 2)
  np.testing.assert_array_equal(split["level"][1], [2, 3])
  for name, joined in devices.join_batch(split).items():
    np.testing.assert_array_equal(joined, batch[name])


def test_local_batch_size_is_the_share_of_a_process(monkeypatch):
  monkeypatch.setattr(jax, "device_count", lambda: 8)
  monkeypatch.setattr(jax, "process_count", lambda: 2)
  assert devices.local_batch_size(48) == 24
  assert devices.local_batch_size(48, parts=3) == 24
  for size, parts, wanted in (
    (20, 1, "batch_size 20 does not divide over 8 devices; choose 16 or 24"),
    (6, 1, "6 does not divide over 8 devices; choose 8$"),
    (24, 2, r"8 devices times config.accumulate 2; choose 16 or 32$"),
  ):
    with pytest.raises(UserError, match=wanted):
      devices.local_batch_size(size, parts)


def test_any_number_of_items_takes_one_program():
  seen = []

  @jax.jit
  def add(x, y):
    seen.append(x.shape)
    return x + 2 * y

  call = devices.in_batches(add, 4)
  rng = np.random.default_rng(0)
  for items in (1, 3, 4, 5, 11):
    x, y = rng.standard_normal((2, items, 3)).astype(np.float32)
    np.testing.assert_allclose(call(x, y), x + 2 * y, rtol=1e-6)
  assert seen == [(4, 3)]


_FOUR_DEVICES = """
import jax, numpy as np
from distortion_removal.common import devices
assert jax.local_device_count() == 4
places = []
def double(x):
  jax.debug.inspect_array_sharding(x, callback=places.append)
  return 2 * x
call = devices.in_batches(jax.jit(double), 6)
x = np.arange(33, dtype=np.float32).reshape(11, 3)
np.testing.assert_array_equal(call(x), 2 * x)
assert [p.shard_shape((8, 3)) for p in places] == [(2, 3)], places
"""


def test_batches_are_spread_over_the_devices():
  """Six become eight, two for each of four."""
  flags = "--xla_force_host_platform_device_count=4"
  env = os.environ | {"JAX_PLATFORMS": "cpu", "XLA_FLAGS": flags}
  command = [sys.executable, "-c", _FOUR_DEVICES]
  subprocess.run(command, env=env, cwd=ROOT, check=True)


_COMPILE = """
import pathlib, sys
import jax
from distortion_removal.common import devices
devices.keep_compiled(*map(pathlib.Path, sys.argv[1:]))
jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
print(jax.jit(lambda x: 2 * x + 1)(1.0))
"""


@pytest.mark.e2e
def test_compiled_programs_are_kept_where_that_is_wanted(tmp_path):
  """In the user's cache, with a run, or not; never at the cost of the work."""
  file = tmp_path / "no folder"
  file.write_text("")
  kept = {}
  for name, variables in {
    "own": {"XDG_CACHE_HOME": str(tmp_path / "own")},
    "none": {
      "XDG_CACHE_HOME": str(tmp_path / "none"),
      "JAX_COMPILATION_CACHE_DIR": "",
    },
    "in a file": {"XDG_CACHE_HOME": str(file)},
    "with a run": {"XDG_CACHE_HOME": str(tmp_path / "with a run")},
  }.items():
    run = [tmp_path / "run"] if name == "with a run" else []
    environment = {
      k: x for k, x in os.environ.items() if not k.startswith("JAX_")
    }
    result = subprocess.run(
      [sys.executable, "-c", _COMPILE, *run],
      env=environment | {"JAX_PLATFORMS": "cpu"} | variables,
      cwd=ROOT,
      capture_output=True,
      text=True,
      check=True,
    )
    assert (result.stdout, result.stderr) == ("3.0\n", "")
    folder = tmp_path / name / "distortion_removal"
    kept[name] = len([x for x in folder.rglob("*") if x.is_file()])
  assert kept["own"] > 0
  assert kept["none"] == kept["in a file"] == kept["with a run"] == 0
  assert any(x.is_file() for x in (tmp_path / "run" / "compiled").rglob("*"))
