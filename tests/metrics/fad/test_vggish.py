"""VGGish with random weights against NumPy; its file of weights."""

import jax
import numpy as np
import pytest
import safetensors.numpy
from numpy.lib.stride_tricks import sliding_window_view

from distortion_removal.common.errors import UserError
from distortion_removal.metrics.fad import vggish


def _random_variables():
  """Normal kernels of variance 2 / fan-in, biases of deviation 0.1."""
  rng = np.random.default_rng(0)

  def draw(leaf):
    fan_in = np.prod(leaf.shape[:-1])
    deviation = np.sqrt(2.0 / fan_in) if leaf.ndim > 1 else 0.1
    values = rng.standard_normal(leaf.shape, dtype=np.float32)
    return values * np.float32(deviation)

  return jax.tree.map(draw, vggish.variable_shapes())


def _layer(x, layer):
  """ReLU of a 3 x 3 convolution of `[height, width, channels]`."""
  padded = np.pad(x, ((1, 1), (1, 1), (0, 0)))
  windows = sliding_window_view(padded, (3, 3), axis=(0, 1))
  products = np.tensordot(windows, layer["kernel"], ([3, 4, 2], [0, 1, 2]))
  return np.maximum(products + layer["bias"], 0)


def _pool(x):
  height, width, channels = x.shape
  return x.reshape(height // 2, 2, width // 2, 2, channels).max(axis=(1, 3))


def _forward(params, patch):
  """The embedding of one patch `[96, 64]`, before the last ReLU."""
  x = _pool(_layer(patch[..., None], params["conv1"]))
  x = _pool(_layer(x, params["conv2"]))
  x = _layer(x, params["conv3_1"])
  x = _pool(_layer(x, params["conv3_2"]))
  x = _layer(x, params["conv4_1"])
  x = _pool(_layer(x, params["conv4_2"]))
  x = x.ravel()
  for name in ("fc1_1", "fc1_2"):
    x = np.maximum(x @ params[name]["kernel"] + params[name]["bias"], 0)
  return x @ params["fc2"]["kernel"] + params["fc2"]["bias"]


def test_has_the_published_number_of_parameters():
  leaves = jax.tree.leaves(vggish.variable_shapes())
  assert sum(leaf.size for leaf in leaves) == 72_141_184


@pytest.mark.e2e
def test_forward_pass_is_that_of_numpy_for_any_number_of_patches():
  variables = _random_variables()
  rng = np.random.default_rng(1)
  patches = rng.standard_normal((17, 96, 64), dtype=np.float32)
  expected = _forward(variables["params"], patches[-1])
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
def test_forward_pass_is_that_of_pytorch():
  torch = pytest.importorskip("torch")
  from experiments.benchmarks.peers.vggish import VGGish
  from third_party.import_vggish import from_state_dict

  torch.manual_seed(0)
  peer = VGGish()
  for parameter in peer.parameters():
    if parameter.ndim > 1:
      torch.nn.init.kaiming_normal_(parameter)
    else:
      torch.nn.init.normal_(parameter, std=0.1)
  state = {key: value.numpy() for key, value in peer.state_dict().items()}
  patches = np.random.default_rng(2).standard_normal(
    (3, 96, 64), dtype=np.float32
  )
  with torch.inference_mode():
    expected = peer(torch.from_numpy(patches)).numpy()
  embeddings = vggish.embed_patches(from_state_dict(state), patches)
  assert expected.std() > 0.1
  np.testing.assert_allclose(embeddings, expected, atol=1e-4 * expected.std())


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
  assert vggish.load_weights(path) is loaded


def test_weights_that_cannot_be_used(tmp_path, small_network):
  path = tmp_path / "weights.safetensors"
  vggish.save_weights(path, small_network)
  truncated = path.read_bytes()[:-1]
  cases = [(x, "damaged") for x in (b"", b"damaged", b"\xff" * 100, truncated)]
  for shapes in (
    {"fc2/kernel": (3, 2)},
    {"fc2/kernel": (2, 3), "fc2/bias": (2,)},
    {"fc2/kernel": (3, 2), "fc2/bias": (2,), "fc3/bias": (1,)},
  ):
    arrays = {f"params/{k}": np.zeros(s, "f4") for k, s in shapes.items()}
    cases.append((safetensors.numpy.save(arrays), "not VGGish's weights"))
  for content, problem in cases:
    path.write_bytes(content)
    with pytest.raises(UserError, match=problem) as caught:
      vggish.load_weights(path)
    assert "\n" not in str(caught.value) and str(path) in str(caught.value)
    assert "python -m third_party.import_vggish" in str(caught.value)


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
