"""VGGish in PyTorch, as its description is most plainly written down.

The layers are numbered as in the published state dictionary, which
`load_state_dict` therefore takes, and `third_party.import_vggish` ours.
"""

import torch
from torch import nn

_STAGES = ((64,), (128,), (256, 256), (512, 512))


class VGGish(nn.Module):
  """Maps patches `[batch, 96, 64]` to embeddings `[batch, 128]`, no last ReLU.

  Freshly initialised.
  """

  def __init__(self):
    super().__init__()
    layers, inputs = [], 1
    for stage in _STAGES:
      for features in stage:
        layers += [nn.Conv2d(inputs, features, 3, padding=1), nn.ReLU()]
        inputs = features
      layers.append(nn.MaxPool2d(2))
    self.features = nn.Sequential(*layers)
    self.embeddings = nn.Sequential(
      nn.Linear(6 * 4 * 512, 4096),
      nn.ReLU(),
      nn.Linear(4096, 4096),
      nn.ReLU(),
      nn.Linear(4096, 128),
    )

  def forward(self, patches: torch.Tensor) -> torch.Tensor:
    """Applies the network; channels come last where it flattens."""
    features = self.features(patches[:, None])
    return self.embeddings(features.permute(0, 2, 3, 1).flatten(1))
