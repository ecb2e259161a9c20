"""The plucked string against the analytic string, by measuring its partials."""

import math

import numpy as np
import pytest

from distortion_removal.datasets.sources.plucked_strings import waveguide

RATE = 16000
# No partial that is measured here has a node under the pick or the pickup.
STRING = waveguide.Pluck(
  frequency_hz=110.0,
  t60_low_s=4.0,
  t60_high_s=3.0,
  pick_position=0.137,
  pick_hz=5000.0,
  pickup_positions=(0.091,),
)


def render(seconds=2.0, **changes):
  string = STRING._replace(**changes)
  return waveguide.pluck_string(string, sample_rate=RATE, seconds=seconds)


def peak_hz(audio, near_hz, width_hz):
  """Largest spectral peak near a frequency, to a small part of a bin."""
  samples = 2**18
  spectrum = np.abs(np.fft.rfft(audio * np.hanning(len(audio)), samples))
  hz = np.arange(len(spectrum)) * RATE / samples
  near = np.flatnonzero(np.abs(hz - near_hz) < width_hz)
  top = near[np.argmax(spectrum[near])]
  left, middle, right = np.log(spectrum[top - 1 : top + 2])
  shift = 0.5 * (left - right) / (left - 2.0 * middle + right)
  return (top + shift) * RATE / samples


def envelope(audio, hz, period_s):
  """Amplitude of one partial: heterodyned, averaged over whole periods."""
  times_s = np.arange(len(audio)) / RATE
  base = audio * np.exp(-2j * np.pi * hz * times_s)
  block = round(8 * period_s * RATE)
  blocks = base[: len(base) // block * block].reshape(-1, block)
  # A window, as the fraction of a sample in a period is not whole.
  window = np.hanning(block)
  return np.abs(blocks @ window), block / RATE


def cents(measured_hz, expected_hz):
  return 1200.0 * math.log2(measured_hz / expected_hz)


@pytest.mark.parametrize("midi", (28, 40, 55, 73, 88))  # E1 to E6
def test_the_pitch_is_the_one_asked_for(midi):
  hz = 440.0 * 2.0 ** ((midi - 69) / 12)
  audio = render(frequency_hz=hz)
  assert abs(cents(peak_hz(audio, hz, 0.4 * hz), hz)) < 1.0


def test_the_partials_are_stretched_by_stiffness():
  stiffness = 4e-4
  audio = render(inharmonicity=stiffness)
  for k in (2, 5, 8, 14):
    expected_hz = k * 110.0 * math.sqrt(1.0 + stiffness * k**2)
    measured_hz = peak_hz(audio, expected_hz, 30.0)
    assert abs(cents(measured_hz, expected_hz)) < 1.0


@pytest.mark.parametrize("hz", [82.4, 659.3])
@pytest.mark.parametrize("partial", [1, 3])
def test_every_partial_decays_in_its_t60(hz, partial):
  audio = render(frequency_hz=hz)
  f = partial * hz
  expected_s = 1.0 / (1.0 / 4.0 + (f / 2000.0) ** 2 / 3.0)
  amplitude, step_s = envelope(audio, f, 1.0 / hz)
  level_db = 20.0 * np.log10(amplitude)
  slope, _ = np.polyfit(np.arange(len(level_db)) * step_s, level_db, 1)
  assert -60.0 / slope == pytest.approx(expected_s, rel=0.02)


def test_the_decay_does_not_depend_on_the_length_of_the_buffer():
  """Time that wrapped around would show up at the end of a short note."""
  short, long = render(seconds=0.3), render(seconds=3.0)
  assert np.abs(short - long[: len(short)]).max() < 1e-3


def test_the_partials_have_the_amplitudes_of_the_ideal_string():
  """sin(pi k pick) sin(pi k pickup) / k, and the lowpass of the pluck."""
  audio = render(t60_low_s=100.0, t60_high_s=1e6)
  k = np.arange(1, 16)
  level = np.array([envelope(audio, 110.0 * n, 1 / 110)[0][2] for n in k])
  expected = np.abs(np.sin(np.pi * k * 0.137) * np.sin(np.pi * k * 0.091)) / k
  expected /= 1.0 + (110.0 * k / 5000.0) ** 2
  error_db = 20.0 * np.log10(level / level[0] / (expected / expected[0]))
  assert np.abs(error_db).max() < 0.1


def test_two_polarisations_beat():
  """Equal amplitudes 2 Hz apart cancel after a quarter of a second."""
  audio = render(second_share=1.0, beating_hz=2.0, seconds=1.0)
  amplitude, step_s = envelope(audio, 111.0, 1 / 110)
  middle_s = (np.arange(len(amplitude)) + 0.5) * step_s
  null = amplitude[np.argmin(np.abs(middle_s - 0.25))]
  whole = amplitude[np.argmin(np.abs(middle_s - 0.5))]
  assert null < 0.2 * whole


@pytest.mark.parametrize("semitones", [-2.0, 0.5, 3.0])
def test_a_bend_arrives_at_its_pitch(semitones):
  audio = render(seconds=3.0)
  bent = waveguide.warp(audio, np.full(RATE * 2, semitones))
  expected_hz = 110.0 * 2.0 ** (semitones / 12)
  assert abs(cents(peak_hz(bent, expected_hz, 20.0), expected_hz)) < 1.0


def test_a_raised_note_does_not_alias():
  """Partials folded at Nyquist would lie half way between the true ones."""
  ratio = 2.0 ** (5.0 / 12.0)
  raised_hz = RATE / 100.5
  string = STRING._replace(frequency_hz=raised_hz / ratio, t60_high_s=50.0)

  def folded(band):
    audio = waveguide.pluck_string(
      string, sample_rate=RATE, seconds=2.0, band=band
    )
    bent = waveguide.warp(audio, np.full(RATE, 5.0)) * np.hanning(RATE)
    hz = np.fft.rfftfreq(RATE, 1.0 / RATE)
    between = (np.abs(hz / raised_hz % 1.0 - 0.5) < 0.1) & (hz > 6000.0)
    return np.sum(np.abs(np.fft.rfft(bent)[between]) ** 2)

  assert folded(1.0 / ratio) < 0.01 * folded(1.0)


def test_a_warp_of_nothing_changes_nothing():
  audio = render(seconds=0.5)
  assert np.allclose(waveguide.warp(audio, np.zeros(8000)), audio, atol=1e-9)
