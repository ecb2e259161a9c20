"""Both pipelines of FAD, from audio to the distance, around a toy network."""

import logging
import subprocess
import sys

import numpy as np
import pytest

from distortion_removal.metrics import fad
from distortion_removal.metrics.fad import frechet, log_mel, vggish

RATE = 16_000
RNG = np.random.default_rng(0)
PROJECTION = RNG.standard_normal((96 * 64, 128)).astype(np.float32) / 78
PIPELINES = [(fad.fad, fad.embed), (fad.fad_pytorch, fad.embed_pytorch)]


def toy_network(variables, patches):
  """Stands in for VGGish, which `test_vggish` compares, at no cost."""
  return patches.reshape(-1, 96 * 64) @ PROJECTION


@pytest.fixture
def network(monkeypatch):
  monkeypatch.setattr(vggish, "load_weights", lambda path: None)
  monkeypatch.setattr(vggish, "embed_patches", toy_network)


def noise(samples, batch=1, channels=1):
  shape = (batch, samples, channels)
  return RNG.uniform(-0.5, 0.5, shape).astype(np.float32)


def embed_at(signal, starts):
  """Embeddings of the 15,600 samples from each start, before the last ReLU."""
  patches = [log_mel.log_mel(signal[s : s + 15_600]) for s in starts]
  return toy_network(None, np.array(patches, np.float32))


def test_google_normalises_and_hops_half_a_second(network):
  audio = 0.3 * noise(24_000)
  # A window is a full second, although 15,600 samples of it count.
  assert len(fad.embed(audio[:, :-1], sample_rate=RATE)) == 1
  embeddings = fad.embed(audio, sample_rate=RATE)
  signal = audio[0, :, 0].astype(np.float64)
  expected = embed_at(signal / signal.max(), [0, 8_000])
  assert (expected < 0).any()
  np.testing.assert_allclose(embeddings, np.maximum(expected, 0), atol=1e-3)


def test_pytorch_tools_hop_a_patch_and_keep_negative_values(network):
  audio = 0.3 * noise(31_000)
  embeddings = fad.embed_pytorch(audio, sample_rate=RATE)
  expected = embed_at(audio[0, :, 0].astype(np.float64), [0, 15_360])
  assert (embeddings < 0).any()
  np.testing.assert_allclose(embeddings, expected, atol=1e-3)


@pytest.mark.parametrize(("score", "embed"), PIPELINES)
def test_distance_is_that_of_the_embeddings(score, embed, network, caplog):
  target = noise(32_000, batch=2, channels=2)
  estimate = np.clip(target, -0.1, 0.1)
  with caplog.at_level(logging.WARNING):
    distance = score(estimate, target, sample_rate=RATE)
  windows = [embed(audio, sample_rate=RATE) for audio in (estimate, target)]
  assert f"from {len(windows[0])} windows of 128 dimensions" in caplog.text
  sets = map(frechet.Statistics.from_embeddings, windows)
  np.testing.assert_array_equal(distance, [frechet.distance(*sets)])
  assert distance > 0.0
  same = score(target, target, sample_rate=RATE)
  assert same == pytest.approx(0.0, abs=1e-9)


def test_too_few_windows_and_odd_audio(network):
  def score(estimate, target):
    return fad.fad(estimate, target, sample_rate=RATE)

  target = noise(24_000)
  assert np.isnan(score(target[:, :1], target[:, :1]))
  assert np.isnan(score(target[:, :16_000], target[:, :16_000]))
  assert np.isnan(score(np.full_like(target, np.nan), target))
  # Silence is a sound of its own.
  silent = score(np.zeros_like(target), target)
  assert silent == score(target, np.zeros_like(target)) > 0
  with pytest.raises(ValueError, match="must have one shape"):
    score(target, target[:, 1:])


@pytest.mark.e2e
def test_importing_loads_no_network():
  code = (
    "import sys, distortion_removal.metrics.fad;"
    "print(sorted({'flax', 'safetensors', 'torch'} & set(sys.modules)))"
  )
  result = subprocess.run(
    [sys.executable, "-c", code], capture_output=True, text=True, check=True
  )
  assert result.stdout == "[]\n"
