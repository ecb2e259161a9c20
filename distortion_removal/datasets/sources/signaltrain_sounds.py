"""Test sounds of the kinds that SignalTrain has, made here: no download.

They probe a nonlinear effect with memory. The kinds, and the levels within
them, are those of Hawley, Colburn and Mimilakis, "SignalTrain: Profiling Audio
Compressors with Deep Neural Networks", AES 147, 2019, and of the code published
with it; what they leave open, and the pitches, are ours. A sound whose peak
exceeds 1 is scaled down to 1; all others keep their level.

An excerpt is a row of sounds. Every draw comes from a generator of its own for
each sound, parameters before noise, so that the same index gives the same
parameters at any sample rate.
"""

import dataclasses
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from scipy import fft

from distortion_removal.datasets.sources.builder import (
  RenderedBuilder,
  RenderedConfig,
  task_configs,
)
from distortion_removal.effects.tasks import TASKS, Task

_SOUND_SECONDS = (0.1, 2.0)
_TOP = 0.45  # highest frequency, as a share of the sample rate


class TimedSound(NamedTuple):
  """A sound's place in an excerpt, and one of `KINDS`."""

  kind: str
  start_s: float
  length_s: float


@dataclasses.dataclass(eq=False)
class SignalTrainSoundsConfig(RenderedConfig):
  """Minutes of sounds to make, for SignalTrain's task."""

  task: Task = TASKS["hard_clip_sdr"]


class SignalTrainSounds(RenderedBuilder):
  """Excerpts of random test sounds: tones, noise, sweeps, steps, mixtures."""

  name = "signaltrain_sounds"
  CONFIG = SignalTrainSoundsConfig
  BUILDER_CONFIGS = task_configs(SignalTrainSoundsConfig)

  @staticmethod
  def render(
    index: int, *, seed: int, sample_rate: int, seconds: float
  ) -> np.ndarray:
    """Makes an excerpt of consecutive sounds, of a peak of at most 1."""
    sounds = compose(index, seed=seed, seconds=seconds)
    audio = np.zeros(round(seconds * sample_rate))
    generators = np.random.default_rng([seed, index, 1]).spawn(len(sounds))
    for sound, rng in zip(sounds, generators, strict=True):
      first = round(sound.start_s * sample_rate)
      time_s = np.arange(round(sound.length_s * sample_rate)) / sample_rate
      samples = KINDS[sound.kind](rng, time_s)
      samples /= max(1.0, np.abs(samples).max())
      audio[first : first + len(samples)] = samples[: len(audio) - first]
    return audio[:, None].astype(np.float32)


def compose(index: int, *, seed: int, seconds: float) -> list[TimedSound]:
  """Draws the sounds of an excerpt: all kinds alike, lengths log-uniform."""
  rng = np.random.default_rng([seed, index, 0])
  sounds, start_s = [], 0.0
  while start_s < seconds:
    kind = str(rng.choice(list(KINDS)))
    length_s = float(np.exp(rng.uniform(*np.log(_SOUND_SECONDS))))
    sounds.append(TimedSound(kind, start_s, length_s))
    start_s += length_s
  return sounds


def _tones(rng, time_s) -> np.ndarray:
  """One or two steady tones."""
  count = rng.integers(1, 3)
  amplitudes = rng.uniform(0.2, 0.9, count)
  return sum(
    amplitude * _sine(time_s, _log_uniform(rng, 20.0, 8000.0), rng.random())
    for amplitude in amplitudes
  )


def _noisy_tones(rng, time_s) -> np.ndarray:
  return _tones(rng, time_s) + _hiss(rng, time_s)


def _pluck(rng, time_s) -> np.ndarray:
  """One to three tones that set in loudly and decay."""
  tones = sum(
    rng.choice((-1.0, 1.0))
    * rng.uniform(0.5, 0.95)
    * _sine(time_s, rng.uniform(50.0, 6400.0), rng.random())
    for _ in range(rng.integers(1, 4))
  )
  since_s = time_s - rng.uniform(0.0, 0.35) * time_s[-1]
  before, peak = rng.uniform(0.1, 0.2), rng.uniform(0.6, 0.95)
  decay = peak * np.exp(-rng.uniform(0.0, 12.0) * np.maximum(since_s, 0.0))
  return tones * np.where(since_s < 0.0, before, decay)


def _noisy_pluck(rng, time_s) -> np.ndarray:
  level = rng.uniform(0.1, 0.4)
  return _pluck(rng, time_s) + level * pink_noise(rng, len(time_s))


def _box(rng, time_s) -> np.ndarray:
  """A step up and a step down again, at once or along a short ramp."""
  low, high, end = rng.uniform((0.0, 0.6, 0.1), (0.15, 0.95, 0.3))
  up = rng.uniform(0.02, 0.3)
  down = up + rng.uniform(0.3, 0.65)
  ramp = rng.choice((0.0, rng.uniform(0.0, 0.02)))
  share = time_s / time_s[-1]
  # np.interp takes the later value where two points coincide.
  points = (up - ramp, up, down, down + ramp)
  return np.interp(share, points, (low, high, high, end))


