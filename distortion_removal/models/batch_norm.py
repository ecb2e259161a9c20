"""Batch normalisation whose statistics are shared by all devices.

S. Ioffe, C. Szegedy, "Batch Normalization: Accelerating Deep Network Training
by Reducing Internal Covariate Shift", 2015, with the conventions of
`torch.nn.BatchNorm1d`.
"""

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import lax

_EPSILON = 1e-5


class BatchNorm(nn.Module):
  """Normalises every feature by its mean and variance, over all other axes.

  In training they are the batch's, and the running ones in the collection
  `batch_stats` (`mean`, `var`) move towards them by `momentum`; otherwise the
  running ones are taken. As PyTorch has it, the batch is normalised by the
  biased variance, while the running variance takes the unbiased one. The
  parameters are `scale` and `bias`. All of it is float32, whatever the input.

  Attributes:
    momentum: weight of the new batch in the running statistics.
    axis_name: mapped axis of devices, equally loaded, that make up one batch
      together in training; None: every device is on its own.
  """

  momentum: float = 0.1
  axis_name: str | None = None

  @nn.compact
  def __call__(self, x: jax.Array, train: bool = False) -> jax.Array:
    """Maps `[..., features]` to the same shape and type."""
    features = x.shape[-1]
    scale = self.param("scale", nn.initializers.ones, (features,))
    bias = self.param("bias", nn.initializers.zeros, (features,))
    running = (
      self.variable("batch_stats", "mean", jnp.zeros, (features,)),
      self.variable("batch_stats", "var", jnp.ones, (features,)),
    )
    mean, var = (statistic.value for statistic in running)
    if train and not self.is_initializing():
      mean, var, unbiased = self._statistics(x.astype(jnp.float32))
      for statistic, new in zip(running, (mean, unbiased), strict=True):
        old = statistic.value
        statistic.value = (1 - self.momentum) * old + self.momentum * new
    factor = scale * lax.rsqrt(var + _EPSILON)
    return ((x - mean) * factor + bias).astype(x.dtype)

  def _statistics(self, x: jax.Array) -> tuple[jax.Array, ...]:
    """Mean, variance and unbiased variance over all devices."""
    axes = tuple(range(x.ndim - 1))
    count = x.size // x.shape[-1]
    if self.axis_name is not None:
      count *= lax.psum(1, self.axis_name)
    mean = self._average(x.mean(axes))
    # Deviations from the common mean: no difference of large squares.
    var = self._average(jnp.square(x - mean).mean(axes))
    return mean, var, var * (count / max(count - 1, 1))

  def _average(self, x: jax.Array) -> jax.Array:
    return x if self.axis_name is None else lax.pmean(x, self.axis_name)
