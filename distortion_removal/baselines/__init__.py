"""Methods without training that networks are held against, listed by name.

Each is a function `(degraded, clean, *, sample_rate)` to the estimate: two
arrays `[batch, time, channels]` float32 and a rate in Hz to an array of the
same shape. An oracle uses the clean signal, any other method ignores it.
"""

from collections.abc import Callable

import jax

from distortion_removal import errors
from distortion_removal.baselines import ideal_ratio_mask

Baseline = Callable[..., jax.Array]


def _ideal_ratio_mask(
  degraded: jax.Array, clean: jax.Array, *, sample_rate: int
) -> jax.Array:
  """The paper's mask; its frames are 1024 samples at any rate."""
  del sample_rate
  return ideal_ratio_mask.ideal_ratio_mask(degraded, clean)


BASELINES: dict[str, Baseline] = {"ideal_ratio_mask": _ideal_ratio_mask}


def get(name: str) -> Baseline:
  """Returns the baseline called `name`.

  Raises:
    UserError: no baseline has that name; the message lists those there are.
  """
  return errors.look_up(BASELINES, "baseline", name)
