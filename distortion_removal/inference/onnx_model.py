"""Exports a trained network to ONNX, with jax2onnx (extra `onnx`).

The model maps one chunk of audio, `[1, time, channels]`, as
`inference.network` does; what surrounds that, such as resampling, joining
chunks and declipping, is up to who uses it.
"""

import importlib.util
import json
from pathlib import Path

import ml_collections
import numpy as np

from distortion_removal import models
from distortion_removal.common.errors import UserError
from distortion_removal.common.files import write_whole
from distortion_removal.inference.network import chunking, load_network
from distortion_removal.training import weights

SUFFIX = ".onnx"
_TOLERANCE = 1e-4


def export(source: Path, target: Path) -> None:
  """Writes a network as an ONNX model, once it is found to compute the same.

  Its metadata say what a chunk is, and which weights it has.

  Args:
    source: folder of a trained run, or a model file.
    target: file that ends in `.onnx`.

  Raises:
    UserError: the extra is missing, or the network cannot be exported.
  """
  if importlib.util.find_spec("jax2onnx") is None:
    raise UserError(
      "ONNX files need jax2onnx: pip install 'distortion_removal[onnx]'"
    )
  import jax2onnx
  import onnx

  config = weights.load_config(source)
  config.compute_dtype = "float32"
  model, network = models.from_config(config), load_network(source, config)
  shapes = models.variable_shapes(model)
  variables, step = weights.load_weights(source, shapes)
  chunk = chunking(config)["chunk"]
  shape = (1, chunk, models.input_channels(model))
  try:
    exported = jax2onnx.to_onnx(
      lambda audio: model.apply(variables, audio),
      [shape],
      model_name=config.model.name,
      input_names=["degraded"],
      output_names=["restored"],
    )
  except Exception as error:  # Of any kind, for what it does not know.
    reason = str(error).partition("\n")[0]
    raise UserError(
      f"{source}: jax2onnx cannot export {config.model.name}: {reason}"
    ) from error
  properties = _properties(config, step, weights.sha256(variables))
  onnx.helper.set_model_props(exported, properties)
  content = exported.SerializeToString()
  audio = np.random.default_rng(0).uniform(-1.0, 1.0, shape)
  error = np.abs(_run(content, np.float32(audio)) - network(np.float32(audio)))
  if not error.max() <= _TOLERANCE:
    raise UserError(
      f"{source}: as ONNX, {config.model.name} would be off by "
      f"{error.max():.2g}; nothing is written"
    )
  target.parent.mkdir(parents=True, exist_ok=True)
  write_whole(target, content)


def _properties(
  config: ml_collections.ConfigDict, step: int, sha256: str
) -> dict[str, str]:
  content = {
    "sample_rate": config.data.sample_rate,
    "channels": config.data.channels,
    "overlap_samples": chunking(config)["overlap"],
    "step": step,
    "sha256": sha256,
  }
  return {key: json.dumps(value) for key, value in content.items()}


def _run(content: bytes, audio: np.ndarray) -> np.ndarray:
  """Runs an ONNX model on the CPU."""
  import onnxruntime

  session = onnxruntime.InferenceSession(
    content, providers=["CPUExecutionProvider"]
  )
  return session.run(["restored"], {"degraded": audio})[0]
