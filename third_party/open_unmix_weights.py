"""The PyTorch Open-Unmix: its weights for UMX, and the network to compare.

The state dictionaries are those of `openunmix.model.OpenUnmix`, one target.
"""

import sys
import types
from collections.abc import Mapping
from typing import Any

import numpy as np

from distortion_removal import models
from distortion_removal.models.umx import UMX
from third_party.state_dict import convert, lstm_key

_LEAF = {
  "kernel": "weight",
  "scale": "weight",
  "bias": "bias",
  "mean": "running_mean",
  "var": "running_var",
}
# Endings of names without weights; the last two are in published files.
_IGNORED = ("num_batches_tracked", "sample_rate", ".window")


def _reference_key(path: tuple[str, ...]) -> str:
  """Returns PyTorch's name of our array; `path` starts with its collection."""
  _, layer, *leaf = path
  if not leaf:
    return layer
  if layer == "lstm":
    return f"lstm.{lstm_key(*leaf)}"
  return f"{layer}.{_LEAF[leaf[0]]}"


def from_state_dict(
  state: Mapping[str, np.ndarray], model: UMX
) -> dict[str, Any]:
  """Converts a state dictionary to the variables of `model`, see `convert`."""
  shapes = models.variable_shapes(model)
  return convert(state, shapes, _reference_key, ignored=_IGNORED)


def reference(model: UMX) -> Any:
  """Makes the PyTorch network that computes what `model` computes.

  Returns:
    A `torch.nn.Module`, freshly initialised, that maps `[batch, channels,
    time]` to the same shape and has a method `magnitudes` from there to
    `[batch, channels, bins, frames]`; its `network` is the OpenUnmix.

  Raises:
    ImportError: torch or openunmix is not installed.
  """
  # openunmix imports it, but needs it for reading files only.
  sys.modules.setdefault("torchaudio", types.ModuleType("torchaudio"))
  from openunmix.model import OpenUnmix

  network = OpenUnmix(
    nb_bins=model.stft_size // 2 + 1,
    nb_channels=model.audio_channels,
    hidden_size=model.features,
    nb_layers=model.lstm_layers,
    max_bin=model.max_bin,
  )
  network.lstm.dropout = model.dropout
  return _between_transforms(network, model.stft_size, model.stft_hop)


def _between_transforms(network: Any, size: int, hop: int) -> Any:
  """Wraps `network`, which maps magnitudes, as a module that maps audio."""
  import torch

  class Reference(torch.nn.Module):
    def __init__(self):
      super().__init__()
      self.network = network
      self.register_buffer("window", torch.hann_window(size), persistent=False)

    @property
    def settings(self):
      return {"n_fft": size, "hop_length": hop, "window": self.window}

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
