"""The hybrid network in PyTorch, to compare ours with.

The layers have our names. Time comes before features inside, so that steps are
joined and split by views, and what has one tap is a linear layer.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from distortion_removal import models
from distortion_removal.models.hybrid import Hybrid
from third_party.state_dict import convert

_SHARES = (1e-3, 0.98)
_FLOOR = 1e-6  # of mean squares, in norms as well


def _arcsinh(x: torch.Tensor) -> torch.Tensor:
  # PyTorch's own takes nine times as long.
  size = x.abs()
  return torch.copysign((size + (size * size + 1).sqrt()).log(), x)


class _Convolution(nn.Conv2d):
  """Maps `[batch, time, in]` to `[batch, time, features]`.

  In two dimensions PyTorch convolves with features last, without copies.
  """

  def __init__(self, inputs: int, features: int, taps: int, dilation: int = 1):
    super().__init__(
      inputs, features, (1, taps), padding="same", dilation=(1, dilation)
    )
    self.to(memory_format=torch.channels_last)

  def forward(self, x: torch.Tensor) -> torch.Tensor:
    return super().forward(x.mT[:, :, None])[:, :, 0].mT


class _Residual(nn.Module):
  """Adds to its input a dilated convolution and a product of it, rectified."""

  def __init__(self, features: int, taps: int, dilation: int = 1):
    super().__init__()
    self.norm = nn.RMSNorm(features, _FLOOR)
    self.dilated = _Convolution(features, features, taps, dilation)
    self.mixed = nn.Linear(features, features)

  def forward(self, x: torch.Tensor) -> torch.Tensor:
    return x + self.mixed(self.dilated(self.norm(x)).relu_())


class Network(nn.Module):
  """The hybrid on `[batch, input_channels, time]`."""

  def __init__(self, model: Hybrid):
    super().__init__()
    self.model = m = model
    self.depth = depth = len(m.channels)
    inputs = 5 + 3 * m.estimates
    for level, features in enumerate(m.channels):
      wide = m.stride * inputs
      down = _Convolution(wide, features, 3) if level == 0 else None
      self.add_module(f"down_{level}", down or nn.Linear(wide, features))
      if level < depth - 1:
        self.add_module(f"encode_{level}", _Residual(features, m.taps))
        self.add_module(f"skip_{level}", nn.Linear(features, features))
        self.add_module(f"decode_{level}", _Residual(features, m.taps))
        up = nn.Linear(m.channels[level + 1], m.stride * features)
        self.add_module(f"up_{level}", up)
      inputs = features
    for index, dilation in enumerate(m.dilations):
      self.add_module(f"deep_{index}", _Residual(inputs, 3, dilation))
    self.norm = nn.RMSNorm(m.channels[0], _FLOOR)
    outputs = (1 + m.estimates) * m.stride
    self.last = _Convolution(m.channels[0], outputs, 3)

  def forward(self, inputs: torch.Tensor) -> torch.Tensor:
    """Maps `[batch, input_channels, time]` to `[batch, channels, time]`."""
    m, (batch, _, length) = self.model, inputs.shape
    x = inputs.reshape(batch, 2 + m.estimates, m.audio_channels, length)
    x = x.swapaxes(1, 2).flatten(0, 1)
    x = F.pad(x, (0, m.valid_length(length) - length))
    audio, signs, estimates = x[:, :1], x[:, 1:2], x[:, 2:]
    features, scale = self.features(audio, signs, estimates)
    output = self.u_net(features.swapaxes(1, 2)).float().swapaxes(1, 2)
    weights = output[:, 1:].softmax(1)
    estimate = (weights * estimates).sum(1, keepdim=True)
    estimate = estimate + scale * output[:, :1]
    upper, lower = estimate.maximum(audio), estimate.minimum(audio)
    beyond = torch.where(signs > 0, upper, lower).detach()
    # The gradient passes straight through.
    beyond = beyond + (estimate - estimate.detach())
    result = torch.where(signs == 0, audio, beyond)
    return result[..., :length].reshape(batch, m.audio_channels, length)

  def features(
    self, audio: torch.Tensor, signs: torch.Tensor, estimates: torch.Tensor
  ) -> tuple[torch.Tensor, torch.Tensor]:
    """Returns what the U-net sees, and the scale of its correction."""
    m = self.model
    above, below = (signs > 0).float(), (signs < 0).float()
    clipped = above + below
    excess = clipped * (estimates.mean(1, keepdim=True) - audio).square()
    local = torch.cat([clipped, excess, estimates.square()], 1)
    local = F.avg_pool1d(local, m.hop)
    reach = -(-m.level_samples // (2 * m.hop))
    local = F.avg_pool1d(
      local, 2 * reach + 1, 1, reach, count_include_pad=False
    )
    share, excess = local[:, :1].clamp(*_SHARES), local[:, 1:2]
    level = -1 / share.log()
    scale = (excess / share + (share * level).square()).sqrt()
    rms = (local[:, 2:] + _FLOOR).sqrt()
    slow = torch.cat([level.log(), scale.log(), scale, rms], 1)
    slow = slow.repeat_interleave(m.hop, 2)
    scale, rms = slow[:, 2:3], slow[:, 3:]
    features = [
      audio,
      above,
      below,
      slow[:, :2],
      (estimates - audio) / scale,
      estimates / rms,
      _arcsinh(estimates),
    ]
    return torch.cat(features, 1), scale

  def u_net(self, x: torch.Tensor) -> torch.Tensor:
    """Maps features `[batch, time, …]` to a correction and logits."""
    m, skips = self.model, []
    for level in range(self.depth):
      x = x.reshape(x.shape[0], -1, m.stride * x.shape[2])
      x = getattr(self, f"down_{level}")(x)
      if level < self.depth - 1:
        x = getattr(self, f"encode_{level}")(x)
        skips.append(x)
    for index in range(len(m.dilations)):
      x = getattr(self, f"deep_{index}")(x)
    for level in reversed(range(self.depth - 1)):
      x = self.upsample(getattr(self, f"up_{level}")(x))
      x = x + getattr(self, f"skip_{level}")(skips[level])
      x = getattr(self, f"decode_{level}")(x)
    return self.upsample(self.last(self.norm(x).relu()))

  def upsample(self, x: torch.Tensor) -> torch.Tensor:
    """Reads the features of a step as those of `stride` steps."""
    return x.reshape(x.shape[0], self.model.stride * x.shape[1], -1)


def reference(model: Hybrid) -> nn.Module:
  """Makes the PyTorch network that computes what `model` computes."""
  return Network(model)


def _reference_key(path: tuple[str, ...]) -> str:
  leaf = {"kernel": "weight", "scale": "weight"}.get(path[-1], path[-1])
  return ".".join([*path[:-1], leaf])


def from_state_dict(
  state: Mapping[str, np.ndarray], model: Hybrid
) -> dict[str, Any]:
  """Converts parameters of `model`'s `reference` for `model`.

  Args:
    state: `{name: tensor.numpy()}` of the reference's parameters, or of
      their gradients.
    model: the network.

  Returns:
    What `model.init` returns under `params`, as NumPy arrays.

  Raises:
    UserError: an array is missing, left over or of another shape.
  """
  # Ours have the taps of a kernel side by side.
  flat = {
    name: np.swapaxes(array, 1, 3).reshape(len(array), -1)
    if array.ndim == 4
    else array
    for name, array in state.items()
  }
  shapes = models.variable_shapes(model)["params"]
  return convert(flat, shapes, _reference_key)
