"""A run to a file and back, to the bit, and what is refused on the way."""

import json
import re

import jax
import numpy as np
import pytest
import safetensors.numpy
import soundfile
from conftest import files_of, make_tiny_config, read_checkpoint

from distortion_removal import config as run_config
from distortion_removal import model_file, models
from distortion_removal.common.errors import UserError
from distortion_removal.inference.restoration import restore_file
from distortion_removal.training import check_config, checkpoint, weights
from distortion_removal.training.train import train


@pytest.fixture(scope="module")
def run(tmp_path_factory):
  """A folder with weights that were not trained, as after an import."""
  workdir = tmp_path_factory.mktemp("run")
  config = make_tiny_config("nowhere")
  config.data.effect.rail = 0.5
  config.data.effect.after = (("low_pass", 2000.0),)
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
def test_there_and_back_is_equal_to_the_bit(tiny_run, tmp_path, capsys):
  """Of a trained run, by the command; and its copy is not trained on."""
  exported, copy = tmp_path / "model.safetensors", tmp_path / "run"
  for source, target in ((tiny_run, exported), (exported, copy)):
    model_file.main([str(source), "-o", str(target)])
    assert capsys.readouterr().out == f"written: {target}\n"
  (step, trained), (copied_step, copied) = _best(tiny_run), _best(copy)
  assert copied_step == step
  jax.tree.map(np.testing.assert_array_equal, copied, trained)
  stored, original = (check_config.load(folder) for folder in (copy, tiny_run))
  assert run_config.differences(stored, original) == {}
  again = tmp_path / "again.safetensors"
  weights.export_run(copy, again)
  assert again.read_bytes() == exported.read_bytes()
  before = files_of(tmp_path)
  with pytest.raises(UserError, match="holds imported weights"):
    train(original, copy)
  assert files_of(tmp_path) == before


def test_weights_and_card_are_what_they_say(run, exported, tmp_path):
  flat = safetensors.numpy.load_file(exported)
  step, variables = _best(run)
  kernel = variables["params"]["encoder_0_conv"]["kernel"]
  np.testing.assert_array_equal(flat["params/encoder_0_conv/kernel"], kernel)
  card = json.loads(exported.with_suffix(".json").read_text())
  expected = {
    "network": "demucs",
    "task": "hard_clip_rail0.5_tone10cb2df5",
    "task_label": "CEG-HC (rail 0.5, low pass at 2000 Hz after)",
    "level": "gain / dB",
    "trained_levels": [20.0, 50.0],
    "sample_rate": 8_000,
    "channels": 1,
    "parameters": sum(x.size for x in jax.tree.leaves(variables["params"])),
    "step": step,
  }
  assert {key: card[key] for key in expected} == expected
  config = weights.load_config(exported)
  assert run_config.differences(config, check_config.load(run)) == {}
  # What was not trained here has an origin in place of task and data.
  target = tmp_path / "a.safetensors"
  origin = {"origin": "imported from x.th"}
  weights.save_model(target, variables, config, 0, origin=origin)
  # Also after it was a run.
  weights.import_run(target, tmp_path / "run")
  again = tmp_path / "b.safetensors"
  weights.export_run(tmp_path / "run", again)
  for file in (target, again):
    card = json.loads(file.with_suffix(".json").read_text())
    assert card["origin"] == "imported from x.th"
    assert not {"task", "trained_on", "trained_levels"} & card.keys()


def test_float16_rounds_weights_once(run, exported, tmp_path):
  """They are float32 again; a file of such a run is the same file."""
  half, again = tmp_path / "half.safetensors", tmp_path / "again.safetensors"
  model_file.main([str(run), "-o", str(half), "--dtype=float16"])
  # A step of float16 has 2^-10 of its number, so rounding half of that; names
  # and shapes take a few kilobytes of both files.
  sizes = [file.stat().st_size for file in (exported, half)]
  weights_bytes = sum(
    x.nbytes for x in safetensors.numpy.load_file(exported).values()
  )
  assert sizes[0] - sizes[1] == pytest.approx(weights_bytes / 2, rel=0.01)
  shapes = models.variable_shapes(models.from_config(weights.load_config(run)))
  exact, rounded = (
    weights.load_weights(file, shapes)[0] for file in (exported, half)
  )
  for value, other in zip(*map(jax.tree.leaves, (exact, rounded)), strict=True):
    assert other.dtype == np.float32
    np.testing.assert_allclose(other, value, rtol=2.0**-11, atol=2.0**-25)
    assert value.size < 10 or np.any(other != value)
  weights.import_run(half, tmp_path / "run")
  weights.export_run(tmp_path / "run", again, "float16")
  assert again.read_bytes() == half.read_bytes()
  assert weights.are_same(half, tmp_path / "run", again)
  assert not weights.are_same(half, exported)


def test_what_float16_cannot_hold_is_refused(run, tmp_path):
  target = tmp_path / "model.safetensors"
  for value in (65_536.0, np.nan):
    variables = {"params": {"layer": {"kernel": np.float32([1.0, -value])}}}
    with pytest.raises(UserError, match=r"^params/layer/kernel has values"):
      weights.save_model(
        target,
        variables,
        weights.load_config(run),
        0,
        origin={},
        dtype="float16",
      )
  assert not files_of(tmp_path)


def test_a_file_restores_as_its_run_does(run, exported, tmp_path):
  source, target = tmp_path / "in.wav", tmp_path / "out.wav"
  noise = 0.1 * np.random.default_rng(0).standard_normal(20_000)
  soundfile.write(source, noise, 8_000)
  outputs = []
  for folder_or_file in (run, exported):
    restore_file(source, target, folder_or_file)
    outputs.append(soundfile.read(target)[0])
  np.testing.assert_array_equal(*outputs)


@pytest.mark.parametrize(
  ("name", "damage", "message"),
  [
    ("model.safetensors", lambda content: None, "not there"),
    ("model.json", lambda content: None, "not there"),
    ("model.json", lambda content: b"[1", "not a model card"),
    ("model.json", lambda content: content.replace(b"l 1", b"l 9"), "format"),
    ("model.safetensors", lambda content: content[:-1] + b"x", "damaged"),
  ],
)
def test_files_that_do_not_belong_together(
  exported, tmp_path, name, damage, message
):
  for file in (exported, exported.with_suffix(".json")):
    content = file.read_bytes()
    content = damage(content) if file.name == name else content
    if content is not None:
      (tmp_path / file.name).write_bytes(content)
  with pytest.raises(UserError, match=f"{name}: {message}"):
    weights.import_run(tmp_path / "model.safetensors", tmp_path / "run")
  assert not (tmp_path / "run").exists()


def test_names_and_places_that_cannot_be(run, exported, tmp_path):
  before = files_of(run)
  for source, target, message in (
    (run, tmp_path / "model.pt", "ends in .safetensors"),
    (run, run / "config.safetensors", "config.json: the model card would"),
    (exported, run, "holds a run"),
    (exported, tmp_path / "c.safetensors", "to a run, give a folder"),
    (exported, f"{tmp_path / 'run'} --dtype=float16", "and no --dtype"),
    (tmp_path / "none", tmp_path / "b.safetensors", "no trained run here"),
  ):
    with pytest.raises(SystemExit) as caught:
      model_file.main([str(source), "-o", *str(target).split()])
    assert re.fullmatch(f"error: .*{re.escape(message)}.*", caught.value.code)
  assert files_of(run) == before
  assert not files_of(tmp_path)
