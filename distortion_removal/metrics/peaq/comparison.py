"""Frame by frame: one channel of an estimate against that of its target."""

import dataclasses

import numpy as np

from distortion_removal.metrics.peaq import ear_model, measures
from distortion_removal.metrics.peaq.framing import Span, frames_of
from distortion_removal.metrics.peaq.patterns import Patterns, adapt, patterns

_LEAST_LOUDNESS_SONE = 0.1


@dataclasses.dataclass(frozen=True)
class Reference:
  """What depends on a channel of the target alone.

  Attributes:
    span: the frames to compare.
    magnitudes: their spectra, `[frames, bins]`: 0.4 MB a second.
    audible: which frames have energy, `[frames]`.
    patterns: its patterns.
  """

  span: Span
  magnitudes: np.ndarray
  audible: np.ndarray
  patterns: Patterns


@dataclasses.dataclass(frozen=True)
class Measures:
  """Measures of one channel in the frames that count, `[frames]` each.

  Attributes:
    bandwidth: of target and estimate, `[2, frames]`; -1 where there is none.
    noise_to_mask: the mean over the bands.
    worst_noise_to_mask: the largest over the bands.
    modulation: the two modulation differences, `[2, frames]`.
    modulation_weight: how much a frame counts in their averages.
    noise_loudness: partial loudness of the error.
    harmonics: of the error; -1 in frames without energy.
    detection: exponent of the probability and steps, `[2, bands, frames]`.
    loud: whether both signals are louder than 0.1 sone.
  """

  bandwidth: np.ndarray
  noise_to_mask: np.ndarray
  worst_noise_to_mask: np.ndarray
  modulation: np.ndarray
  modulation_weight: np.ndarray
  noise_loudness: np.ndarray
  harmonics: np.ndarray
  detection: np.ndarray
  loud: np.ndarray


def analyse_target(channel: np.ndarray, span: Span) -> Reference:
  """Analyses `[time]` at the scale of 16-bit integers."""
  frames = frames_of(channel, span)
  magnitudes = np.empty((span.count, ear_model.FRAME // 2 + 1))
  excitation = np.empty((ear_model.BANDS, span.count))
  for block in _blocks(span):
    magnitudes[block] = ear_model.magnitudes(frames[block])
    excitation[:, block] = ear_model.excitation(magnitudes[block] ** 2)
  audible = measures.audible(frames)
  return Reference(span, magnitudes, audible, patterns(excitation))


def compare(channel: np.ndarray, reference: Reference) -> Measures:
  """Measures a channel of the estimate, `[time]` at the same scale."""
  span = reference.span
  frames = frames_of(channel, span)
  audible = reference.audible | measures.audible(frames)
  excitation, noise = np.empty((2, ear_model.BANDS, span.count))
  target_band, estimate_band, harmonics = np.empty((3, span.count))
  for block in _blocks(span):
    magnitudes = ear_model.magnitudes(frames[block])
    target = reference.magnitudes[block]
    powers = target**2, magnitudes**2
    excitation[:, block] = ear_model.excitation(powers[1])
    noise[:, block] = ear_model.band_energy((target - magnitudes) ** 2)
    target_band[block], estimate_band[block] = measures.bandwidth(*powers)
    harmonics[block] = measures.error_harmonics(*powers)
  harmonics[~audible] = -1.0
  estimate = patterns(excitation)
  spectral = target_band, estimate_band, harmonics
  return _measures(spectral, noise, reference.patterns, estimate, span.first)


def _measures(
  spectral: tuple[np.ndarray, np.ndarray, np.ndarray],
  noise: np.ndarray,
  target: Patterns,
  estimate: Patterns,
  first: int,
) -> Measures:
  """What there is to measure, without the frames before `first`."""
  modulations = target.modulation, estimate.modulation
  ratio = measures.noise_to_mask(noise, target)
  loudness = np.minimum(target.loudness, estimate.loudness)
  found = Measures(
    bandwidth=np.stack(spectral[:2]),
    noise_to_mask=ratio.mean(axis=0),
    worst_noise_to_mask=ratio.max(axis=0),
    modulation=np.stack(measures.modulation_difference(*modulations)),
    modulation_weight=measures.modulation_weight(target.envelope),
    noise_loudness=measures.noise_loudness(
      *adapt(target, estimate), *modulations
    ),
    harmonics=spectral[2],
    detection=np.stack(
      measures.detection(target.excitation, estimate.excitation)
    ),
    loud=loudness > _LEAST_LOUDNESS_SONE,
  )
  fields = dataclasses.fields(Measures)
  return Measures(*(getattr(found, x.name)[..., first:] for x in fields))


def _blocks(span: Span) -> list[slice]:
  starts = range(0, span.count, ear_model.BLOCK_FRAMES)
  return [slice(k, min(k + ear_model.BLOCK_FRAMES, span.count)) for k in starts]
