"""Both pipelines of FAD with random weights, from audio to the distance."""

import logging
import subprocess
import sys

import numpy as np
import pytest

from distortion_removal.common import errors
from distortion_removal.metrics import fad, frechet, log_mel, vggish

RATE = 16_000
RNG = np.random.default_rng(0)


@pytest.fixture(scope="module")
def variables():
  import jax

  return jax.device_put(vggish.random_variables(seed=0))


def noise(samples, batch=1, channels=1):
  shape = (batch, samples, channels)
  return RNG.uniform(-0.5, 0.5, shape).astype(np.float32)


def embed_at(variables, signal, starts):
  """Embeddings of the 15,600 samples from each start, before the last ReLU."""
  patches = [log_mel.log_mel(signal[s : s + 15_600]) for s in starts]
  return vggish.embed_patches(variables, np.array(patches, np.float32))


def test_google_normalises_and_hops_half_a_second(variables):
  audio = 0.3 * noise(24_100)
  found = fad.embed(audio, sample_rate=RATE, variables=variables)
  signal = audio[0, :, 0].astype(np.float64)
  expected = embed_at(variables, signal / signal.max(), [0, 8_000])
  assert (expected < 0).any()
  np.testing.assert_allclose(found, np.maximum(expected, 0), atol=1e-3)


def test_google_takes_full_seconds_alone(variables):
  for samples, windows in ((15_999, 0), (16_000, 1), (23_999, 1), (24_000, 2)):
    found = fad.embed(noise(samples), sample_rate=RATE, variables=variables)
    assert found.shape == (windows, 128)


def test_pytorch_tools_hop_a_patch_and_keep_negative_values(variables):
  audio = 0.3 * noise(31_000)
  found = fad.embed_pytorch(audio, sample_rate=RATE, variables=variables)
  signal = audio[0, :, 0].astype(np.float64)
  expected = embed_at(variables, signal, [0, 15_360])
  assert (found < 0).any()
  np.testing.assert_allclose(found, expected, atol=1e-3)


@pytest.mark.parametrize(
  ("score", "embed"),
  [(fad.fad, fad.embed), (fad.fad_pytorch, fad.embed_pytorch)],
)
def test_distance_is_that_of_the_embeddings(score, embed, variables, caplog):
  target = noise(32_000, batch=2, channels=2)
  estimate = np.clip(target, -0.1, 0.1)
  options = {"sample_rate": RATE, "variables": variables}
  with caplog.at_level(logging.WARNING):
    found = score(estimate, target, **options)
  windows = [embed(audio, **options) for audio in (estimate, target)]
  count = len(windows[0])
  assert f"from {count} windows of 128 dimensions" in caplog.text
  means = [w.astype(np.float64).mean(axis=0) for w in windows]
  assert found.shape == (1,)
  assert found[0] > np.sum((means[0] - means[1]) ** 2) > 0
  assert found[0] == frechet.distance(
    *map(frechet.Statistics.from_embeddings, windows)
  )


def test_equal_sets_have_no_distance(variables):
  audio = noise(32_000)
  for score in (fad.fad, fad.fad_pytorch):
    found = score(audio, audio, sample_rate=RATE, variables=variables)
    assert found == pytest.approx(0.0, abs=1e-9)


def test_too_few_windows_and_odd_audio(variables):
  def score(estimate, target):
    return fad.fad(estimate, target, sample_rate=RATE, variables=variables)

  target = noise(24_000)
  assert np.isnan(score(target[:, :1], target[:, :1]))
  assert np.isnan(score(target[:, :16_000], target[:, :16_000]))
  assert np.isnan(score(np.full_like(target, np.nan), target))
  # Silence is a sound of its own.
  silent = score(np.zeros_like(target), target)
  assert silent == score(target, np.zeros_like(target)) > 0
  with pytest.raises(ValueError, match="must have one shape"):
    score(target, target[:, 1:])


def test_without_weights_one_line_tells_what_to_do(monkeypatch, tmp_path):
  path = tmp_path / "none.safetensors"
  monkeypatch.setenv("VGGISH_WEIGHTS", str(path))
  for score in (fad.fad, fad.fad_pytorch):
    with pytest.raises(errors.UserError, match="import_vggish"):
      score(noise(16_000), noise(16_000), sample_rate=RATE)
  audio = noise(32_000)
  other = log_mel.frechet_logmel(audio / 2, audio, sample_rate=RATE)
  assert other > 0


def test_importing_loads_no_network():
  code = (
    "import sys, distortion_removal.metrics.fad;"
    "print(sorted({'flax', 'safetensors', 'torch'} & set(sys.modules)))"
  )
  result = subprocess.run(
    [sys.executable, "-c", code], capture_output=True, text=True, check=True
  )
  assert result.stdout == "[]\n"
