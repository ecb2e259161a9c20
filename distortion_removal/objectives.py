"""What training compares: waveforms, spectrograms, or an auto-encoder's ends.

An objective is a function `(variables, degraded, clean, key)` to the loss and
the variables that change without a gradient (batch statistics). `variables`
are a network's collections, `params` among them; `key` is for dropout.
"""

from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from distortion_removal.errors import UserError
from distortion_removal.losses import Loss

Variables = dict[str, Any]
Objective = Callable[
  [Variables, jax.Array, jax.Array, jax.Array], tuple[jax.Array, Variables]
]


def waveform(model: nn.Module, loss: Loss) -> Objective:
  """The network's estimate against the clean audio."""

  def objective(variables, degraded, clean, key):
    estimate, changed = _apply(model, variables, degraded, key)
    return loss(estimate, clean), changed

  return objective


def magnitudes(model: nn.Module, loss: Loss) -> Objective:
  """The spectrogram that the network estimates against the clean audio's.

  As Open-Unmix is trained: no phase, and no transform back, in the loss.
  """

  def objective(variables, degraded, clean, key):
    estimate, changed = _apply(
      model, variables, degraded, key, method="magnitudes"
    )
    return loss(estimate, model.transform(clean)), changed

  return objective


def autoencoder(model: nn.Module, loss: Loss) -> Objective:
  """Audio through the network's outer layers alone against itself.

  The unsupervised first stage of CRAFx, on degraded and clean audio alike.
  """

  def objective(variables, degraded, clean, key):
    del key
    audio = jnp.concatenate([degraded, clean])
    decoded = model.apply(variables, audio, method="autoencode")
    changed = {k: v for k, v in variables.items() if k != "params"}
    return loss(decoded, audio), changed

  return objective


_OBJECTIVES = {
  "waveform": (waveform, "__call__"),
  "magnitudes": (magnitudes, "magnitudes"),
  "autoencoder": (autoencoder, "autoencode"),
}


def get(name: str, model: nn.Module, loss: Loss) -> Objective:
  """Returns the objective called `name` for a network.

  Raises:
    UserError: there is none of that name, or the network has no such output.
  """
  able = {
    key: make
    for key, (make, method) in _OBJECTIVES.items()
    if hasattr(model, method)
  }
  if name not in able:
    raise UserError(
      f"a {type(model).__name__} cannot be trained on {name!r}; choose one "
      f"of: {', '.join(able)}"
    )
  return able[name](model, loss)


def _apply(
  model: nn.Module,
  variables: Variables,
  audio: jax.Array,
  key: jax.Array,
  method: str | None = None,
) -> tuple[jax.Array, Variables]:
  """The output in training, and the collections that it updates."""
  return model.apply(
    variables,
    audio,
    train=True,
    method=method,
    rngs={"dropout": key},
    mutable=[name for name in variables if name != "params"],
  )
