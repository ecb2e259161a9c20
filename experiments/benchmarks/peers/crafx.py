"""CRAFx in PyTorch, as its papers describe it, to compare ours with.

Like the original, it analyses all nine frames around an output frame anew, so
that every frame of a recording is analysed nine times.
"""

import itertools
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from distortion_removal import models
from distortion_removal.models.crafx import CRAFx
from third_party.state_dict import convert, lstm_key

# Our parameters outside of layers.
_FILTERS = {
  "kernel": "analysis.weight",
  "bias": "analysis.bias",
  "smoothing_kernel": "smoothing.weight",
  "smoothing_bias": "smoothing.bias",
}


class SAAF(nn.Module):
  """Smooth adaptive activation of order 2, by a table of its segments."""

  def __init__(self, channels: int, segments: int, limit: float):
    super().__init__()
    start = torch.stack([torch.zeros(channels), torch.ones(channels)], 1)
    self.polynomial = nn.Parameter(start)
    self.curvature = nn.Parameter(torch.zeros(channels, segments))
    self.limit = limit
    points = torch.linspace(-limit, limit, segments + 1)[:, None]
    self.register_buffer("points", points, persistent=False)

  def forward(self, x: torch.Tensor) -> torch.Tensor:
    """Maps `[..., channels]` to the same shape."""
    curvature = self.curvature.T
    count, channels = curvature.shape
    step, limit = 2 * self.limit / count, self.limit
    # Slope and value at the left end of every segment, and at the last's right.
    zero = curvature.new_zeros(1, channels)
    slope = torch.cat([zero, step * curvature.cumsum(0)])
    rise = step * slope[:-1] + step**2 / 2 * curvature
    value = torch.cat([zero, rise.cumsum(0)])
    # Integrated from the first break point; from 0, as it should be:
    half, rest = count // 2, step * (count % 2) / 2
    bend = curvature[half]
    slope_at_0 = slope[half] + rest * bend
    value_at_0 = value[half] + rest * slope[half] + rest**2 / 2 * bend
    tilt = self.polynomial[:, 1] - slope_at_0
    slope = slope + tilt
    value = value + tilt * self.points + self.polynomial[:, 0] - value_at_0
    # Straight on at either side of the segments.
    first = (value[:1] - step * slope[:1], slope[:1], zero)
    last = (value[-1:], slope[-1:], zero)
    segments = (value[:-1], slope[:-1], curvature)
    table = [torch.cat(t) for t in zip(first, segments, last, strict=True)]
    index = torch.floor((x.detach() + limit) / step + 1).clamp(0, count + 1)
    offset = x - (index - 1) * step + limit
    flat = index.long().reshape(-1, channels)
    value, slope, bend = (t.gather(0, flat).reshape(x.shape) for t in table)
    return value + offset * (slope + offset * bend / 2)


class Network(nn.Module):
  """CRAFx on whole recordings."""

  def __init__(self, model: CRAFx):
    super().__init__()
    self.model = m = model
    same = {"padding": "same"}
    self.analysis = nn.Conv1d(1, m.filters, m.taps, **same)
    self.smoothing = nn.Conv1d(
      m.filters, m.filters, m.smoothing_taps, groups=m.filters, **same
    )
    width = (2 * m.context_frames + 1) * m.filters
    self.lstm = nn.ModuleList()
    for features in m.lstm_features:
      lstm = nn.LSTM(width, features, batch_first=True, bidirectional=True)
      # One bias a gate, as in Keras.
      for name, parameter in lstm.named_parameters():
        if "bias_hh" in name:
          parameter.requires_grad_(False).zero_()
      self.lstm.append(lstm)
      width = 2 * features
    self.saaf = SAAF(m.filters, m.saaf_segments, m.saaf_range)
    widths = (m.filters, *m.dense_features, m.filters)
    self.dense = nn.ModuleList(
      nn.Linear(n, features) for n, features in itertools.pairwise(widths)
    )
    self.squeeze = nn.Linear(m.filters, m.excitation_features)
    self.excite = nn.Linear(m.excitation_features, m.filters)
    self.output_bias = nn.Parameter(torch.zeros(1))
    self.register_buffer(
      "window", torch.hann_window(m.frame) * 2 * m.frame_hop / m.frame, False
    )

  def forward(self, audio: torch.Tensor) -> torch.Tensor:
    """Maps `[batch, channels, time]` to the same shape."""
    m, time = self.model, audio.shape[-1]
    margin, context = m.frame - m.frame_hop, m.context_frames * m.frame_hop
    right = m.valid_length(time) - time - margin
    padded = F.pad(audio, (margin + context, right + context))
    span = m.frame + 2 * context
    windows = padded.unfold(-1, span, m.frame_hop)
    # All frames around every output frame: [outputs, 9, frame].
    frames = windows.reshape(-1, span).unfold(-1, m.frame, m.frame_hop)
    restored = self.restore_frame(frames) * self.window
    restored = restored.reshape(-1, windows.shape[-2], m.frame).swapaxes(1, 2)
    length = (windows.shape[-2] - 1) * m.frame_hop + m.frame
    signal = F.fold(restored, (1, length), (1, m.frame), stride=m.frame_hop)
    return signal[..., margin : margin + time].reshape(audio.shape)

  def restore_frame(self, frames: torch.Tensor) -> torch.Tensor:
    """Maps `[outputs, 2 * context_frames + 1, frame]` to `[outputs, frame]`."""
    m, (outputs, count, _) = self.model, frames.shape
    bands = self.analysis(frames.reshape(-1, 1, m.frame))
    envelopes = F.max_pool1d(F.softplus(self.smoothing(bands.abs())), m.pool)
    x = envelopes.reshape(outputs, count * m.filters, -1).swapaxes(1, 2)
    for lstm in self.lstm:
      x, _ = lstm(F.dropout(x, m.dropout, self.training))
    gains = self.saaf(x).repeat_interleave(m.pool, 1)
    centre = bands.reshape(outputs, count, m.filters, -1)[:, m.context_frames]
    bands = centre.swapaxes(1, 2) * gains
    x = bands
    for layer in self.dense[:-1]:
      x = layer(x).tanh()
    x = self.saaf(self.dense[-1](x))
    scale = self.squeeze(x.abs().mean(1, keepdim=True)).relu()
    bands = bands + x * self.excite(scale).sigmoid()
    left = (m.taps - 1) // 2
    audio = F.conv_transpose1d(bands.swapaxes(1, 2), self.analysis.weight)
    return audio[:, 0, left : left + m.frame] + self.output_bias


def reference(model: CRAFx) -> nn.Module:
  """Makes the PyTorch network that computes what `model` computes."""
  return Network(model)


def _reference_key(path: tuple[str, ...]) -> str:
  layer, *leaf = path
  if layer.startswith("lstm_"):
    return f"lstm.{layer.removeprefix('lstm_')}.{lstm_key(*leaf)}"
  if layer in _FILTERS:
    return _FILTERS[layer]
  name = ".".join([layer.replace("dense_", "dense."), *leaf])
  return name.replace("kernel", "weight")


def from_state_dict(
  state: Mapping[str, np.ndarray], model: CRAFx
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
  # Ours have no axis for the one input of each of these filters.
  name = _FILTERS["smoothing_kernel"]
  if name in state:
    state = {**state, name: np.squeeze(state[name], 1)}
  shapes = models.variable_shapes(model)["params"]
  unused = ("bias_hh_l0", "bias_hh_l0_reverse")
  return convert(state, shapes, _reference_key, ignored=unused)
