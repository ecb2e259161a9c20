"""Training losses, listed by name.

Each takes `(estimate, target)`, both `[batch, time, channels]`, and returns
the mean over the batch as a float32 scalar; lower is better. The arithmetic is
float32 whatever the inputs are (a network may compute in bfloat16). Different
shapes raise `ValueError` rather than broadcast.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp

from distortion_removal import errors

# A mean square of -100 dB full scale, under the noise floor of 16-bit audio.
# Added to energies it keeps the logarithms and their gradients finite for
# silence, and stops rewarding errors that nobody can hear.
_FLOOR = 1e-10

Loss = Callable[[jax.Array, jax.Array], jax.Array]


def l1(estimate: jax.Array, target: jax.Array) -> jax.Array:
  """Mean absolute error, mean |e - t|."""
  estimate, target = _float32_pair(estimate, target)
  return jnp.mean(jnp.abs(estimate - target))


def l2(estimate: jax.Array, target: jax.Array) -> jax.Array:
  """Mean square error, mean (e - t)^2."""
  estimate, target = _float32_pair(estimate, target)
  return jnp.mean((estimate - target) ** 2)


def neg_sdr(estimate: jax.Array, target: jax.Array) -> jax.Array:
  """Negative signal-to-distortion ratio in dB, scale included.

      -10 log10((mean t^2 + floor) / (mean (e - t)^2 + floor))

  per item, means over time and channels, floor = 1e-10: `metrics.sdr` with
  the sign turned, where target and error are well above the floor. The loss of
  a silent target is the error's level over the floor.
  """
  estimate, target = _float32_pair(estimate, target)
  return -jnp.mean(_ratio_db(target, estimate - target))


def neg_si_sdr(estimate: jax.Array, target: jax.Array) -> jax.Array:
  """Negative scale-invariant signal-to-distortion ratio in dB.

      -10 log10((mean (a t)^2 + floor) / (mean (e - a t)^2 + floor))
      a = mean e t / (mean t^2 + floor)

  per item, means over time and channels, floor = 1e-10: `metrics.si_sdr`
  (Le Roux et al. 2019) with the sign turned, where target and error are well
  above the floor. It leaves level and polarity of a network's output open.
  """
  estimate, target = _float32_pair(estimate, target)
  scale = _mean(estimate * target) / (_mean(target**2) + _FLOOR)
  scaled = scale[:, None, None] * target
  return -jnp.mean(_ratio_db(scaled, estimate - scaled))


LOSSES: dict[str, Loss] = {
  "l1": l1,
  "l2": l2,
  "neg_sdr": neg_sdr,
  "neg_si_sdr": neg_si_sdr,
}


def get(name: str) -> Loss:
  """Returns the loss called `name`.

  Raises:
    UserError: no loss has that name; the message lists those there are.
  """
  return errors.look_up(LOSSES, "loss", name)


def _float32_pair(
  estimate: jax.Array, target: jax.Array
) -> tuple[jax.Array, jax.Array]:
  if estimate.shape != target.shape:
    raise ValueError(
      f"estimate {estimate.shape} and target {target.shape} differ in shape"
    )
  return estimate.astype(jnp.float32), target.astype(jnp.float32)


def _mean(signal: jax.Array) -> jax.Array:
  return jnp.mean(signal, axis=(-2, -1))


def _ratio_db(signal: jax.Array, noise: jax.Array) -> jax.Array:
  """Energy of signal over noise per item in dB, both raised by the floor."""
  ratio = (_mean(signal**2) + _FLOOR) / (_mean(noise**2) + _FLOOR)
  return 10.0 * jnp.log10(ratio)
