"""The command: VGGish's published file to where the metric finds it."""

import hashlib

import numpy as np
import pytest

from distortion_removal.metrics.fad import vggish
from third_party import import_vggish

NAME = "vggish-10086976.pth"


def publish(monkeypatch, path):
  """Lets a file be the published one, and its place the address."""
  digest = hashlib.sha256(path.read_bytes()).hexdigest()
  monkeypatch.setattr(import_vggish, "CHECKSUM", f"sha256:{digest}")
  monkeypatch.setattr(import_vggish, "URL", path.as_uri())


def run(*arguments):
  """The command's exit status: None, or its one line."""
  try:
    import_vggish.main([str(argument) for argument in arguments])
  except SystemExit as error:
    assert "\n" not in str(error)
    return str(error)
  return None


@pytest.fixture
def published(tmp_path, monkeypatch):
  """A file of seven bytes, whose conversion is left out."""
  monkeypatch.setattr(
    import_vggish.state_dict, "load", lambda path: path.read_bytes()
  )
  monkeypatch.setattr(
    import_vggish,
    "from_state_dict",
    lambda state: {"x": np.frombuffer(state, np.uint8)},
  )
  path = tmp_path / "published" / NAME
  path.parent.mkdir()
  path.write_bytes(b"weights")
  publish(monkeypatch, path)
  return path


def test_downloads_once_and_converts(tmp_path, published, capsys):
  output = tmp_path / "cache" / "vggish.safetensors"
  assert run(f"--output={output}") is None
  assert {p.name for p in output.parent.iterdir()} == {NAME, output.name}
  assert (output.parent / NAME).read_bytes() == b"weights"
  published.unlink()  # Again, without a network.
  assert run(f"--output={output}") is None
  assert capsys.readouterr().out == 2 * f"written: {output}\n"


def test_the_usual_place_is_where_the_metric_looks(
  tmp_path, published, monkeypatch
):
  output = tmp_path / "usual.safetensors"
  monkeypatch.setenv("VGGISH_WEIGHTS", str(output))
  assert run(f"--weights={published}") is None
  assert {p.name for p in tmp_path.iterdir()} == {"published", output.name}


def test_another_file_here(tmp_path, published):
  given, output = tmp_path / "given.pth", tmp_path / "vggish.safetensors"
  arguments = f"--weights={given}", f"--output={output}"
  assert f"{given}: no such file" in run(*arguments)
  given.write_bytes(b"something else")
  assert f"{given}: damaged, or not the published" in run(*arguments)
  assert given.read_bytes() == b"something else"
  assert not output.exists()


@pytest.mark.e2e
def test_a_published_file_becomes_the_metrics_weights(tmp_path, monkeypatch):
  torch = pytest.importorskip("torch")
  from experiments.benchmarks.peers.vggish import VGGish

  torch.manual_seed(1)
  peer = VGGish()
  for parameter in peer.parameters():
    if parameter.ndim > 1:
      torch.nn.init.kaiming_normal_(parameter)
    else:
      torch.nn.init.normal_(parameter, std=0.1)
  given = tmp_path / NAME
  torch.save(peer.state_dict(), given)
  publish(monkeypatch, given)
  output = tmp_path / "vggish.safetensors"
  assert run(f"--output={output}") is None
  patches = np.random.default_rng(0).standard_normal((2, 96, 64), np.float32)
  with torch.inference_mode():
    expected = peer(torch.from_numpy(patches)).numpy()
  found = vggish.embed_patches(vggish.load_weights.__wrapped__(output), patches)
  np.testing.assert_allclose(found, expected, atol=1e-4 * expected.std())
