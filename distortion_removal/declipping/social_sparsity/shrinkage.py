"""Shrinkage of time-frequency coefficients, each by itself or socially.

A coefficient c shrinks by a gain that depends on an energy E and a threshold
lambda, with x+ = max(x, 0):

    lasso, wgl:  c (1 - lambda / sqrt(E))+
    ew, pew:     c (1 - lambda^2 / E)+

E is |c|^2 for the LASSO and the empirical Wiener (EW); for the windowed group
LASSO (WGL) and the persistent empirical Wiener (PEW) it is the mean of |c|^2
over a neighbourhood of bins and frames, so that a coefficient stays if its
neighbours are large. At all four edges the energies are mirrored, the edge
repeated. (The paper has the sum; the mean, with that lambda over the root of
the neighbourhood's size, is what its authors ran in the survey.)

Source: Kowalski, Siedenburg, Dörfler, "Social sparsity! Neighborhood systems
enrich structured shrinkage operators", IEEE TSP 2013.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp

from distortion_removal.common.errors import UserError, look_up

# Below the square of any coefficient that is heard, above underflow.
_SILENCE = 1e-35

# Whether an operator looks at neighbours, and its gain from lambda^2 / E.
_OPERATORS: dict[str, tuple[bool, Callable[[jax.Array], jax.Array]]] = {
  "lasso": (False, jnp.sqrt),
  "wgl": (True, jnp.sqrt),
  "ew": (False, lambda ratio: ratio),
  "pew": (True, lambda ratio: ratio),
}


class Shrinkage(NamedTuple):
  """One of the operators.

  Attributes:
    operator: `lasso`, `wgl`, `ew` or `pew`.
    neighbourhood: its bins and frames, both odd, for `wgl` and `pew`.
  """

  operator: str = "pew"
  neighbourhood: tuple[int, int] = (3, 7)

  def check(self) -> None:
    """Raises UserError if there is no such operator or neighbourhood."""
    look_up(_OPERATORS, "shrinkage", self.operator)
    size = self.neighbourhood
    if len(size) != 2 or any(n < 1 or n % 2 == 0 for n in size):
      raise UserError(
        f"neighbourhood {size} is not (bins, frames), both odd; give two such "
        "as 3 and 7"
      )

  def __call__(
    self, spectrum: jax.Array, threshold: jax.Array | float
  ) -> jax.Array:
    """Shrinks the coefficients of a real signal.

    Args:
      spectrum: `[frames, bins]` complex, from zero to the Nyquist frequency.
      threshold: lambda, in the coefficients' unit.
    """
    is_social, gain_of = _OPERATORS[self.operator]
    energy = spectrum.real**2 + spectrum.imag**2
    if is_social:
      energy = _neighbourhood_mean(energy, *self.neighbourhood)
    ratio = threshold**2 / jnp.maximum(energy, _SILENCE)
    return spectrum * jnp.maximum(1 - gain_of(ratio), 0)


def _neighbourhood_mean(energy: jax.Array, bins: int, frames: int) -> jax.Array:
  """Averages `[frames, bins]` over rectangles, by shifted additions."""
  count, width = energy.shape
  edges = ((frames // 2,) * 2, (bins // 2,) * 2)

  # Unless told to keep them, XLA computes the sums over frames, and the
  # energies, anew for each of their neighbours.
  keep = jax.lax.optimization_barrier
  padded = keep(jnp.pad(keep(energy), edges, mode="symmetric"))
  energy = keep(sum(padded[i : i + count] for i in range(frames)))
  return sum(energy[:, i : i + width] for i in range(bins)) / (bins * frames)
