"""One channel of an estimate against that of its target, frame by frame.

Samples are at the scale of 16-bit integers. The frames are every 1024 samples
from the first of the file, those that PQevalAudio looks at.
"""

from typing import NamedTuple

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from distortion_removal.metrics.peaq import ear_model, measures
from distortion_removal.metrics.peaq.ear_model import FRAME, HOP
from distortion_removal.metrics.peaq.patterns import Patterns, adapt, patterns

_LOUD_SAMPLES = 5  # samples whose magnitudes must sum to more than ...
_LOUD_SUM = 200.0  # ... this
_SEARCH_STEP = 2044  # PQevalAudio searches file buffers of 2048 samples


class Span(NamedTuple):
  """The frames of a file that are compared; the first warm the filters up."""

  first: int  # frame that counts
  count: int  # frames from the start of the file to the last one that counts


class Reference(NamedTuple):
  """Everything that depends on a channel of the target alone."""

  span: Span
  magnitudes: np.ndarray  # [frames, bins]: 0.4 MB a second
  audible: np.ndarray  # whether a frame has energy
  patterns: Patterns


class Measures(NamedTuple):
  """Measures of one channel in the frames that count, `[frames]` each."""

  bandwidth: np.ndarray  # of target and estimate, [2, frames]; -1 for none
  noise_to_mask: np.ndarray  # mean ratio of the bands
  worst_noise_to_mask: np.ndarray  # largest ratio of the bands
  modulation: np.ndarray  # the two differences, [2, frames]
  modulation_weight: np.ndarray  # weight of the frame in their averages
  noise_loudness: np.ndarray  # partial loudness of the error
  harmonics: np.ndarray  # of the error; -1 in frames without energy
  detection: np.ndarray  # exponent of probability, steps, [2, bands, frames]
  loud: np.ndarray  # whether both signals are louder than 0.1 sone


def find_span(target: np.ndarray) -> Span:
  """Finds the frames from where the target starts to where it ends.

  It starts with the first five samples of a channel that are loud enough. Of
  two channels that start within one buffer of PQevalAudio the later counts,
  which moves the first frame by two at most. The last frame still has half of
  its samples before the end. Where the target `[time, channels]` is too
  short or never loud enough there are none: `count <= first`.
  """
  magnitudes = np.abs(target)
  starts = _starts(magnitudes)
  ends = len(target) - 1 - _starts(magnitudes[::-1])
  if not starts.size:
    return Span(first=0, count=0)
  buffers = starts // _SEARCH_STEP
  first = starts[buffers == buffers.min()].max() // HOP
  return Span(first=int(first), count=int((ends.max() + 1 - HOP) // HOP + 1))


def _starts(magnitudes: np.ndarray) -> np.ndarray:
  """Returns the first sample of every channel that has a loud one."""
  if len(magnitudes) < _LOUD_SAMPLES:
    return np.array([], int)
  total = np.cumsum(magnitudes, axis=0)
  total[_LOUD_SAMPLES:] -= total[:-_LOUD_SAMPLES].copy()
  loud = total[_LOUD_SAMPLES - 1 :] > _LOUD_SUM
  return np.argmax(loud, axis=0)[loud.any(axis=0)]


def frames_of(channel: np.ndarray, span: Span) -> np.ndarray:
  """Cuts `[time]` into frames `[count, 2048]`, with zeros after its end."""
  length = (span.count - 1) * HOP + FRAME
  padding = max(length - len(channel), 0)
  padded = np.pad(channel[:length], (0, padding))
  return sliding_window_view(padded, FRAME)[::HOP]


def analyse_target(channel: np.ndarray, span: Span) -> Reference:
  """Analyses a channel of the target, `[time]`."""
  frames = frames_of(channel, span)
  magnitudes = np.empty((span.count, ear_model.FRAME // 2 + 1))
  excitation = np.empty((ear_model.BANDS, span.count))
  for block in _blocks(span):
    magnitudes[block] = ear_model.magnitudes(frames[block])
    excitation[:, block] = ear_model.excitation(magnitudes[block] ** 2)
  audible = measures.audible(frames)
  return Reference(span, magnitudes, audible, patterns(excitation))


def compare(channel: np.ndarray, reference: Reference) -> Measures:
  """Measures a channel of the estimate, `[time]`."""
  span = reference.span
  frames = frames_of(channel, span)
  audible = reference.audible | measures.audible(frames)
  excitation, noise = np.empty((2, ear_model.BANDS, span.count))
  bandwidth, harmonics = np.empty((2, span.count)), np.empty(span.count)
  for block in _blocks(span):
    magnitudes = ear_model.magnitudes(frames[block])
    wanted = reference.magnitudes[block]
    powers = wanted**2, magnitudes**2
    excitation[:, block] = ear_model.excitation(powers[1])
    noise[:, block] = ear_model.band_energy((wanted - magnitudes) ** 2)
    bandwidth[:, block] = measures.bandwidth(*powers)
    harmonics[block] = measures.error_harmonics(*powers)
  harmonics[~audible] = -1.0
  target, estimate = reference.patterns, patterns(excitation)
  modulations = target.modulation, estimate.modulation
  ratio = measures.noise_to_mask(noise, target)
  loudness = np.minimum(target.loudness, estimate.loudness)
  every_frame = Measures(
    bandwidth=bandwidth,
    noise_to_mask=ratio.mean(axis=0),
    worst_noise_to_mask=ratio.max(axis=0),
    modulation=measures.modulation_difference(*modulations),
    modulation_weight=measures.modulation_weight(target.envelope),
    noise_loudness=measures.noise_loudness(
      *adapt(target, estimate), *modulations
    ),
    harmonics=harmonics,
    detection=measures.detection(target.excitation, estimate.excitation),
    loud=loudness > 0.1,
  )
  return Measures(*(values[..., span.first :] for values in every_frame))


def _blocks(span: Span) -> list[slice]:
  starts = range(0, span.count, ear_model.BLOCK_FRAMES)
  return [slice(k, min(k + ear_model.BLOCK_FRAMES, span.count)) for k in starts]
