"""VGGish's published PyTorch weights for our VGGish.

The state dictionary of harritaylor/torchvggish: the layers are numbered as in
its two `nn.Sequential`, `features` and `embeddings`. It flattens height, width
and channels in this order, as the TensorFlow original and ours do.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from distortion_removal.metrics.fad import vggish
from third_party.state_dict import convert

_LAYERS = {
  "conv1": "features.0",
  "conv2": "features.3",
  "conv3_1": "features.6",
  "conv3_2": "features.8",
  "conv4_1": "features.11",
  "conv4_2": "features.13",
  "fc1_1": "embeddings.0",
  "fc1_2": "embeddings.2",
  "fc2": "embeddings.4",
}


def _reference_key(path: tuple[str, ...]) -> str:
  _, layer, leaf = path
  return f"{_LAYERS[layer]}.{'weight' if leaf == 'kernel' else leaf}"


def from_state_dict(state: Mapping[str, np.ndarray]) -> dict[str, Any]:
  """Converts PyTorch's variables for `vggish.VGGish`.

  Args:
    state: `{name: tensor.numpy()}` of the reference's `state_dict()`.

  Returns:
    NumPy arrays, for `vggish.save_weights`.

  Raises:
    UserError: an array is missing, left over or of another shape.
  """
  # All axes are reversed but those of height and width.
  state = {
    key: value.swapaxes(2, 3) if value.ndim == 4 else value
    for key, value in state.items()
  }
  return convert(state, vggish.variable_shapes(), _reference_key)
