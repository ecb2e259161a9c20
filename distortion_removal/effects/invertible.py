"""Effects that can be undone: their inverses and log-Jacobians.

All have one form. With u = g x + c, g = 10^(gain / 20) and a curve f that rises
with slope 1 at 0,

    d[n] = f(u[n])
    v[n] = d[n] - d[n-1] + 0.995 v[n-1]      or, without a DC blocker, v = d
    y[n] = scale (dry x[n] + wet v[n]) + offset

The scale and the offset are those of the file: its level after the effect, and
what truncation to integers takes away. What the past does to a sample is one
number, w[n] = 0.995 v[n-1] - d[n-1], which follows

    v = d + w,    w[n+1] = 0.995 w[n] - 0.005 d[n],    w[0] = 0.

So x[n] is found from y[n] and w[n] alone, by solving

    (dry / g) u + wet f(u) = (y - offset) / scale - wet w + dry c / g,

and y is a triangular function of x: its log-Jacobian is the sum over samples of
log(dy / dx) = log(scale (dry + wet g f'(u))).
"""

import functools
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp

from distortion_removal.effects import overdrive, waveshaping
from distortion_removal.effects.dc_blocker import POLE

# Newton's steps; where the curve is steep ones are rare.
_STEPS = 12
# How near to its rails a curve is inverted: half a step of 24 bits or so.
_NEAREST = 1e-7


class Curve(NamedTuple):
  """A curve that rises, concave above zero and convex below.

  Attributes:
    apply: f, which is 0 with slope 1 at 0.
    slope: f'.
    solve: finds u where linear u + wet f(u) = value, from (value, linear, wet).
  """

  apply: Callable[[jax.Array], jax.Array]
  slope: Callable[[jax.Array], jax.Array]
  solve: Callable[[jax.Array, jax.Array, float], jax.Array]


class Invertible(NamedTuple):
  """An effect of the module's form.

  Attributes:
    curve: f.
    dry: the clean signal in the output.
    wet: the curve's output in the output.
    blocks_dc: whether a DC blocker follows the curve.
  """

  curve: Curve
  dry: float
  wet: float
  blocks_dc: bool = False


class Parameters(NamedTuple):
  """What the effect was set to; scalars, or arrays that broadcast.

  Attributes:
    gain: factor before the curve, above 0.
    scale: factor of the output, above 0.
    shift: what is added before the curve, colour / 200 of `overdrive`.
    offset: what is added to the output.
  """

  gain: jax.Array | float
  scale: jax.Array | float = 1.0
  shift: jax.Array | float = 0.0
  offset: jax.Array | float = 0.0


def invert(
  effect: Invertible,
  audio: jax.Array,
  parameters: Parameters,
  state: jax.Array | float = 0.0,
) -> tuple[jax.Array, jax.Array]:
  """Finds the signal that an effect made audio of, exactly.

  Args:
    effect: the effect.
    audio: `[time, ...]`; the other axes and those of the parameters are
      broadcast. The arithmetic has its type.
    parameters: of the effect.
    state: w at the first sample: 0 where the effect began, else what an earlier
      call returned.

  Returns:
    The signal `[time, ...]`, and the state after the last sample.
  """
  gain, scale, shift, offset = parameters
  # A number where there is no dry signal: curves then have another inverse.
  linear = effect.dry / gain if effect.dry else 0.0
  lanes = jnp.broadcast_shapes(
    audio.shape[1:], *(jnp.shape(x) for x in (*parameters, state))
  )
  state = jnp.broadcast_to(jnp.asarray(state, audio.dtype), lanes)

  def drive(sample: jax.Array, state: jax.Array | float) -> jax.Array:
    value = (sample - offset) / scale - effect.wet * state + linear * shift
    return effect.curve.solve(value, linear, effect.wet)

  def undo(state: jax.Array, sample: jax.Array) -> tuple[jax.Array, jax.Array]:
    driven = drive(sample, state)
    after = POLE * state - (1.0 - POLE) * effect.curve.apply(driven)
    return after, (driven - shift) / gain

  if effect.blocks_dc:
    state, signal = jax.lax.scan(undo, state, audio)
  else:
    signal = (drive(audio, 0.0) - shift) / gain
  return signal, state


def slope(
  effect: Invertible, signal: jax.Array, parameters: Parameters
) -> jax.Array:
  """Returns dy / dx of each sample, whose logarithms the log-Jacobian sums."""
  driven = parameters.gain * signal + parameters.shift
  wet = effect.wet * parameters.gain * effect.curve.slope(driven)
  return parameters.scale * (effect.dry + wet)


def _curve(
  apply: Callable[[jax.Array], jax.Array],
  slope_of: Callable[[jax.Array], jax.Array],
  inverse: Callable[[jax.Array], jax.Array],
  rails: tuple[float, float] = (1.0, 1.0),
) -> Curve:
  """Makes a curve whose equation has no solution in closed form.

  Above zero linear u + wet f(u) is concave, and below both (linear + wet) u and
  linear u + wet rail: where these meet the value, u is too small, and Newton's
  method climbs to the root without passing it. Without a linear part `inverse`
  has the root; values at a rail or beyond are taken as close to it.
  """

  def solve(value: jax.Array, linear: jax.Array, wet: float) -> jax.Array:
    rail = jnp.where(value > 0, *rails)
    if isinstance(linear, float) and linear == 0.0:
      nearest = (1.0 - _NEAREST) * rail
      return inverse(jnp.clip(value / wet, -nearest, nearest))
    sign, magnitude = jnp.sign(value), jnp.abs(value)
    root = jnp.maximum(
      magnitude / (linear + wet), (magnitude - wet * rail) / linear
    )
    for _ in range(_STEPS):
      error = linear * root + wet * jnp.abs(apply(sign * root)) - magnitude
      root = root - error / (linear + wet * slope_of(sign * root))
    return sign * root

  return Curve(apply, slope_of, solve)


CUBIC = Curve(
  overdrive.soft_clip, overdrive.soft_clip_slope, overdrive.solve_soft_clip
)
TANH = _curve(jnp.tanh, waveshaping.tanh_slope, jnp.arctanh)
ARCTAN = _curve(
  waveshaping.arctan, waveshaping.arctan_slope, waveshaping.undo_arctan
)
DIODE = _curve(
  *(
    functools.partial(function, rails=waveshaping.DIODE_RAILS)
    for function in (
      waveshaping.diode,
      waveshaping.diode_slope,
      waveshaping.undo_diode,
    )
  ),
  waveshaping.DIODE_RAILS,
)
OVERDRIVE = Invertible(CUBIC, overdrive.DRY, overdrive.WET, blocks_dc=True)
# By name: SoX's overdrive, the package's soft clips, and the same curves under
# the overdrive's share of clean signal.
FAMILY = {
  "overdrive": OVERDRIVE,
  "cubic": Invertible(CUBIC, 0.0, 1.0),
  "tanh": Invertible(TANH, 0.0, 1.0),
  "arctan": Invertible(ARCTAN, 0.0, 1.0),
  "diode": Invertible(DIODE, 0.0, 1.0, blocks_dc=True),
  "cubic_dry": Invertible(CUBIC, overdrive.DRY, overdrive.WET),
  "tanh_dry": Invertible(TANH, overdrive.DRY, overdrive.WET),
  "arctan_dry": Invertible(ARCTAN, overdrive.DRY, overdrive.WET),
  "diode_dry": Invertible(DIODE, overdrive.DRY, overdrive.WET),
}
