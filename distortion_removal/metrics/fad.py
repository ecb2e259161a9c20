"""FAD, the Fréchet audio distance, as the two pipelines in use compute it.

K. Kilgour, M. Zuluaga, D. Roblek, M. Sharifi, "Fréchet Audio Distance: A
Metric for Evaluating Music Enhancement Algorithms", Interspeech 2019 (arXiv
1812.08466): the Fréchet distance between the Gaussians of VGGish's embeddings
of two sets of recordings. Neither pipeline applies VGGish's PCA or
quantisation. Numbers of the two do not compare, and both depend on the number
of windows N: `len(embed(audio, ...))`, to be reported with the distance.

What differs from the programs: they leave resampling to the user (Google's) or
to resampy, here it is soxr. Google's reads 16-bit WAV as integers, for which
its limit of 20 dB on the normalising gain never holds; here it holds.

The weights are looked for in `vggish_weights.default_path()`; all functions
take others as `variables`, such as `vggish.random_variables(seed)` for tests.
"""

import dataclasses
import functools
from typing import Any

import numpy as np

from distortion_removal.metrics import frechet, log_mel


@dataclasses.dataclass(frozen=True)
class Pipeline:
  """How recordings become embeddings.

  Attributes:
    hop_frames: frames of 10 ms from one patch to the next.
    span: samples at 16 kHz that must follow the start of a patch.
    peak_normalised: see `log_mel.patches`.
    last_relu: whether embeddings are after the last layer's ReLU.
  """

  hop_frames: int
  span: int
  peak_normalised: bool
  last_relu: bool


# `frechet_audio_distance` in google-research/google-research: windows of a
# full second every half, of which 96 of 98 frames count; the peak is the
# largest sample, not the largest magnitude. Its VGGish is that of its day,
# whose embedding has a ReLU; tensorflow/models has since left it out.
GOOGLE = Pipeline(
  hop_frames=50, span=16_000, peak_normalised=True, last_relu=True
)
# gudgud96/frechet-audio-distance by default, over harritaylor/torchvggish.
PYTORCH = Pipeline(
  hop_frames=log_mel.PATCH_FRAMES,
  span=log_mel.PATCH_SPAN,
  peak_normalised=False,
  last_relu=False,
)


def embed(
  audio: np.ndarray, *, sample_rate: int, variables: Any = None
) -> np.ndarray:
  """VGGish's embeddings of recordings by Google's pipeline, two a second.

  Args:
    audio: `[batch, time, channels]`; recordings shorter than a window (1 s;
      0.975 s for the PyTorch tools), or with NaN or infinite samples, have
      none: see `log_mel.patches`.
    sample_rate: in Hz.
    variables: VGGish's; None: the published ones, loaded once.

  Returns:
    `[windows, 128]` float32.

  Raises:
    UserError: the weights are missing or damaged.
  """
  return _embed(audio, sample_rate, GOOGLE, variables)


def embed_pytorch(
  audio: np.ndarray, *, sample_rate: int, variables: Any = None
) -> np.ndarray:
  """VGGish's embeddings by the PyTorch tools' pipeline, one every 0.96 s.

  Arguments, result and errors are those of `embed`.
  """
  return _embed(audio, sample_rate, PYTORCH, variables)


def fad(
  estimate: np.ndarray,
  target: np.ndarray,
  *,
  sample_rate: int,
  variables: Any = None,
) -> np.ndarray:
  """Fréchet audio distance by Google's pipeline (lower is better).

  Args:
    estimate: `[batch, time, channels]`.
    target: of the same shape, or with a batch of one.
    sample_rate: in Hz.
    variables: see `embed`.

  Returns:
    `[1]` float64, one number of at least 0 for the whole batch; NaN if either
    side has fewer than two windows. A log warning says so, with N, where the
    windows are too few for a covariance of full rank (128 or fewer).

  Raises:
    UserError: the weights are missing or damaged.
    ValueError: the shapes do not fit.
  """
  transform = functools.partial(
    embed, sample_rate=sample_rate, variables=variables
  )
  return frechet.distance_of_audio(transform, estimate, target)


def fad_pytorch(
  estimate: np.ndarray,
  target: np.ndarray,
  *,
  sample_rate: int,
  variables: Any = None,
) -> np.ndarray:
  """Fréchet audio distance by the PyTorch tools' pipeline (lower is better).

  Arguments, result and errors are those of `fad`.
  """
  transform = functools.partial(
    embed_pytorch, sample_rate=sample_rate, variables=variables
  )
  return frechet.distance_of_audio(transform, estimate, target)


def _embed(
  audio: np.ndarray, sample_rate: int, pipeline: Pipeline, variables: Any
) -> np.ndarray:
  # JAX and the network take seconds that other metrics need not wait for.
  from distortion_removal.metrics import vggish, vggish_weights

  if variables is None:
    variables = vggish_weights.load(vggish_weights.default_path())
  patches = log_mel.patches(
    audio,
    sample_rate=sample_rate,
    hop_frames=pipeline.hop_frames,
    span=pipeline.span,
    peak_normalised=pipeline.peak_normalised,
  )
  embeddings = vggish.embed_patches(variables, patches)
  return np.maximum(embeddings, 0.0) if pipeline.last_relu else embeddings
