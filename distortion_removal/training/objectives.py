"""Training objectives: losses of waveforms, spectrograms or autoencoding.

An objective is a function `(variables, degraded, clean, key)` that returns the
loss and the variables that change without a gradient (batch statistics).
`variables` are a network's collections, `params` among them; `key` is for
dropout.
"""

from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from distortion_removal.common.errors import UserError
from distortion_removal.training import losses
from distortion_removal.training.losses import Loss

Variables = dict[str, Any]
Objective = Callable[
  [Variables, jax.Array, jax.Array, jax.Array], tuple[jax.Array, Variables]
]


def waveform(model: nn.Module, loss: Loss) -> Objective:
  """Compares the network's estimate with the clean audio."""
  return _supervised(model, loss, "__call__", lambda clean: clean)


def magnitudes(model: nn.Module, loss: Loss) -> Objective:
  """Compares the network's magnitude spectrogram with the clean audio's.

  Open-Unmix is trained like this: neither the phase nor the inverse transform
  is part of the loss.
  """
  return _supervised(model, loss, "magnitudes", model.transform)


def _supervised(
  model: nn.Module,
  loss: Loss,
  method: str,
  transform: Callable[[jax.Array], jax.Array],
) -> Objective:
  def objective(variables, degraded, clean, key):
    estimate, changed = model.apply(
      variables,
      degraded,
      train=True,
      method=method,
      rngs={"dropout": key},
      mutable=[name for name in variables if name != "params"],
    )
    return loss(estimate, transform(clean)), changed

  return objective


def autoencoder(model: nn.Module, loss: Loss) -> Objective:
  """Compares audio with itself after the network's outer layers alone.

  The unsupervised first stage of CRAFx, on degraded and clean audio alike.
  """

  def objective(variables, degraded, clean, key):
    del key
    audio = jnp.concatenate([degraded, clean])
    decoded = model.apply(variables, audio, method="autoencode")
    unchanged = {k: v for k, v in variables.items() if k != "params"}
    return loss(decoded, audio), unchanged

  return objective


_SPECTROGRAM_LOSSES = ("l1", "l2")
# Each with the method that a network must have.
_OBJECTIVES = {
  "waveform": (waveform, "__call__"),
  "magnitudes": (magnitudes, "magnitudes"),
  "autoencoder": (autoencoder, "autoencode"),
}


def create(name: str, model: nn.Module, loss: str) -> Objective:
  """Makes the objective `name`, with the loss that `config.loss` describes.

  Raises:
    UserError: the name is unknown, the network has no such output, or the loss
      is not defined for it.
  """
  possible = {
    key: make
    for key, (make, method) in _OBJECTIVES.items()
    if hasattr(model, method)
  }
  if name not in possible:
    raise UserError(
      f"config.objective {name!r}: a {type(model).__name__} can be trained "
      f"on {', '.join(possible)}; pre-training is the 'autoencoder'"
    )
  if name == "magnitudes" and loss not in _SPECTROGRAM_LOSSES:
    raise UserError(
      f"config.loss {loss!r} compares waveforms; with config.objective "
      f"'magnitudes' choose {' or '.join(_SPECTROGRAM_LOSSES)}"
    )
  return possible[name](model, losses.parse(loss))
