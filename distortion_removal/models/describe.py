"""The costs of a network, counted by tracing it, without running it.

Costs are per second of audio: the difference between two recordings, divided by
that of their lengths. Neither the ends of a recording nor what does not grow
with it (the parameters, copies of them) counts.
"""

import math
from collections.abc import Callable, Iterator
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax.extend import core

from distortion_removal import models

# Length of the shorter recording, and how much longer the other one is: about
# the excerpts of training, because the length decides how `convolve` computes.
_SECONDS, _MORE_SECONDS = 2, 4


def describe(model: nn.Module, *, name: str) -> dict[str, Any]:
  """Describes a network, called `name`, in numbers, ready for JSON.

  Returns:
    `network`: the name;
    `parameters`: their number;
    `sample_rate`: Hz;
    `hop_samples`: moving the input by it moves the output by as much;
    `valid_lengths`: samples that it works on, by the recording's duration;
    `receptive_field_samples`: input samples that an output sample can depend
      on, None for the whole recording;
    `latency_seconds`: how far these reach ahead, None for its whole length;
    `multiply_adds_per_second`: multiply-adds per second of audio in the matrix
      products and convolutions of inference; neither element-wise operations
      nor Fourier transforms are counted;
    `activation_bytes_per_second`: bytes per second of audio that
      differentiation keeps for the backward pass, in the types that the
      network computes in. A compiler may keep less.
  """
  rate, context = model.sample_rate, model.context
  parameters = jax.tree.leaves(_variables(model)["params"])
  return {
    "network": name,
    "parameters": sum(leaf.size for leaf in parameters),
    "sample_rate": rate,
    "hop_samples": model.hop,
    "valid_lengths": {
      f"{seconds} s": model.valid_length(seconds * rate)
      for seconds in (1, 2, 10)
    },
    "receptive_field_samples": context and sum(context) + 1,
    "latency_seconds": context and context[1] / rate,
    "multiply_adds_per_second": _per_second(multiply_adds, model),
    "activation_bytes_per_second": _per_second(_activation_bytes, model),
  }


def layer_table(model: nn.Module) -> str:
  """Tabulates the layers with their parameters and shapes for 1 s of audio."""
  tabulate = nn.tabulate(
    model,
    jax.random.key(0),
    console_kwargs={"force_terminal": False, "width": 120},
    column_kwargs={"overflow": "fold"},
  )
  channels = models.input_channels(model)
  return tabulate(jnp.zeros((1, model.sample_rate, channels)))


def _audio(model: nn.Module, length: int) -> jax.ShapeDtypeStruct:
  return jax.ShapeDtypeStruct(
    (1, length, models.input_channels(model)), jnp.float32
  )


def _variables(model: nn.Module) -> dict[str, Any]:
  # `params` is there even if empty.
  return {"params": {}, **models.variable_shapes(model)}


def _per_second(cost: Callable[[nn.Module, int], int], model: nn.Module) -> int:
  """Returns the growth of `cost(model, length)` with a second of audio."""
  # Whole hops apart, the ends are alike.
  more = math.ceil(_MORE_SECONDS * model.sample_rate / model.hop) * model.hop
  length = _SECONDS * model.sample_rate
  growth = cost(model, length + more) - cost(model, length)
  return round(growth * model.sample_rate / more)


def multiply_adds(model: nn.Module, length: int) -> int:
  """Counts multiply-adds of inference on `length` samples, see `describe`."""
  traced = jax.make_jaxpr(model.apply)(_variables(model), _audio(model, length))
  return _count(traced.jaxpr)


def _count(jaxpr: core.Jaxpr) -> int:
  """Counts multiply-adds of a traced function and all that it calls."""
  total = 0
  for equation in jaxpr.eqns:
    params = equation.params
    inner = [_count(each) for each in _inner(params)]
    match equation.primitive.name:
      case "dot_general":
        left = equation.invars[0].aval.shape
        (contracted, _), _ = params["dimension_numbers"]
        outputs = math.prod(equation.outvars[0].aval.shape)
        total += outputs * math.prod(left[axis] for axis in contracted)
      case "conv_general_dilated":
        # The taps of every input feature of an output's group; only one in so
        # many samples of a dilated input is not zero.
        kernel = equation.invars[1].aval
        features = kernel.shape[params["dimension_numbers"].rhs_spec[0]]
        dilation = math.prod(params["lhs_dilation"])
        outputs = math.prod(equation.outvars[0].aval.shape)
        total += outputs * kernel.size // (features * dilation)
      case "scan":
        total += params["length"] * sum(inner)
      case "cond":
        total += max(inner)
      case _:
        total += sum(inner)
  return total


def _inner(params: dict[str, Any]) -> Iterator[core.Jaxpr]:
  """Yields the functions among an equation's parameters."""
  for leaf in jax.tree.leaves(params):
    leaf = getattr(leaf, "jaxpr", leaf)
    if isinstance(leaf, core.Jaxpr):
      yield leaf


def _activation_bytes(model: nn.Module, length: int) -> int:
  """Counts the bytes kept for the backward pass of `length` samples."""

  def kept(params, state, audio, key):
    def forward(params):
      return model.apply(
        {"params": params, **state},
        audio,
        train=True,
        rngs={"dropout": key},
        mutable=list(state),
      )

    _, pull_back, _ = jax.vjp(forward, params, has_aux=True)
    return jax.tree.leaves(pull_back)

  state = _variables(model)
  params = state.pop("params")
  key = jax.eval_shape(jax.random.key, 0)
  traced = jax.make_jaxpr(kept)(params, state, _audio(model, length), key)
  return sum(
    variable.aval.size * variable.aval.dtype.itemsize
    for variable in _computed(traced.jaxpr)
  )


def _computed(jaxpr: core.Jaxpr) -> set[core.Var]:
  """Returns the outputs computed from inputs: no inputs and no constants."""
  varying = set(jaxpr.invars)
  for equation in jaxpr.eqns:
    operands = (v for v in equation.invars if isinstance(v, core.Var))
    if any(v in varying for v in operands):
      varying.update(equation.outvars)
  outputs = {v for v in jaxpr.outvars if isinstance(v, core.Var)}
  return (outputs & varying) - set(jaxpr.invars)
