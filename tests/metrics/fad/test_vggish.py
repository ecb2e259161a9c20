"""VGGish with random weights against NumPy; its file of weights."""

import jax
import numpy as np
import pytest
import safetensors.numpy
from vggish_in_numpy import forward, random_variables

from distortion_removal.common.errors import UserError
from distortion_removal.metrics import fad
from distortion_removal.metrics.fad import log_mel, vggish

RNG = np.random.default_rng(0)


@pytest.fixture(scope="module")
def variables():
  return random_variables(seed=0)


def test_has_the_published_number_of_parameters():
  leaves = jax.tree.leaves(vggish.variable_shapes())
  assert sum(leaf.size for leaf in leaves) == 72_141_184


@pytest.mark.e2e
def test_forward_pass_is_that_of_numpy_for_any_number_of_patches(variables):
  patches = RNG.standard_normal((17, 96, 64), dtype=np.float32)
  expected = forward(variables["params"], patches[-1])
  assert expected.std() > 0.1
  for count in (0, 1, 16, 17):
    embeddings = vggish.embed_patches(variables, patches[17 - count :])
    assert embeddings.shape == (count, 128)
    assert embeddings.dtype == np.float32
    if count:
      tolerance = 1e-4 * expected.std()
      np.testing.assert_allclose(embeddings[-1], expected, atol=tolerance)
  assert vggish._apply._cache_size() == 1


@pytest.mark.e2e
def test_fad_embeds_by_the_network(variables):
  audio = RNG.uniform(-0.5, 0.5, (1, 16_000, 1)).astype(np.float32)
  signal = audio[0, :15_600, 0].astype(np.float64)
  for embed, peak, relu in (
    (fad.embed, audio.max(), True),
    (fad.embed_pytorch, 1.0, False),
  ):
    patch = log_mel.log_mel(signal / peak).astype(np.float32)
    expected = forward(variables["params"], patch)
    assert (expected < 0).any()
    if relu:
      expected = np.maximum(expected, 0.0)
    (embedding,) = embed(audio, sample_rate=16_000, variables=variables)
    np.testing.assert_allclose(embedding, expected, atol=1e-3)


@pytest.fixture
def small_network(monkeypatch):
  """A network of two arrays, for files that take no time; its weights."""
  kernel, bias = np.ones((3, 2), np.float32), np.ones(2, np.float32)
  weights = {"params": {"fc2": {"kernel": kernel, "bias": bias}}}
  monkeypatch.setattr(vggish, "variable_shapes", lambda: weights)
  return weights


def test_weights_come_back_as_they_were(tmp_path, small_network):
  path = tmp_path / "new" / "weights.safetensors"
  vggish.save_weights(path, small_network)
  loaded = vggish.load_weights(path)
  jax.tree.map(np.testing.assert_array_equal, loaded, small_network)
  assert [p.name for p in path.parent.iterdir()] == [path.name]
  assert vggish.load_weights(path) is loaded


def _assert_one_line(path, message):
  with pytest.raises(UserError, match=message) as caught:
    vggish.load_weights(path)
  text = str(caught.value)
  assert "\n" not in text and str(path) in text
  assert "python -m third_party.import_vggish" in text


def test_weights_that_cannot_be_used(tmp_path, small_network):
  _assert_one_line(tmp_path / "none.safetensors", "does not exist")
  path = tmp_path / "weights.safetensors"
  vggish.save_weights(path, small_network)
  truncated = path.read_bytes()[:-1]
  for content in (b"", b"damaged", b"\xff" * 100, truncated):
    path.write_bytes(content)
    _assert_one_line(path, "damaged")
  for shapes in (
    {"fc2/kernel": (3, 2)},
    {"fc2/kernel": (2, 3), "fc2/bias": (2,)},
    {"fc2/kernel": (3, 2), "fc2/bias": (2,), "fc3/bias": (1,)},
  ):
    arrays = {f"params/{k}": np.zeros(s, "f4") for k, s in shapes.items()}
    safetensors.numpy.save_file(arrays, path)
    _assert_one_line(path, "not VGGish's weights")


def test_where_weights_are_looked_for(monkeypatch, tmp_path):
  name = "distortion_removal/vggish.safetensors"
  monkeypatch.delenv("VGGISH_WEIGHTS", raising=False)
  monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
  monkeypatch.setenv("HOME", str(tmp_path))
  assert vggish.default_weights_path() == tmp_path / ".cache" / name
  monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
  assert vggish.default_weights_path() == tmp_path / "cache" / name
  monkeypatch.setenv("VGGISH_WEIGHTS", str(tmp_path / "own.safetensors"))
  assert vggish.default_weights_path() == tmp_path / "own.safetensors"
