"""What a network costs, found without running it: it is only traced.

Costs are per second of audio: the difference between two recordings, some
seconds apart, over those seconds. Neither the ends of a recording nor what
does not grow with it (the parameters, copies of them) counts.
"""

import math
from collections.abc import Callable, Iterator
from typing import Any

import flax.linen as nn
import flax.traverse_util
import jax
import jax.numpy as jnp
from jax.extend import core

from distortion_removal import models

# The shorter recording and what the longer one has more; about the excerpts
# that networks are trained on, which decides how `convolve` computes.
_SECONDS, _MORE_SECONDS = 2, 4


def describe(model: nn.Module, *, name: str) -> dict[str, Any]:
  """Describes a network in numbers, ready for JSON.

  Args:
    model: any network with the interface that `models` describes.
    name: what to call it.

  Returns:
    `network`: the name;
    `parameters`: their number;
    `sample_rate`: Hz;
    `hop_samples`: moving the input by it moves the output alike;
    `valid_lengths`: samples that it works on, by the recording's duration;
    `receptive_field_samples`: input samples that an output sample can depend
      on, None for the whole recording;
    `latency_seconds`: how far these reach ahead, None for its whole length;
    `multiply_adds_per_second`: of audio, in the matrix products and
      convolutions of inference; neither element-wise operations nor Fourier
      transforms are counted;
    `activation_bytes_per_second`: of audio, what differentiation in training
      keeps for the backward pass, in the types that the network computes in.
      A compiler may keep less.
  """
  rate, context = model.sample_rate, model.context
  return {
    "network": name,
    "parameters": _size(_variables(model)["params"]),
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
  """A table of the layers that have parameters, in the order they are called.

  Args:
    model: as for `describe`.

  Returns:
    Lines of the layer's path in the parameters, the shape it returns for a
    second of audio (batch of one) and its own parameters; the last line is the
    sum. A layer that another one repeats or maps over has no shape.
  """
  shapes = {}

  def record(call, args, kwargs, context):
    output = call(*args, **kwargs)
    if context.method_name == "__call__":
      leaves = jax.tree.leaves(output)
      text = " ".join(str(list(leaf.shape)) for leaf in leaves)
      shapes.setdefault(context.module.path, text)
    return output

  with nn.intercept_methods(record):
    params = _variables(model, model.sample_rate)["params"]
  counts = dict.fromkeys(shapes, 0)
  for path, leaf in flax.traverse_util.flatten_dict(params).items():
    layer = path[:-1] or path  # the network's own stand by themselves
    counts[layer] = counts.get(layer, 0) + leaf.size
  rows = [("layer", "output for 1 s", "own parameters")]
  for path, count in counts.items():
    if count:
      rows.append(("/".join(path), shapes.get(path, ""), f"{count:,}"))
  rows.append(("total", "", f"{_size(params):,}"))
  widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
  return "\n".join(
    f"{layer:{widths[0]}}  {shape:{widths[1]}}  {count:>{widths[2]}}"
    for layer, shape, count in rows
  )


def _audio(model: nn.Module, length: int) -> jax.ShapeDtypeStruct:
  return jax.ShapeDtypeStruct((1, length, model.audio_channels), jnp.float32)


def _variables(model: nn.Module, length: int = 1) -> dict[str, Any]:
  """Shapes of the variables that initialisation on `length` samples makes."""
  return {"params": {}, **models.variable_shapes(model, length)}


def _size(tree: Any) -> int:
  return sum(leaf.size for leaf in jax.tree.leaves(tree))


def _per_second(cost: Callable[[nn.Module, int], int], model: nn.Module) -> int:
  """Growth of `cost(model, length)` with a second of audio."""
  # Whole hops apart, the ends are alike.
  more = math.ceil(_MORE_SECONDS * model.sample_rate / model.hop) * model.hop
  length = _SECONDS * model.sample_rate
  growth = cost(model, length + more) - cost(model, length)
  return round(growth * model.sample_rate / more)


def multiply_adds(model: nn.Module, length: int) -> int:
  """Multiply-adds of inference on one item of `length` samples.

  What counts is said at `describe`.
  """
  traced = jax.make_jaxpr(model.apply)(_variables(model), _audio(model, length))
  return _count(traced.jaxpr)


def _count(jaxpr: core.Jaxpr) -> int:
  """Multiply-adds of a traced function and all that it calls."""
  total = 0
  for equation in jaxpr.eqns:
    params = equation.params
    inner = [_count(each) for each in _inner(params)]
    match equation.primitive.name:
      case "dot_general":
        left = equation.invars[0].aval.shape
        (contracted, _), _ = params["dimension_numbers"]
        terms = math.prod(left[axis] for axis in contracted)
        total += math.prod(equation.outvars[0].aval.shape) * terms
      case "conv_general_dilated":
        total += _count_convolution(equation)
      case "scan":
        total += params["length"] * sum(inner)
      case "cond":
        total += max(inner)
      case _:
        total += sum(inner)
  return total


def _count_convolution(equation: core.JaxprEqn) -> int:
  """An output needs a tap of each input feature of its group."""
  params = equation.params
  kernel = equation.invars[1].aval
  outputs = math.prod(equation.outvars[0].aval.shape)
  features = kernel.shape[params["dimension_numbers"].rhs_spec[0]]
  # Of a dilated input, only one in so many samples is not zero.
  zeros = math.prod(params["lhs_dilation"])
  return outputs * kernel.size // (features * zeros)


def _inner(params: dict[str, Any]) -> Iterator[core.Jaxpr]:
  """The functions among an equation's parameters."""
  for leaf in jax.tree.leaves(params):
    leaf = getattr(leaf, "jaxpr", leaf)
    if isinstance(leaf, core.Jaxpr):
      yield leaf


def _activation_bytes(model: nn.Module, length: int) -> int:
  """Bytes that the backward pass of one item of `length` samples needs."""

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
  """Outputs that are computed from inputs: neither inputs nor constants."""
  varying = set(jaxpr.invars)
  for equation in jaxpr.eqns:
    operands = (v for v in equation.invars if isinstance(v, core.Var))
    if any(v in varying for v in operands):
      varying.update(equation.outvars)
  outputs = {v for v in jaxpr.outvars if isinstance(v, core.Var)}
  return (outputs & varying) - set(jaxpr.invars)
