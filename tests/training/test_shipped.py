"""The models that come along: whole, small, with their cards, and by name."""

import configparser
import fnmatch
import shutil
from pathlib import Path

import jax
import numpy as np
import pytest
from conftest import ROOT, files_of, make_tiny_config
from random_networks import random_variables

from distortion_removal import config as run_config
from distortion_removal import models
from distortion_removal.common.errors import UserError
from distortion_removal.training import check_config, shipped, weights

NAMES = shipped.names()
# What a card for people tells, in this order.
HEADINGS = (
  "What it does",
  "Scores",
  "What it is bad at",
  "Training",
  "Licence and attribution",
)


def _read(source):
  config = weights.load_config(source)
  shapes = models.variable_shapes(models.from_config(config))
  return weights.load_weights(source, shapes)


def test_they_are_small_and_packaged():
  files = list(shipped.FOLDER.iterdir())
  assert sum(file.stat().st_size for file in files) <= 40e6
  # A model is three files, and there is nothing else.
  suffixes = (".safetensors", ".json", ".md")
  expected = {f"{name}{suffix}" for name in NAMES for suffix in suffixes}
  assert {file.name for file in files} == expected != set()
  setup = configparser.ConfigParser()
  setup.read(ROOT / "setup.cfg")
  patterns = setup["options.package_data"]["distortion_removal"].split()
  for file in files:
    path = str(file.relative_to(shipped.FOLDER.parent))
    assert any(fnmatch.fnmatch(path, pattern) for pattern in patterns)


@pytest.mark.parametrize("name", NAMES)
def test_each_loads_and_has_a_card(name):
  file = shipped.find(name)
  assert file == shipped.FOLDER / f"{name}.safetensors"
  variables, step = _read(file)
  assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(variables))
  lines = file.with_suffix(".md").read_text().splitlines()
  assert lines[0] == f"# {name}"
  places = [lines.index(f"## {heading}") for heading in HEADINGS]
  assert places == sorted(places)
  # The card is that of these weights.
  assert f"step {step:,}" in "\n".join(lines)


@pytest.fixture
def model(tmp_path, monkeypatch):
  """A small model file; the current folder is its own."""
  monkeypatch.chdir(tmp_path)
  config = make_tiny_config("nowhere")
  variables = random_variables(models.from_config(config))
  file = Path("small.safetensors")
  weights.save_model(file, variables, config, 5, origin={"origin": "random"})
  return file


def test_names_files_and_folders(model):
  """The user's own come first; what is nothing is answered by the names."""
  assert shipped.find(model) == model
  weights.import_run(model, Path(NAMES[0]))
  assert shipped.find(NAMES[0]) == Path(NAMES[0])
  (Path(NAMES[0]) / "config.json").unlink()  # no run any more
  assert shipped.find(NAMES[0]).parent == shipped.FOLDER
  with pytest.raises(UserError, match=f"^other: .*: {', '.join(NAMES)}$"):
    shipped.find("other")


def test_a_model_becomes_a_run_of_its_name(model):
  """Once; what is neither a model nor a run is left to the caller."""
  assert shipped.as_run(Path("other")) == Path("other")
  for name, source in ((str(model), model), (NAMES[0], shipped.find(NAMES[0]))):
    workdir = shipped.as_run(Path(name))
    assert workdir == Path("runs") / source.stem
    (found, step), (wanted, wanted_step) = _read(workdir), _read(source)
    assert step == wanted_step
    jax.tree.map(np.testing.assert_array_equal, found, wanted)
    config = check_config.load(workdir)
    assert run_config.differences(config, weights.load_config(source)) == {}
    before = files_of(workdir)
    assert shipped.as_run(Path(name)) == workdir
    assert shipped.as_run(workdir) == workdir
    assert files_of(workdir) == before


def test_the_runs_folder_of_other_weights_is_refused(model):
  workdir = Path("runs") / model.stem
  workdir.parent.mkdir()
  shutil.copytree(shipped.as_run(Path(NAMES[0])), workdir)
  before = files_of(workdir)
  with pytest.raises(UserError, match=r"^runs/small: holds another run"):
    shipped.as_run(model)
  assert files_of(workdir) == before
