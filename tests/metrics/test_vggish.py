"""VGGish with random weights against NumPy and PyTorch; where weights are."""

import jax
import numpy as np
import pytest
import safetensors.numpy
from flax import traverse_util

from distortion_removal.common import errors
from distortion_removal.metrics import vggish, vggish_weights

RNG = np.random.default_rng(0)


@pytest.fixture(scope="module")
def variables():
  return vggish.random_variables(seed=0)


def plain_layer(x, layer):
  """ReLU of a 3 x 3 convolution of `[height, width, channels]`, by columns."""
  padded = np.pad(x, ((1, 1), (1, 1), (0, 0)))
  height, width, _ = x.shape
  columns = np.concatenate(
    [
      padded[row : row + height, column : column + width]
      for row in range(3)
      for column in range(3)
    ],
    axis=-1,
  )
  kernel = layer["kernel"].reshape(-1, layer["kernel"].shape[-1])
  return np.maximum(columns @ kernel + layer["bias"], 0)


def plain_pool(x):
  height, width, channels = x.shape
  return x.reshape(height // 2, 2, width // 2, 2, channels).max(axis=(1, 3))


def plain_forward(params, patch):
  """The embedding of one patch `[96, 64]`."""
  x = plain_pool(plain_layer(patch[..., None], params["conv1"]))
  x = plain_pool(plain_layer(x, params["conv2"]))
  x = plain_layer(x, params["conv3_1"])
  x = plain_pool(plain_layer(x, params["conv3_2"]))
  x = plain_layer(x, params["conv4_1"])
  x = plain_pool(plain_layer(x, params["conv4_2"]))
  assert x.shape == (6, 4, 512)
  x = x.ravel()
  for name in ("fc1_1", "fc1_2"):
    x = np.maximum(x @ params[name]["kernel"] + params[name]["bias"], 0)
  return x @ params["fc2"]["kernel"] + params["fc2"]["bias"]


def patches(count):
  return RNG.standard_normal((count, 96, 64), dtype=np.float32)


def test_has_the_published_number_of_parameters():
  leaves = jax.tree.leaves(vggish.variable_shapes())
  assert sum(leaf.size for leaf in leaves) == 72_141_184


def test_forward_pass_is_that_of_numpy(variables):
  given = patches(2)
  found = vggish.embed_patches(variables, given)
  expected = [plain_forward(variables["params"], patch) for patch in given]
  assert np.std(expected) > 0.1
  np.testing.assert_allclose(found, expected, atol=1e-4 * np.std(expected))


def test_forward_pass_is_that_of_pytorch(variables):
  torch = pytest.importorskip("torch")
  from experiments.benchmarks.peers.vggish import VGGish
  from third_party import vggish_weights as imported

  torch.manual_seed(0)
  peer = VGGish()
  for parameter in peer.parameters():
    if parameter.ndim > 1:
      torch.nn.init.kaiming_normal_(parameter)
    else:
      torch.nn.init.normal_(parameter, std=0.1)
  state = {key: value.numpy() for key, value in peer.state_dict().items()}
  given = patches(3)
  with torch.inference_mode():
    expected = peer(torch.from_numpy(given)).numpy()
  found = vggish.embed_patches(imported.from_state_dict(state), given)
  assert expected.std() > 0.1
  np.testing.assert_allclose(found, expected, atol=1e-4 * expected.std())


@pytest.mark.parametrize("count", [0, 1, 16, 17])
def test_any_number_of_patches_compiles_once(count, variables):
  given = patches(17)[:count]
  found = vggish.embed_patches(variables, given)
  assert found.shape == (count, 128)
  assert found.dtype == np.float32
  if count:
    last = vggish.embed_patches(variables, given[-1:])
    np.testing.assert_allclose(found[-1:], last, atol=1e-5)
  assert vggish._apply._cache_size() <= 1


@pytest.fixture
def small_shapes(monkeypatch):
  """A network of two arrays, for files that take no time."""
  shapes = {
    "params": {
      "fc2": {
        "kernel": jax.ShapeDtypeStruct((3, 2), np.float32),
        "bias": jax.ShapeDtypeStruct((2,), np.float32),
      }
    }
  }
  monkeypatch.setattr(vggish, "variable_shapes", lambda: shapes)


def test_weights_come_back_as_they_were(tmp_path, small_shapes):
  saved = vggish.random_variables(seed=1)
  path = tmp_path / "new" / "weights.safetensors"
  vggish_weights.save(path, saved)
  loaded = vggish_weights.load(path)
  for key, value in traverse_util.flatten_dict(saved).items():
    np.testing.assert_array_equal(
      traverse_util.flatten_dict(loaded)[key], value
    )
  assert [p.name for p in path.parent.iterdir()] == [path.name]
  assert vggish_weights.load(path) is loaded


def _one_line(path, message):
  with pytest.raises(errors.UserError, match=message) as caught:
    vggish_weights.load(path)
  text = str(caught.value)
  assert "\n" not in text
  assert str(path) in text
  assert "python -m third_party.import_vggish" in text


def test_missing_weights(tmp_path):
  _one_line(tmp_path / "none.safetensors", "fad and fad_pytorch take VGGish's")


@pytest.mark.parametrize("content", [b"", b"damaged", b"\xff" * 100])
def test_damaged_weights(content, tmp_path, small_shapes):
  path = tmp_path / "weights.safetensors"
  path.write_bytes(content)
  _one_line(path, "damaged")


def test_truncated_weights(tmp_path, small_shapes):
  path = tmp_path / "weights.safetensors"
  vggish_weights.save(path, vggish.random_variables(seed=1))
  path.write_bytes(path.read_bytes()[:-1])
  _one_line(path, "damaged")


@pytest.mark.parametrize(
  ("arrays", "message"),
  [
    ({"fc2/kernel": (3, 2)}, "fc2/bias has shape none, not .2,."),
    ({"fc2/kernel": (2, 3), "fc2/bias": (2,)}, "has shape .2, 3., not .3, 2."),
    (
      {"fc2/kernel": (3, 2), "fc2/bias": (2,), "fc3/bias": (1,)},
      "fc3/bias has shape .1,., not none",
    ),
  ],
)
def test_weights_of_another_network(arrays, message, tmp_path, small_shapes):
  path = tmp_path / "weights.safetensors"
  named = {f"params/{k}": np.zeros(s, "f4") for k, s in arrays.items()}
  safetensors.numpy.save_file(named, path)
  _one_line(path, message)


def test_where_weights_are_looked_for(monkeypatch, tmp_path):
  name = "distortion_removal/vggish.safetensors"
  monkeypatch.delenv("VGGISH_WEIGHTS", raising=False)
  monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
  monkeypatch.setenv("HOME", str(tmp_path))
  assert vggish_weights.default_path() == tmp_path / ".cache" / name
  monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
  assert vggish_weights.default_path() == tmp_path / "cache" / name
  monkeypatch.setenv("VGGISH_WEIGHTS", str(tmp_path / "own.safetensors"))
  assert vggish_weights.default_path() == tmp_path / "own.safetensors"
