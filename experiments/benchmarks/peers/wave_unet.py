"""Wave-U-Net in PyTorch, as plainly as its description.

The layers have our names, so that a layer's `weight` and `bias` are our
`kernel` and `bias` with the axes reversed.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from distortion_removal import models
from distortion_removal.models.wave_unet import WaveUNet
from third_party.state_dict import convert


class _Interpolation(nn.Module):
  """Holds the learned interpolation's weights, one a feature."""

  def __init__(self, features: int):
    super().__init__()
    self.weight = nn.Parameter(torch.randn(features))


class _Reference(nn.Module):
  """Maps `[batch, channels, time]` to the same."""

  def __init__(self, model: WaveUNet):
    super().__init__()
    self.model = model
    size = inner = model.audio_channels
    for level in range(1, model.levels + 1):
      self._add(f"down_{level}", inner, model.filters * level, model.down_taps)
      inner = model.filters * level
    deepest = inner + model.filters
    self._add("bottleneck", inner, deepest, model.down_taps)
    for level in range(model.levels, 0, -1):
      skip = model.filters * level
      upper = skip + model.filters
      if model.upsampling == "learned":
        self.add_module(f"interpolation_{level}", _Interpolation(upper))
      self._add(f"up_{level}", skip + upper, skip, model.up_taps)
    self._add("output", size + model.filters, size, 1)

  def _add(self, name: str, inputs: int, features: int, taps: int) -> None:
    padding = taps // 2 if self.model.padding == "same" else 0
    self.add_module(name, nn.Conv1d(inputs, features, taps, padding=padding))

  def _convolve(self, name: str, x: torch.Tensor) -> torch.Tensor:
    return functional.leaky_relu(getattr(self, name)(x), 0.2)

  def _upsample(self, level: int, x: torch.Tensor) -> torch.Tensor:
    learned = self.model.upsampling == "learned"
    same = self.model.padding == "same"
    if same:
      x = functional.pad(x, (0, 1), "constant" if learned else "replicate")
    if learned:
      weight = getattr(self, f"interpolation_{level}").weight.sigmoid()
      between = torch.lerp(x[..., 1:], x[..., :-1], weight[:, None])
      pairs = torch.stack([x[..., :-1], between], -1).flatten(2)
      x = torch.cat([pairs, x[..., -1:]], -1)
    else:
      x = functional.interpolate(
        x, size=2 * x.shape[-1] - 1, mode="linear", align_corners=True
      )
    return x[..., :-1] if same else x

  def _merge(self, skip: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    start = (skip.shape[-1] - x.shape[-1]) // 2
    return torch.cat([skip[..., start : start + x.shape[-1]], x], 1)

  def forward(self, audio: torch.Tensor) -> torch.Tensor:
    length = audio.shape[-1]
    zeros = self.model.valid_length(length) - length
    before = 0
    if self.model.padding == "valid":
      before = self.model.context[0] - self.model.hop + 1
    padded = functional.pad(audio, (before, zeros - before))
    x, skips = padded, []
    for level in range(1, self.model.levels + 1):
      x = self._convolve(f"down_{level}", x)
      skips.append(x)
      x = x[..., ::2]
    x = self._convolve("bottleneck", x)
    for level in range(self.model.levels, 0, -1):
      x = self._merge(skips.pop(), self._upsample(level, x))
      x = self._convolve(f"up_{level}", x)
    x = torch.tanh(self.output(self._merge(padded, x)))[..., :length]
    return audio - x if self.model.output == "difference" else x


def _reference_key(path: tuple[str, ...]) -> str:
  layer, leaf = path
  return f"{layer}.{'weight' if leaf == 'kernel' else leaf}"


def reference(model: WaveUNet) -> nn.Module:
  """Makes the PyTorch network that computes what `model` computes.

  Returns:
    A freshly initialised module, `[batch, channels, time]` to the same.
  """
  return _Reference(model)


def from_state_dict(
  state: Mapping[str, np.ndarray], model: WaveUNet
) -> dict[str, Any]:
  """Converts parameters of `model`'s `reference` for `model`.

  Args:
    state: `{name: tensor.numpy()}` of the reference's `state_dict()`.
    model: the network of the same size.

  Returns:
    What `model.init` returns under `params`, as NumPy arrays.

  Raises:
    UserError: an array is missing, left over or of another shape.
  """
  shapes = models.variable_shapes(model)["params"]
  return convert(state, shapes, _reference_key)
