"""AC coupling after clipping: how fast tops tilt, and the signal before it.

A first-order high-pass makes a held level decay towards zero, in each flat top
by the same share for each sample. Its inverse makes the tops level again.
"""

import numpy as np
import scipy.signal

from distortion_removal.declipping.plateaus.flat_tops import FlatTops

_LEAST_TOPS = 12
_LEAST_SAMPLES = 8
_LARGEST_DECAY = 0.05  # for each sample
_AGREEMENT = 0.3  # quartiles' distance, in units of the decay
# The inverse of a high-pass integrates; offsets would add up for ever.
_LEAK = 0.02


def decays(tops: FlatTops) -> np.ndarray:
  """Returns the decay for each sample of the tops that are long enough."""
  long = tops.where((tops.size >= _LEAST_SAMPLES) & (tops.level != 0))
  return -long.tilt / long.level


def common_decay(decay: np.ndarray) -> float:
  """Returns the decay that tops share; 0 if they do not."""
  if len(decay) < _LEAST_TOPS:
    return 0.0
  low, middle, high = np.quantile(decay, (0.25, 0.5, 0.75))
  is_shared = 0 < middle < _LARGEST_DECAY and high - low < _AGREEMENT * middle
  return float(middle) if is_shared else 0.0


def undo_coupling(
  block: np.ndarray,
  decay: np.ndarray,
  centre: np.ndarray,
  states: list[np.ndarray],
) -> np.ndarray:
  """Returns a block `[time, channels]` about its centre, with level tops.

  Args:
    block: of the recording, after the one of the last call.
    decay: of each channel, 0 where there is none.
    centre: of each channel.
    states: of the channels' filters, changed; zeros at first.
  """
  block = np.asarray(block, np.float64) - centre
  for k in np.flatnonzero(decay):
    b, a = [1.0, decay[k] - 1.0], [1.0, _LEAK * decay[k] - 1.0]
    level, states[k] = scipy.signal.lfilter(b, a, block[:, k], zi=states[k])
    block[:, k] = level
  return block
