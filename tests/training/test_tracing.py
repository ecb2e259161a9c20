"""Which steps are profiled, and what is written."""

import jax.numpy as jnp
import pytest
from conftest import profiled_steps

from distortion_removal.common.errors import UserError
from distortion_removal.training.tracing import parse, traced


def test_steps_are_named_first_and_last():
  assert list(parse("3:5")) == [3, 4, 5]
  assert list(parse("7")) == [7]
  assert list(parse("")) == []


@pytest.mark.parametrize("text", ["0:3", "5:3", "1:", "a", "-1", "1:2:3"])
def test_what_are_no_steps_is_refused(text):
  with pytest.raises(UserError, match="--trace_steps"):
    parse(text)


@pytest.mark.parametrize(
  ("chosen", "expected"),
  [
    (range(2, 4), {"2", "3"}),
    (range(4, 9), {"4", "5"}),  # The run ends before.
    (range(7, 9), set()),
  ],
)
def test_the_chosen_steps_are_profiled(tmp_path, chosen, expected):
  for number in traced(range(1, 6), chosen, tmp_path):
    jnp.full((), number).block_until_ready()
  assert profiled_steps(tmp_path) == expected
