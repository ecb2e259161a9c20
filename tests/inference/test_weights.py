"""A run to a file and back, to the bit, and what is refused on the way."""

import json

import jax
import numpy as np
import pytest
import soundfile
from conftest import files_of, make_tiny_config, read_checkpoint

from distortion_removal import config as run_config
from distortion_removal import models
from distortion_removal.common.errors import UserError
from distortion_removal.inference import network, weights
from distortion_removal.inference.restoration import restore_file
from distortion_removal.training import check_config, checkpoint
from distortion_removal.training.train import train


@pytest.fixture(scope="module")
def run(tmp_path_factory):
  """A folder with weights that were not trained, as after an import."""
  workdir = tmp_path_factory.mktemp("run")
  config = make_tiny_config("nowhere")
  rng = np.random.default_rng(0)
  variables = jax.tree.map(
    lambda leaf: np.float32(0.1 * rng.standard_normal(leaf.shape)),
    models.variable_shapes(models.from_config(config)),
  )
  checkpoint.save_weights(workdir, variables, 5)
  run_config.save(config, workdir)
  return workdir


@pytest.fixture(scope="module")
def exported(run, tmp_path_factory):
  target = tmp_path_factory.mktemp("shared") / "model.safetensors"
  weights.export_run(run, target)
  return target


def _best(workdir):
  (step,) = (workdir / "checkpoints" / "best").iterdir()
  return int(step.name), read_checkpoint(workdir, "best", step.name, "ema")


@pytest.mark.e2e
def test_there_and_back_is_equal_to_the_bit(tiny_run, tmp_path):
  """Of a trained run; and its copy is not trained on."""
  exported, copy = tmp_path / "model.safetensors", tmp_path / "run"
  weights.export_run(tiny_run, exported)
  weights.import_run(exported, copy)
  (step, trained), (copied_step, copied) = _best(tiny_run), _best(copy)
  assert copied_step == step
  jax.tree.map(np.testing.assert_array_equal, copied, trained)
  stored, original = (check_config.load(folder) for folder in (copy, tiny_run))
  assert run_config.differences(stored, original) == []
  again = tmp_path / "again.safetensors"
  weights.export_run(copy, again)
  assert again.read_bytes() == exported.read_bytes()
  before = files_of(tmp_path)
  with pytest.raises(UserError, match="holds imported weights"):
    train(original, copy)
  assert files_of(tmp_path) == before


def test_the_card_describes_the_network(run, exported):
  card = json.loads(exported.with_suffix(".json").read_text())
  step, variables = _best(run)
  expected = {
    "network": "demucs",
    "task": "hard_clip",
    "level": "gain / dB",
    "trained_levels": [20.0, 50.0],
    "sample_rate": 8_000,
    "channels": 1,
    "parameters": sum(x.size for x in jax.tree.leaves(variables["params"])),
    "step": step,
  }
  assert {key: card[key] for key in expected} == expected


def test_safetensors_alone_reads_the_weights(run, exported):
  import safetensors.numpy

  flat = safetensors.numpy.load_file(exported)
  _, trained = _best(run)
  np.testing.assert_array_equal(
    flat["params/encoder_0_conv/kernel"],
    trained["params"]["encoder_0_conv"]["kernel"],
  )


def test_a_file_restores_as_its_run_does(run, exported, tmp_path):
  rng = np.random.default_rng(0)
  source = tmp_path / "in.wav"
  soundfile.write(source, 0.1 * rng.standard_normal(20_000), 8_000)
  outputs = []
  for folder_or_file in (run, exported):
    target = tmp_path / f"{folder_or_file.name}.wav"
    restore_file(source, target, folder_or_file)
    outputs.append(soundfile.read(target)[0])
  np.testing.assert_array_equal(*outputs)


@pytest.mark.parametrize(
  ("damage", "message"),
  [
    (lambda m, c: m.unlink(), "model.safetensors: not there"),
    (lambda m, c: c.unlink(), "model.json: not there"),
    (lambda m, c: c.write_text("{}"), "model.json: not a model card"),
    (lambda m, c: c.write_text("[1"), "model.json: not a model card"),
    (
      lambda m, c: m.write_bytes(m.read_bytes()[:-1] + b"x"),
      "model.safetensors: damaged, or not the file",
    ),
    (
      lambda m, c: c.write_text(
        c.read_text().replace("removal 1", "removal 9")
      ),
      "known is 'distortion_removal 1'",
    ),
  ],
)
def test_what_does_not_belong_together_is_told(
  exported, tmp_path, damage, message
):
  model, card = tmp_path / "model.safetensors", tmp_path / "model.json"
  model.write_bytes(exported.read_bytes())
  card.write_bytes(exported.with_suffix(".json").read_bytes())
  damage(model, card)
  with pytest.raises(UserError, match=message) as caught:
    network.load_config(model)
  assert "\n" not in str(caught.value)
  with pytest.raises(UserError):
    weights.import_run(model, tmp_path / "run")
  assert not (tmp_path / "run").exists()


def test_an_origin_takes_the_place_of_task_and_data(run, tmp_path):
  config = check_config.load(run)
  _, trained = _best(run)
  target = tmp_path / "model.safetensors"
  weights.save_model(target, trained, config, 0, origin="imported from x.th")
  card = json.loads(target.with_suffix(".json").read_text())
  assert card["origin"] == "imported from x.th"
  assert not {"task", "trained_on", "trained_levels"} & card.keys()


def test_names_and_places_that_cannot_be(run, exported, tmp_path):
  with pytest.raises(UserError, match=r"ends in \.safetensors"):
    weights.export_run(run, tmp_path / "model.pt")
  before = files_of(run)
  with pytest.raises(UserError, match=r"config\.json: the model card would"):
    weights.export_run(run, run / "config.safetensors")
  with pytest.raises(UserError, match="holds a run"):
    weights.import_run(exported, run)
  assert files_of(run) == before


def test_the_card_tells_the_options_of_the_effect(tiny_config, tmp_path):
  tiny_config.data.effect.rail = 0.5
  tiny_config.data.effect.after = (("low_pass", 2000.0),)
  target = tmp_path / "model.safetensors"
  trained = {"params": {"kernel": np.zeros(3, np.float32)}}
  weights.save_model(target, trained, tiny_config, 1)
  card = json.loads(target.with_suffix(".json").read_text())
  assert card["task_label"] == "CEG-HC (rail 0.5, low pass at 2000 Hz after)"
  loaded, _ = weights.load_card(target)
  assert run_config.differences(loaded, tiny_config) == []
