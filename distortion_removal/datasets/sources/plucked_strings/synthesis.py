"""Notes to audio: an instrument, its pickup, and one excerpt of playing.

Every excerpt has its own instrument, player and level, all of them a function
of the seed and the index alone. There is no nonlinear step anywhere: what comes
out is the clean signal of a direct input.
"""

from typing import NamedTuple

import numpy as np
from scipy import fft

from distortion_removal.datasets.sources.plucked_strings import (
  playing,
  waveguide,
)

_GUITAR = (40, 45, 50, 55, 59, 64)
_BASS = (28, 33, 38, 43)
# A string under the palm: T60 at low frequencies and of a partial at 2 kHz.
_MUTED_T60_S, _MUTED_T60_HIGH_S = 0.5, 0.12


class Instrument(NamedTuple):
  """An instrument and its setting up, the same through an excerpt.

  Positions are fractions of the open string, from the bridge.
  """

  open_midi: tuple[float, ...]  # pitches of the open strings, lowest first
  sustain_s: float  # T60 of the fundamental of a 110 Hz string
  t60_high_s: float  # as in `waveguide.Pluck`, for an unmuted string
  pick_position: float  # of the hand's plucks, on average
  pick_hz: float  # as in `waveguide.Pluck`, for a note of 0 dB
  pickup_positions: tuple[float, ...]  # one pickup, or two that are averaged
  resonance_hz: float  # resonance of the pickup's coil with the cable
  resonance_q: float
  tone_hz: float  # first-order cutoff of the tone knob
  stop_t60_s: float  # T60 of a string that the finger stops
  scratch_db: float  # noise of the pick on the string, relative to the note


def render(
  index: int, *, seed: int, sample_rate: int, seconds: float
) -> np.ndarray:
  """Plays one excerpt of a clean electric guitar, baritone or bass.

  Args:
    index: Number of the excerpt; each is independent of all others.
    seed: Chooses the whole collection.
    sample_rate: In Hz.
    seconds: Length.

  Returns:
    Float32 [time, 1], peak between -20 and -1 dBFS (within the noise floor).
  """
  # Two generators, so that the playing does not depend on the sample rate.
  rng, noise_rng = np.random.default_rng([seed, index]).spawn(2)
  instrument = draw_instrument(rng)
  notes = playing.compose(rng, instrument.open_midi, seconds)
  audio = np.zeros(round(seconds * sample_rate))
  for note in notes:
    first = round(note.start_s * sample_rate)
    sound = _play(rng, instrument, note, sample_rate, seconds)
    scratch = _scratch(noise_rng, instrument, note, sample_rate)
    _add(audio, sound, first)
    _add(audio, scratch, first)
  for _ in range(noise_rng.poisson(0.06 * seconds)):
    first = int(noise_rng.uniform(0.0, seconds) * sample_rate)
    _add(audio, _squeak(noise_rng, sample_rate), first)
  audio = pickup(audio, instrument, sample_rate=sample_rate)
  peak_db = -1.0 - 19.0 * rng.random() ** 2
  audio *= 10.0 ** (peak_db / 20.0) / np.abs(audio).max()
  audio += _noise_floor(noise_rng, len(audio), sample_rate)
  return audio[:, None].astype(np.float32)


def draw_instrument(rng: np.random.Generator) -> Instrument:
  """Draws an instrument: guitar, baritone or bass, and how it is set up."""
  kind = rng.choice(("guitar", "baritone", "bass"), p=(0.66, 0.12, 0.22))
  tuning = {
    "guitar": np.add(_GUITAR, rng.choice((0, 0, 0, -1, -2))),
    "baritone": np.add(_GUITAR, rng.choice((-5, -7))),
    "bass": np.add(_BASS, rng.choice((0, 0, -2, -5))),
  }[kind]
  bridge, neck = rng.uniform(0.06, 0.11), rng.uniform(0.18, 0.27)
  pickups = ((bridge,), (neck,), (bridge, neck))
  return Instrument(
    open_midi=tuple((tuning + rng.normal(0.0, 0.04, len(tuning))).tolist()),
    sustain_s=rng.uniform(5.0, 15.0),
    t60_high_s=_log_uniform(rng, 0.7, 8.0),
    pick_position=rng.uniform(0.05, 0.3),
    pick_hz=_log_uniform(rng, 1500.0, 15000.0),
    pickup_positions=pickups[rng.integers(3)],
    resonance_hz=_log_uniform(rng, 2500.0, 8000.0),
    resonance_q=rng.uniform(0.7, 3.0),
    tone_hz=_log_uniform(rng, 1500.0, 40000.0),
    stop_t60_s=_log_uniform(rng, 0.08, 0.8),
    scratch_db=rng.uniform(-50.0, -24.0),
  )


