"""What the checks let pass and what they say."""

import flax.linen as nn
import numpy as np
import pytest

from distortion_removal.common.errors import UserError
from distortion_removal.models import checks


class Network(nn.Module):
  """One with a field to check."""

  size: object


def message(check, value, *arguments, **limits):
  """Of the error, or None."""
  try:
    check(Network(value), "size", *arguments, **limits)
  except UserError as error:
    return str(error)


@pytest.mark.parametrize("value", [3, np.int64(5), 99])
def test_odd_integers_pass(value):
  assert message(checks.require_integers, value, least=3, step=2) is None


@pytest.mark.parametrize("value", [1, 4, 3.0, np.nan, "3", None])
def test_anything_else_is_refused(value):
  text = message(checks.require_integers, value, least=3, step=2)
  assert text == f"Network: size is {value!r}; choose one of 3, 5, 7, ..."


def test_sequences_of_sizes():
  for value in ((), (1, 2), [7]):
    checks.require_sizes(Network(value), "size")
  for value in ((1, 0), [1.5], "12", 3, None):
    text = message(checks.require_sizes, value)
    assert text.endswith("; choose positive integers")


def test_limits_of_numbers():
  check = checks.require_number
  for value in (0, 0.5, np.float32(0.9)):
    check(Network(value), "size", least=0, below=1)
  allowed = "; choose a number at least 0 and less than 1"
  for value in (-1e-9, 1.0, np.nan, "0", None):
    assert message(check, value, least=0, below=1).endswith(allowed)
  check(Network(1e-9), "size", above=0)
  for value in (0, np.inf):
    assert message(check, value, above=0).endswith("a number greater than 0")


def test_choices():
  checks.require_choice(Network("b"), "size", ("a", "b"))
  text = message(checks.require_choice, "c", ("a", "b"))
  assert text == "Network: size is 'c'; choose 'a' or 'b'"
