"""Networks as ONNX models: onnxruntime computes the same from the file."""

import json

import numpy as np
import pytest
from conftest import shipped_config
from random_networks import random_variables

from distortion_removal import model_file, models
from distortion_removal.inference import onnx_model
from distortion_removal.training import weights

CONFIGS = {
  "wave_unet": "wave_unet_ceg_hard_clip",
  "demucs": "demucs_ceg_hard_clip",
  "hybrid": "hybrid_hard_clip",
  "correction": "correction_pedal",
  "inverses": "inverses_overdrive",
  "crafx": "crafx_ceg_hard_clip",
  "umx": "umx_ceg_hard_clip",
}
CHUNK_SECONDS = 0.15


@pytest.fixture
def runtime():
  pytest.importorskip("jax2onnx", reason="the extra onnx is not installed")
  return pytest.importorskip("onnxruntime")


def _model_file(folder, name):
  config = shipped_config(CONFIGS[name], "smoke")
  config.apply.chunk_seconds = CHUNK_SECONDS
  config.apply.overlap_seconds = 0.05
  model = models.from_config(config)
  variables, file = random_variables(model), folder / f"{name}.safetensors"
  weights.save_model(file, variables, config, 7, origin={})
  return file, model, variables


@pytest.mark.e2e
@pytest.mark.parametrize(
  "name", ["wave_unet", "demucs", "hybrid", "correction"]
)
def test_onnxruntime_computes_the_same(tmp_path, runtime, name):
  file, model, variables = _model_file(tmp_path, name)
  target = tmp_path / "new" / "model.onnx"
  model_file.main([str(file), "-o", str(target)])
  session = runtime.InferenceSession(target, providers=["CPUExecutionProvider"])
  rate = model.sample_rate
  shape = (1, round(CHUNK_SECONDS * rate), models.input_channels(model))
  audio = np.random.default_rng(3).uniform(-1, 1, shape).astype(np.float32)
  (restored,) = session.run(None, {"degraded": audio})
  expected = np.asarray(model.apply(variables, audio))
  assert np.std(expected) > 1e-2
  np.testing.assert_allclose(restored, expected, rtol=0, atol=1e-4)
  properties = session.get_modelmeta().custom_metadata_map
  assert {key: json.loads(text) for key, text in properties.items()} == {
    "sample_rate": rate,
    "channels": 1,
    "overlap_samples": round(0.05 * rate),
    "step": 7,
    "sha256": json.loads(file.with_suffix(".json").read_text())["sha256"],
  }


@pytest.mark.e2e
@pytest.mark.parametrize("name", ["crafx", "umx", "inverses"])
def test_what_cannot_be_exported_says_so(tmp_path, runtime, name):
  del runtime
  file, *_ = _model_file(tmp_path, name)
  target = tmp_path / "model.onnx"
  with pytest.raises(SystemExit, match=name) as caught:
    model_file.main([str(file), "-o", str(target)])
  assert "\n" not in str(caught.value)
  assert not target.exists()


@pytest.mark.e2e
def test_a_model_that_would_compute_something_else_is_not_written(
  tmp_path, runtime, monkeypatch
):
  del runtime
  file, *_ = _model_file(tmp_path, "wave_unet")
  run = onnx_model._run
  monkeypatch.setattr(onnx_model, "_run", lambda *given: run(*given) + 2e-4)
  with pytest.raises(SystemExit, match="would be off by"):
    model_file.main([str(file), "-o", str(tmp_path / "model.onnx")])
  assert not (tmp_path / "model.onnx").exists()


def test_the_extra_is_named_where_it_is_missing(tmp_path, monkeypatch):
  file, *_ = _model_file(tmp_path, "wave_unet")
  monkeypatch.setattr(onnx_model.importlib.util, "find_spec", lambda _: None)
  with pytest.raises(SystemExit, match=r"distortion_removal\[onnx\]"):
    model_file.main([str(file), "-o", str(tmp_path / "model.onnx")])


def test_the_type_is_not_chosen(tmp_path):
  file, *_ = _model_file(tmp_path, "wave_unet")
  with pytest.raises(SystemExit, match="--dtype"):
    model_file.main([str(file), "-o", "model.onnx", "--dtype=float16"])