def pickup(
  audio: np.ndarray, instrument: Instrument, *, sample_rate: int
) -> np.ndarray:
  """Filters [time] by the pickup's coil, the tone knob and the input's 25 Hz.

  The analogue responses are applied to the spectrum, so that they do not depend
  on the sample rate: a second-order lowpass that resonates, a first-order
  lowpass and a first-order highpass.
  """
  samples = fft.next_fast_len(len(audio) + sample_rate // 4, real=True)
  s = 2j * np.pi * fft.rfftfreq(samples, 1.0 / sample_rate)
  coil = s / (2.0 * np.pi * instrument.resonance_hz)
  response = 1.0 / (1.0 + coil / instrument.resonance_q + coil**2)
  response /= 1.0 + s / (2.0 * np.pi * instrument.tone_hz)
  response *= s / (s + 2.0 * np.pi * 25.0)
  return fft.irfft(fft.rfft(audio, samples) * response, samples)[: len(audio)]


def _add(audio, sound, first) -> None:
  """Adds to `audio`, in place, the part of `sound` that lies inside it."""
  sound = sound[max(-first, 0) : max(len(audio) - first, 0)]
  first = max(first, 0)
  audio[first : first + len(sound)] += sound


def _log_uniform(rng, low, high) -> float:
  return float(np.exp(rng.uniform(np.log(low), np.log(high))))


def _play(rng, instrument, note, sample_rate, seconds) -> np.ndarray:
  """Plays the string of one note, [time], until a finger has stopped it."""
  sounding_s = min(note.duration_s, seconds - note.start_s)
  length_s = sounding_s + instrument.stop_t60_s
  times_s = np.arange(int(length_s * sample_rate)) / sample_rate
  curve = _pitch_curve(note, times_s)
  fastest = 2.0 ** (max(curve.max(initial=0.0), 0.0) / 12.0)
  sound = waveguide.pluck_string(
    _pluck(rng, instrument, note),
    sample_rate=sample_rate,
    seconds=length_s * fastest + 0.01,
    band=1.0 / fastest,
  )
  if curve.any():
    sound = waveguide.warp(sound, curve)
  stopped = np.maximum(times_s - sounding_s, 0.0) / instrument.stop_t60_s
  return sound[: len(times_s)] * 10.0 ** (note.level_db / 20.0 - 3.0 * stopped)


def _pluck(rng, instrument, note) -> waveguide.Pluck:
  """Derives a note's physics: frets shorten the string, a palm damps it."""
  frequency_hz = 440.0 * 2.0 ** ((note.midi - 69.0) / 12.0)
  shortening = 2.0 ** ((note.midi - instrument.open_midi[note.string]) / 12.0)
  t60_s = instrument.sustain_s * np.sqrt(110.0 / frequency_hz)
  t60_s *= rng.lognormal(0.0, 0.2)
  position = instrument.pick_position * rng.lognormal(0.0, 0.15)
  return waveguide.Pluck(
    frequency_hz=frequency_hz,
    t60_low_s=_between(t60_s, _MUTED_T60_S, note.mute),
    t60_high_s=_between(instrument.t60_high_s, _MUTED_T60_HIGH_S, note.mute),
    pick_position=min(position * shortening, 0.5),
    pick_hz=instrument.pick_hz * 10.0 ** (note.level_db / 25.0),
    pickup_positions=tuple(p * shortening for p in instrument.pickup_positions),
    inharmonicity=3e-5 * shortening**2,
    beating_hz=rng.uniform(0.1, 1.5),
    second_share=rng.uniform(0.1, 0.6),
  )


def _between(start, end, share) -> float:
  """Interpolates geometrically."""
  return start ** (1.0 - share) * end**share


def _pitch_curve(note, times_s) -> np.ndarray:
  """Returns bend or slide, and vibrato, in semitones at `times_s`."""
  if not (note.bend_semitones or note.vibrato_semitones):
    return np.zeros(len(times_s))
  ramp = np.clip((times_s - note.bend_start_s) / note.bend_s, 0.0, 1.0)
  curve = note.bend_semitones * ramp**2 * (3.0 - 2.0 * ramp)
  swell = np.clip(times_s - note.bend_start_s - 0.15, 0.0, 0.4) / 0.4
  vibrato = 0.5 - 0.5 * np.cos(2.0 * np.pi * note.vibrato_hz * times_s)
  return curve + note.vibrato_semitones * swell * vibrato


def _scratch(rng, instrument, note, sample_rate) -> np.ndarray:
  """Renders milliseconds of noise as the pick leaves the string."""
  times_s = np.arange(int(0.03 * sample_rate)) / sample_rate
  level_db = note.level_db + instrument.scratch_db + rng.normal(0.0, 3.0)
  noise = rng.standard_normal(len(times_s)) * np.exp(-times_s / 0.004)
  return 10.0 ** (level_db / 20.0) * noise


def _squeak(rng, sample_rate) -> np.ndarray:
  """Renders a finger on a wound string: a noisy, gliding whistle."""
  seconds = rng.uniform(0.05, 0.2)
  share = np.linspace(0.0, 1.0, int(seconds * sample_rate), endpoint=False)
  hz = rng.uniform(800.0, 2500.0) * (1.0 + rng.uniform(-0.4, 0.4) * share)
  roughness = np.cumsum(rng.standard_normal(len(share))) * 0.2
  phase = 2.0 * np.pi * np.cumsum(hz) / sample_rate + roughness
  level_db = rng.uniform(-50.0, -28.0)
  return 10.0 ** (level_db / 20.0) * np.sin(np.pi * share) * np.sin(phase)


def _noise_floor(rng, samples, sample_rate) -> np.ndarray:
  """Renders hiss, and the mains with its odd harmonics."""
  hiss_db, hum_db = rng.uniform(-100.0, -62.0), rng.uniform(-100.0, -62.0)
  noise = 10.0 ** (hiss_db / 20.0) * rng.standard_normal(samples)
  turn = 2.0 * np.pi * rng.choice((50.0, 60.0)) / sample_rate
  for harmonic in (1, 3, 5, 7):
    phase = harmonic * turn * np.arange(samples) + rng.uniform(0.0, 2.0 * np.pi)
    noise += 10.0 ** (hum_db / 20.0) / harmonic * np.sin(phase)
  return noise
