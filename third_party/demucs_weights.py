"""The PyTorch Demucs: its weights for ours, and the network to compare with.

The state dictionaries of `facebookresearch/demucs` version 2 and of version 4
(`demucs.demucs.Demucs` without residual branches, normalisation and GELU)
differ in the second layer of a block, which is number 2 and number 3 of its
`nn.Sequential`, respectively.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from distortion_removal import models
from distortion_removal.models.demucs import Demucs
from third_party.state_dict import convert, lstm_key

_LEAF = {"kernel": "weight", "bias": "bias"}


def _reference_key(path: tuple[str, ...], second: int) -> str:
  """Returns PyTorch's name; a block's `second` layer has that number there."""
  if path[0] == "lstm":
    return f"lstm.lstm.{lstm_key(*path[1:])}"
  if path[0] == "linear":
    return f"lstm.linear.{_LEAF[path[1]]}"
  block, index, layer = path[0].split("_")
  is_first = (block, layer) in {("encoder", "conv"), ("decoder", "rewrite")}
  return f"{block}.{index}.{0 if is_first else second}.{_LEAF[path[1]]}"


def from_state_dict(
  state: Mapping[str, np.ndarray], model: Demucs
) -> dict[str, Any]:
  """Converts a state dictionary to the parameters of `model`, see `convert`.

  For the context c of version 4, `model.decoder_taps` is 2 c + 1.
  """
  second = 2 if "encoder.0.2.weight" in state else 3
  shapes = models.variable_shapes(model)["params"]
  return convert(state, shapes, lambda path: _reference_key(path, second))


def reference(model: Demucs) -> Any:
  """Makes the PyTorch network that computes what `model` computes.

  Returns:
    A `torch.nn.Module` from the package demucs (version 4), freshly
    initialised: `[batch, channels, time]` to `[batch, 1, channels, time]`.

  Raises:
    ImportError: torch or demucs is not installed.
  """
  from demucs.demucs import Demucs as Reference

  network = Reference(
    ["clean"],
    audio_channels=model.audio_channels,
    channels=model.channels,
    growth=model.growth,
    depth=model.depth,
    lstm_layers=model.lstm_layers,
    kernel_size=model.kernel_size,
    stride=model.stride,
    context=model.decoder_taps // 2,
    normalize=model.normalize,
    resample=model.resample,
    rescale=model.rescale,
    # Without the additions of version 4.
    gelu=False,
    norm_starts=model.depth,
    dconv_mode=0,
  )
  if model.decoder_padding == "valid":
    for block in network.decoder:
      block[0].padding = (0,)
    network.valid_length = model.valid_length
  return network
