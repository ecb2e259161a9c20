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

from distortion_removal.common.errors import UserError
from distortion_removal.training import losses
from distortion_removal.training.losses import Loss

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


_SPECTROGRAM_LOSSES = ("l1", "l2")
_OBJECTIVES = {
  "waveform": (waveform, "__call__"),
  "magnitudes": (magnitudes, "magnitudes"),
  "autoencoder": (autoencoder, "autoencode"),
}


def get(name: str, model: nn.Module, loss: str) -> Objective:
  """Returns the objective called `name` for a network.

  Args:
    name: "waveform", "magnitudes" or "autoencoder".
    model: the network.
    loss: as in `config.loss`.

  Raises:
    UserError: there is none of that name, the network has no such output, or
      the loss cannot be taken of it.
  """
  able = {
    key: make
    for key, (make, method) in _OBJECTIVES.items()
    if hasattr(model, method)
  }
  if name not in able:
    raise UserError(
      f"config.objective {name!r}: a {type(model).__name__} can be trained "
      f"on {', '.join(able)}; pre-training is the 'autoencoder'"
    )
  if name == "magnitudes" and loss not in _SPECTROGRAM_LOSSES:
    raise UserError(
      f"config.loss {loss!r} is one of waveforms; with config.objective "
      f"'magnitudes' choose {' or '.join(_SPECTROGRAM_LOSSES)}"
    )
  return able[name](model, losses.get(loss))


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
