"""Tone: second-order filters.

The filters are those of Robert Bristow-Johnson's "Audio EQ Cookbook" (W3C
Working Group Note, 2021): analogue prototypes under the bilinear transform.
They multiply the spectrum, which needs no loop over samples and lets each item
have its own numbers. The response is the prototype's at

    s = j tan(w / 2) / tan(w0 / 2),

which equals that of the digital coefficients but, unlike them, loses nothing in
float32 where the corner w0 is low.
"""

import dataclasses
from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp
import numpy as np

from distortion_removal.effects import level

# Samples of silence after the audio, for the filters to ring out.
_TAIL = 8192

# A polynomial in s: the factors of s^2, s and 1.
_Polynomial = tuple[jax.Array | float, jax.Array | float, jax.Array | float]


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Section:
  """A filter of second order. Its numbers are scalars or `[batch]`.

  Attributes:
    kind: one of `KINDS`.
    corner: frequency in Hz divided by the sample rate, above 0 and below 0.5:
      where a shelf has half its gain, the middle of a peak.
    q: quality; 0.7071 is a Butterworth filter, and the steepest shelf that
      does not overshoot.
    gain_db: gain of a shelf or a peak in dB; 0 leaves the audio unchanged.
  """

  kind: str = dataclasses.field(metadata={"static": True})
  corner: jax.Array | float
  q: jax.Array | float = 0.5**0.5
  gain_db: jax.Array | float = 0.0


# The cookbook's numerator and denominator of H(s), from Q and
# A = 10^(gain / 40).
_PROTOTYPES: dict[str, Callable[..., tuple[_Polynomial, _Polynomial]]] = {
  "low_pass": lambda q, _: ((0.0, 0.0, 1.0), (1.0, 1.0 / q, 1.0)),
  "high_pass": lambda q, _: ((1.0, 0.0, 0.0), (1.0, 1.0 / q, 1.0)),
  "peaking": lambda q, a: ((1.0, a / q, 1.0), (1.0, 1.0 / (a * q), 1.0)),
  "low_shelf": lambda q, a: (
    (a, a * (jnp.sqrt(a) / q), a * a),
    (a, jnp.sqrt(a) / q, 1.0),
  ),
  "high_shelf": lambda q, a: (
    (a * a, a * (jnp.sqrt(a) / q), a),
    (1.0, jnp.sqrt(a) / q, a),
  ),
}
KINDS = tuple(_PROTOTYPES)


def equalise(audio: jax.Array, sections: Sequence[Section]) -> jax.Array:
  """Filters `[batch, time, channels]` by the sections one after the other.

  The spectrum is that of the audio and 8192 samples of silence, hence exact
  (-100 dB) as long as a section rings no longer: corner / q of at least
  0.0005, 20 Hz at 44.1 kHz.
  """
  audio = jnp.asarray(audio, jnp.float32)
  if not sections:
    return audio
  time = audio.shape[-2]
  size = _transform_size(time + _TAIL)
  spectrum = jnp.fft.rfft(audio, size, axis=-2)
  for section in sections:
    spectrum *= response(section, size)
  return jnp.fft.irfft(spectrum, size, axis=-2)[..., :time, :]


def response(section: Section, size: int) -> jax.Array:
  """Returns the response at the frequencies of a real FFT of even `size`.

  Its shape is `[size / 2 + 1, 1]`, with `[batch]` in front if the section's
  numbers have it.
  """
  corner, q, gain_db = map(
    level.per_item, (section.corner, section.q, section.gain_db)
  )
  polynomials = _PROTOTYPES[section.kind](q, 10.0 ** (gain_db / 40.0))
  # s = j sine / scale, kept as a fraction: it is infinite at half the rate.
  half = np.linspace(0, np.pi / 2, size // 2 + 1)[:, None]
  sine = np.sin(half).astype(np.float32)
  scale = np.cos(half).astype(np.float32) * jnp.tan(jnp.pi * corner)
  above, below = (
    jax.lax.complex(
      *jnp.broadcast_arrays(
        constant * scale**2 - square * sine**2, linear * scale * sine
      )
    )
    for square, linear, constant in polynomials
  )
  return above / below


def _transform_size(least: int) -> int:
  """Rounds up to an even size with small factors, fast for an FFT."""
  unit = 2 ** max(1, least.bit_length() - 4)
  return -(-least // unit) * unit
