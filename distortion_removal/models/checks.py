"""Checks of a network's fields, which name the mistake where it is made."""

import math
from collections.abc import Sequence
from numbers import Integral, Real
from typing import Any

import flax.linen as nn

from distortion_removal.common.errors import UserError


def require(network: nn.Module, name: str, holds: bool, allowed: str) -> None:
  """Refuses the value of the field `name`, unless `holds`.

  Args:
    network: whose field it is.
    name: of the field.
    holds: whether the network can work with its value.
    allowed: the values it can work with, in words.

  Raises:
    UserError: one line with the network, the field, its value and `allowed`.
  """
  if not holds:
    raise UserError(
      f"{type(network).__name__}: {name} is {getattr(network, name)!r}; "
      f"choose {allowed}"
    )


def require_integers(
  network: nn.Module, *names: str, least: int = 1, step: int = 1
) -> None:
  """Refuses fields that are not `least` or a number of `step`s more."""
  for name in names:
    holds = _is_integer(getattr(network, name), least, step)
    series = ", ".join(str(least + i * step) for i in range(3))
    require(network, name, holds, f"one of {series}, ...")


def require_sizes(network: nn.Module, *names: str) -> None:
  """Refuses fields that are not sequences of positive integers."""
  for name in names:
    sizes = getattr(network, name)
    holds = isinstance(sizes, Sequence) and all(map(_is_integer, sizes))
    require(network, name, holds, "positive integers")


def require_number(
  network: nn.Module,
  name: str,
  *,
  least: float = -math.inf,
  above: float = -math.inf,
  below: float = math.inf,
) -> None:
  """Refuses a field outside of the limits, of which only `least` is allowed."""
  value = getattr(network, name)
  holds = isinstance(value, Real) and above < value < below and value >= least
  limits = {"at least": least, "greater than": above, "less than": below}
  words = [f"{k} {v}" for k, v in limits.items() if math.isfinite(v)]
  require(network, name, holds, f"a number {' and '.join(words)}")


def require_choice(
  network: nn.Module, name: str, choices: Sequence[Any]
) -> None:
  """Refuses a field that is none of the `choices`."""
  holds = getattr(network, name) in choices
  require(network, name, holds, " or ".join(map(repr, choices)))


def _is_integer(value: Any, least: int = 1, step: int = 1) -> bool:
  if not isinstance(value, Integral):
    return False
  return value >= least and (value - least) % step == 0
