"""FAD, the Fréchet audio distance, as the two pipelines in use compute it.

K. Kilgour, M. Zuluaga, D. Roblek, M. Sharifi, "Fréchet Audio Distance: A
Metric for Evaluating Music Enhancement Algorithms", Interspeech 2019 (arXiv
1812.08466): the Fréchet distance between the Gaussians of VGGish's embeddings
of two sets of recordings. Neither pipeline applies VGGish's PCA or
quantisation. Numbers of the two do not compare, and both depend on the number
of windows N, `len(embed(audio, ...))`, which is reported with the distance.

Differences from the programs: they leave resampling to the user (Google's) or
to resampy, here it is soxr. Google's reads 16-bit WAV as integers, for which
its limit of 20 dB on the normalising gain never holds; here it holds.

The weights are those at `vggish.default_weights_path()`.
"""

from typing import Any

import numpy as np

from distortion_removal.metrics.fad import frechet, log_mel


def fad(
  estimate: np.ndarray, target: np.ndarray, *, sample_rate: int
) -> np.ndarray:
  """Computes FAD by Google's pipeline (lower is better).

  Returns:
    `[1]` float64, one number of at least 0 for the whole batch; NaN if either
    side has fewer than two windows. A log warning gives N where the windows
    are too few for a covariance of full rank (128 or fewer).
  """
  return frechet.distance_of_audio(embed, estimate, target, sample_rate)


def fad_pytorch(
  estimate: np.ndarray, target: np.ndarray, *, sample_rate: int
) -> np.ndarray:
  """Computes FAD by the PyTorch tools' pipeline; all else as for `fad`."""
  return frechet.distance_of_audio(embed_pytorch, estimate, target, sample_rate)


def embed(
  audio: np.ndarray, *, sample_rate: int, variables: Any = None
) -> np.ndarray:
  """Embeds recordings as Google's pipeline does, two windows a second.

  That is `frechet_audio_distance` in google-research/google-research: windows
  of a full second every half, of which 96 of 98 frames count; the peak is the
  largest sample, not the largest magnitude. Its VGGish is that of its day,
  whose embedding has a ReLU; tensorflow/models has since left it out.

  Args:
    audio: `[batch, time, channels]`. Recordings shorter than a window (1 s), or
      with NaN or infinite samples, have no embedding: see `log_mel.patches`.
    sample_rate: rate in Hz.
    variables: VGGish's weights; None: the published ones, loaded once.

  Returns:
    `[windows, 128]` float32.

  Raises:
    UserError: the published weights are missing or damaged.
  """
  patches = log_mel.patches(
    audio,
    sample_rate=sample_rate,
    hop_frames=50,
    span=16_000,
    peak_normalised=True,
  )
  return np.maximum(_run_vggish(patches, variables), 0.0)


def embed_pytorch(
  audio: np.ndarray, *, sample_rate: int, variables: Any = None
) -> np.ndarray:
  """Embeds recordings as the PyTorch tools do, one window every 0.96 s.

  That is gudgud96/frechet-audio-distance by default, over
  harritaylor/torchvggish: windows of 0.975 s, no peak normalisation, no last
  ReLU. Arguments, result and errors: see `embed`.
  """
  patches = log_mel.patches(audio, sample_rate=sample_rate)
  return _run_vggish(patches, variables)


def _run_vggish(patches: np.ndarray, variables: Any) -> np.ndarray:
  # JAX and Flax take seconds to import, which other metrics do not need.
  from distortion_removal.metrics.fad import vggish

  if variables is None:
    variables = vggish.load_weights(vggish.default_weights_path())
  return vggish.embed_patches(variables, patches)