def _noisy_box(rng, time_s) -> np.ndarray:
  return _box(rng, time_s) + _hiss(rng, time_s)


def _noise_burst(rng, time_s) -> np.ndarray:
  return _box(rng, time_s) * rng.uniform(-1.0, 1.0, len(time_s))


def _level_steps(rng, time_s) -> np.ndarray:
  """A tone that rises from -30 to 0 dB in steps of 1 dB."""
  level_db = np.floor(np.linspace(-30.0, 0.0, len(time_s)))
  tone = _sine(time_s, rng.uniform(400.0, 5000.0), 0.0)
  return 10.0 ** (level_db / 20.0) * tone


def _sweep(rng, time_s) -> np.ndarray:
  """An exponential sweep upwards; one in three grows with its frequency.

  The phase is 2 pi f0 T / ln(f1 / f0) ((f1 / f0)^(t / T) - 1): Farina 2000.
  """
  amplitude = rng.uniform(0.1, 0.9)
  low_hz, high_hz = rng.uniform(20.0, 1000.0), rng.uniform(1000.0, 20000.0)
  grows = rng.random() < 1.0 / 3.0
  high_hz = min(high_hz, _TOP / (time_s[1] - time_s[0]))
  low_hz = min(low_hz, high_hz / 2.0)
  ratio = high_hz / low_hz
  growth = ratio ** (time_s / time_s[-1])
  turns = low_hz * time_s[-1] / np.log(ratio) * (growth - 1.0)
  level = growth / ratio if grows else 1.0
  return amplitude * level * np.sin(2.0 * np.pi * turns)


def _spikes(rng, time_s) -> np.ndarray:
  """Fifty spikes three samples wide, in noise."""
  places, heights = rng.random(50), rng.uniform(-0.7, 0.7, 50)
  level = rng.uniform(0.0, 0.1)
  spikes = np.zeros(len(time_s))
  middle = 1 + (places * (len(time_s) - 2)).astype(int)
  for offset, share in ((-1, 0.5), (0, 1.0), (1, 0.5)):
    spikes[middle + offset] = share * heights
  return spikes + level * rng.standard_normal(len(time_s))


def _triangle(rng, time_s) -> np.ndarray:
  """A ramp up and down, in pink noise."""
  height = rng.choice((-1.0, 1.0)) * rng.uniform(0.4, 0.8)
  half_width, level = rng.uniform(0.01, 0.25), rng.uniform(0.02, 0.12)
  middle = 2.0 * half_width + rng.uniform(0.0, 0.4)
  distance = np.abs(time_s / time_s[-1] - middle) / half_width
  noise = level * pink_noise(rng, len(time_s))
  return height * np.maximum(1.0 - distance, 0.0) + noise


def _noise(rng, time_s) -> np.ndarray:
  return rng.uniform(0.2, 0.8) * pink_noise(rng, len(time_s))


def _mixture(rng, time_s) -> np.ndarray:
  """Half the sum of two of the other kinds."""
  others = [kind for kind in KINDS if kind != "mixture"]
  kinds = rng.choice(others, 2)
  return 0.5 * sum(
    KINDS[kind](part, time_s)
    for kind, part in zip(kinds, rng.spawn(2), strict=True)
  )


KINDS: dict[str, Callable[[np.random.Generator, np.ndarray], np.ndarray]] = {
  "tones": _tones,
  "noisy_tones": _noisy_tones,
  "pluck": _pluck,
  "noisy_pluck": _noisy_pluck,
  "box": _box,
  "noisy_box": _noisy_box,
  "noise_burst": _noise_burst,
  "level_steps": _level_steps,
  "sweep": _sweep,
  "spikes": _spikes,
  "triangle": _triangle,
  "noise": _noise,
  "mixture": _mixture,
}


def pink_noise(rng: np.random.Generator, samples: int) -> np.ndarray:
  """Makes noise of power 1 / frequency: `[time]`, peak 1, mean 0."""
  bins = samples // 2 + 1
  spectrum = rng.standard_normal(bins) + 1j * rng.standard_normal(bins)
  spectrum[0] = 0.0
  spectrum[1:] /= np.sqrt(np.arange(1, bins))
  noise = fft.irfft(spectrum, samples)
  return noise / np.abs(noise).max()


def _hiss(rng, time_s) -> np.ndarray:
  """Some white and some pink noise."""
  white, pink = rng.uniform(0.0, 0.2, 2)
  noise = white * rng.uniform(-1.0, 1.0, len(time_s))
  return noise + pink * pink_noise(rng, len(time_s))


def _sine(time_s, frequency_hz, phase) -> np.ndarray:
  """A sine of peak 1, its phase in turns, below the sample rate's limit."""
  frequency_hz = min(frequency_hz, _TOP / (time_s[1] - time_s[0]))
  return np.sin(2.0 * np.pi * (frequency_hz * time_s + phase))


def _log_uniform(rng, low, high) -> float:
  return float(np.exp(rng.uniform(np.log(low), np.log(high))))
