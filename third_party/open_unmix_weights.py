"""The PyTorch Open-Unmix: its weights for UMX, and the network to compare.

The state dictionaries are those of `openunmix.model.OpenUnmix`, one target.
"""

import sys
import types
from collections.abc import Mapping
from typing import Any

import flax.traverse_util
import jax
import numpy as np

from distortion_removal.errors import UserError
from distortion_removal.models.umx import UMX

_LSTM = {
  "input_kernel": "weight_ih",
  "recurrent_kernel": "weight_hh",
  "input_bias": "bias_ih",
  "recurrent_bias": "bias_hh",
}
_LEAF = {
  "kernel": "weight",
  "scale": "weight",
  "bias": "bias",
  "mean": "running_mean",
  "var": "running_var",
}
# Ends of names that hold no weights; the last two are in published files.
_IGNORED = ("num_batches_tracked", "sample_rate", ".window")


def _reference_key(path: tuple[str, ...]) -> str:
  """PyTorch's name of our array at `path`, which starts with its collection."""
  _, layer, *leaf = path
  if not leaf:
    return layer
  if layer == "lstm":
    _, index, direction = leaf[0].split("_")
    suffix = "_reverse" if direction == "backward" else ""
    return f"lstm.{_LSTM[leaf[1]]}_l{index}{suffix}"
  return f"{layer}.{_LEAF[leaf[0]]}"


def from_state_dict(
  state: Mapping[str, np.ndarray], model: UMX
) -> dict[str, Any]:
  """Variables for `model` from PyTorch's.

  Args:
    state: `{name: tensor.numpy()}` of the reference's `state_dict()`.
    model: the network of the same size.

  Returns:
    What `model.init` returns, `{"params": ..., "batch_stats": ...}`, as NumPy
    arrays.

  Raises:
    UserError: an array is missing, left over or of another shape.
  """
  audio = np.zeros((1, 1, model.audio_channels), np.float32)
  shapes = jax.eval_shape(model.init, jax.random.key(0), audio)
  shapes = flax.traverse_util.flatten_dict(shapes)
  keys = {path: _reference_key(path) for path in shapes}
  for key in sorted(keys.values()):
    if key not in state:
      raise UserError(
        f"weights have no array {key!r}; is the size the model's?"
      )
  for key in sorted(state.keys() - set(keys.values())):
    if not key.endswith(_IGNORED):
      raise UserError(f"weights have {key!r}, for which the model has no place")
  variables = {}
  for path, expected in shapes.items():
    # Our axes are PyTorch's in reverse order, in every layer.
    array = np.ascontiguousarray(state[keys[path]].T, np.float32)
    if array.shape != expected.shape:
      raise UserError(
        f"weights {keys[path]!r} have shape {array.shape[::-1]}, but the "
        f"model takes {expected.shape[::-1]}; is the size the model's?"
      )
    variables[path] = array
  return flax.traverse_util.unflatten_dict(variables)


def reference(model: UMX) -> Any:
  """The PyTorch network that computes what `model` computes.

  Returns:
    A `torch.nn.Module`, freshly initialised, that maps `[batch, channels,
    time]` to the same shape and has a method `magnitudes` from there to
    `[batch, channels, bins, frames]`; its `network` is the OpenUnmix.

  Raises:
    ImportError: torch or openunmix is not installed.
  """
  import torch

  # Imported by openunmix, but needed for reading files only.
  sys.modules.setdefault("torchaudio", types.ModuleType("torchaudio"))
  from openunmix.model import OpenUnmix

  class Reference(torch.nn.Module):
    def __init__(self):
      super().__init__()
      self.network = OpenUnmix(
        nb_bins=model.stft_size // 2 + 1,
        nb_channels=model.audio_channels,
        hidden_size=model.features,
        nb_layers=model.lstm_layers,
        max_bin=model.max_bin,
      )
      self.network.lstm.dropout = model.dropout
      self.settings = {
        "n_fft": model.stft_size,
        "hop_length": model.stft_hop,
        "window": torch.hann_window(model.stft_size),
      }

    def transform(self, audio):
      batch, channels, time = audio.shape
      spectrum = torch.stft(
        audio.reshape(-1, time), **self.settings, return_complex=True
      )
      return spectrum.reshape(batch, channels, *spectrum.shape[1:])

    def magnitudes(self, audio):
      return self.network(self.transform(audio).abs())

    def forward(self, audio):
      spectrum = self.transform(audio)
      restored = torch.polar(self.network(spectrum.abs()), spectrum.angle())
      restored = torch.istft(
        restored.flatten(0, 1), **self.settings, length=audio.shape[-1]
      )
      return restored.reshape(audio.shape)

  return Reference()
