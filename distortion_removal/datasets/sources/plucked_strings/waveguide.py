"""Strings to audio: a digital waveguide, solved in the frequency domain.

A plucked string is a loop of one period's delay with losses (Karplus and
Strong 1983; Jaffe and Smith 1983), excited through a comb that depends on where
it is plucked and heard through one that depends on where the pickup is
(Karjalainen, Välimäki and Tolonen 1998). The loop's transfer function has a
closed form, so one inverse FFT gives a whole note: fractional delay,
frequency-dependent loss and dispersion cost nothing and are exact.
"""

import math
from typing import NamedTuple

import numpy as np
from scipy import fft, ndimage

_HIGH_HZ = 2000.0
_LOG_1000 = math.log(1000.0)
# What wraps around the end of a note's FFT is this far below its beginning.
_WRAP = 1e-4
# The band limit rings both ways in time: room for what it rings backwards.
_GUARD_S = 0.02


class Pluck(NamedTuple):
  """The physics of one note.

  Positions are fractions of the sounding length, from the bridge. Partials with
  a node where the string is plucked are missing.
  """

  frequency_hz: float  # fundamental of the string, before `inharmonicity`
  t60_low_s: float  # time to fall by 60 dB, as the frequency tends to 0
  t60_high_s: float  # of a partial at 2 kHz, were `t60_low_s` infinite
  pick_position: float
  pick_hz: float  # second-order cutoff: low for a thumb, high for a pick
  pickup_positions: tuple[float, ...]  # several pickups are averaged
  inharmonicity: float = 0.0  # B in f_k = k f0 sqrt(1 + B k²)
  beating_hz: float = 0.0  # distance of the second polarisation from the first
  second_share: float = 0.0  # its amplitude, 0 for a single polarisation


def decay_rate(pluck: Pluck, frequency_hz: np.ndarray) -> np.ndarray:
  """Computes the decay of a partial at `frequency_hz`, in nepers per second.

  sigma(f) = ln(1000) (1 / t60_low + (f / 2 kHz)² / t60_high): the loss of the
  stiff string of Bensa et al. (2003), b1 + b3 (2 pi f)². A partial falls by
  60 dB in ln(1000) / sigma seconds.
  """
  high = np.square(np.asarray(frequency_hz) / _HIGH_HZ) / pluck.t60_high_s
  return _LOG_1000 * (1.0 / pluck.t60_low_s + high)


def pluck_string(
  pluck: Pluck, *, sample_rate: int, seconds: float, band: float = 1.0
) -> np.ndarray:
  """Renders the voltage of one plucked string.

  Y = E C(pick) C(pickup) / (1 - L). L is one turn of the loop: a phase of
  2 pi k, where k(f) is the partial number of the frequency f, and the loss of
  one group delay. C(p) = 1 - L^p, without the loss, is the comb of a point at
  the fraction p. E = 1 / s, lowpassed, is the step that a pluck sends along the
  string. Partial k gets sin(pi k pick) sin(pi k pickup) / k: the velocity of
  the ideal plucked string.

  The FFT makes time circular. Evaluating at s = i omega + extra instead of
  i omega makes the note die out by `_WRAP` in the buffer; multiplying by
  exp(extra t) afterwards undoes it.

  Args:
    pluck: The string.
    sample_rate: In Hz.
    seconds: Length.
    band: Share of the frequencies up to Nyquist to fill: less than 1 for a note
      that `warp` will raise.

  Returns:
    Float64 [time], peak 1.
  """
  length = math.ceil(seconds * sample_rate)
  samples = fft.next_fast_len(length + int(_GUARD_S * sample_rate), real=True)
  extra = -math.log(_WRAP) * sample_rate / samples
  hz = fft.rfftfreq(samples, 1.0 / sample_rate)
  phase, delay_s = _phase_and_delay(pluck, hz)

  def turn(share: float) -> np.ndarray:
    return _polar(-share * extra * delay_s, -share * phase)

  s = 2j * np.pi * hz + extra
  spectrum = (1.0 - turn(pluck.pick_position)) / s
  spectrum /= (1.0 + s / (2.0 * np.pi * pluck.pick_hz)) ** 2
  spectrum *= sum(1.0 - turn(p) for p in pluck.pickup_positions)
  # A smooth limit, from 90 to 100 % of the band.
  edge = np.clip(20.0 * hz / (band * sample_rate) - 9.0, 0.0, 1.0)
  spectrum *= 0.5 + 0.5 * np.cos(np.pi * edge)
  loss = delay_s * (decay_rate(pluck, hz) + extra)
  loop = _polar(-loss, -phase)
  strings = 1.0 / (1.0 - loop)
  if pluck.second_share:
    detuned = phase * (pluck.beating_hz / pluck.frequency_hz)
    loop *= _polar(0.0, detuned)
    strings += pluck.second_share / (1.0 - loop)
  note = fft.irfft(spectrum * strings, samples)[:length]
  note *= np.exp(extra / sample_rate * np.arange(length))
  return note / np.abs(note).max()


def _phase_and_delay(pluck, hz) -> tuple[np.ndarray, np.ndarray]:
  """Solves f = k f0 sqrt(1 + B k²): a turn's phase 2 pi k and delay dk/df."""
  ratio = hz / pluck.frequency_hz
  root = np.sqrt(1.0 + 4.0 * pluck.inharmonicity * ratio**2)
  stretch = np.sqrt(0.5 * (1.0 + root))
  return 2.0 * np.pi * ratio / stretch, stretch / root / pluck.frequency_hz


def _polar(log_magnitude, phase) -> np.ndarray:
  """Computes exp(log_magnitude + i phase), twice as fast as `np.exp`."""
  magnitude = np.exp(log_magnitude)
  out = np.empty(phase.shape, complex)
  np.multiply(magnitude, np.cos(phase), out=out.real)
  np.multiply(magnitude, np.sin(phase), out=out.imag)
  return out


def warp(audio: np.ndarray, semitones: np.ndarray) -> np.ndarray:
  """Reads `audio` at a speed that follows a pitch curve, by cubic splines.

  `semitones` is the pitch change at every output sample; the result is zero
  where `audio` has ended.
  """
  speed = np.exp2(semitones / 12.0)
  place = np.cumsum(speed) - speed[0]
  return ndimage.map_coordinates(audio, place[None], order=3, mode="constant")
