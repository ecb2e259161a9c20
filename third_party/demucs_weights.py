"""The PyTorch Demucs: its weights for ours, and the network to compare with.

The state dictionaries of `facebookresearch/demucs` version 2 and of version 4
(`demucs.demucs.Demucs` without residual branches, normalisation and GELU) name
the layers alike but for the second layer of a block, which is number 2 and
number 3 of its `nn.Sequential`, respectively.
"""

from collections.abc import Mapping
from typing import Any

import flax.traverse_util
import jax
import numpy as np

from distortion_removal.errors import UserError
from distortion_removal.models.demucs import Demucs

_LSTM = {
  "input_kernel": "weight_ih",
  "recurrent_kernel": "weight_hh",
  "input_bias": "bias_ih",
  "recurrent_bias": "bias_hh",
}
_LEAF = {"kernel": "weight", "bias": "bias"}


def _reference_key(path: tuple[str, ...], second: int) -> str:
  """PyTorch's name of our parameter; `second`: see the module's text."""
  if path[0] == "lstm":
    _, layer, direction = path[1].split("_")
    suffix = "_reverse" if direction == "backward" else ""
    return f"lstm.lstm.{_LSTM[path[2]]}_l{layer}{suffix}"
  if path[0] == "linear":
    return f"lstm.linear.{_LEAF[path[1]]}"
  block, index, layer = path[0].split("_")
  is_first = (block, layer) in {("encoder", "conv"), ("decoder", "rewrite")}
  return f"{block}.{index}.{0 if is_first else second}.{_LEAF[path[1]]}"


def from_state_dict(
  state: Mapping[str, np.ndarray], model: Demucs
) -> dict[str, Any]:
  """Parameters for `model` from PyTorch's.

  Args:
    state: `{name: tensor.numpy()}` of the reference's `state_dict()`.
    model: the network of the same size, with `decoder_taps` = 2 c + 1 for the
      context c of version 4.

  Returns:
    What `model.init` returns under `params`, as NumPy arrays.

  Raises:
    UserError: an array is missing, left over or of another shape.
  """
  audio = np.zeros((1, 1, model.audio_channels), np.float32)
  shapes = jax.eval_shape(model.init, jax.random.key(0), audio)["params"]
  shapes = flax.traverse_util.flatten_dict(shapes)
  second = 2 if "encoder.0.2.weight" in state else 3
  keys = {path: _reference_key(path, second) for path in shapes}
  for key in sorted(keys.values()):
    if key not in state:
      raise UserError(
        f"weights have no array {key!r}; is the size the model's?"
      )
  for key in sorted(state.keys() - set(keys.values())):
    raise UserError(f"weights have {key!r}, for which the model has no place")
  params = {}
  for path, expected in shapes.items():
    # Our axes are PyTorch's in reverse order, in every layer.
    params[path] = np.ascontiguousarray(state[keys[path]].T, np.float32)
    if params[path].shape != expected.shape:
      raise UserError(
        f"weights {keys[path]!r} have shape {state[keys[path]].shape}, but the "
        f"model takes {expected.shape[::-1]}; is the size the model's?"
      )
  return flax.traverse_util.unflatten_dict(params)


def reference(model: Demucs) -> Any:
  """The PyTorch network that computes what `model` computes.

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
    # What version 4 adds to version 2 is left out.
    gelu=False,
    norm_starts=model.depth,
    dconv_mode=0,
  )
  if model.decoder_padding == "valid":
    for block in network.decoder:
      block[0].padding = (0,)
    network.valid_length = model.valid_length
  return network
