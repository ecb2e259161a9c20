"""What a user gets wrong, through the commands: one line, nothing half-made.

Bad recordings are in test_restore.py and test_prepare.py, flags in
test_cli.py.
"""

import json
import shutil
import subprocess
import sys

import numpy as np
import pytest
import soundfile
from conftest import ROOT, files_of

from distortion_removal import config as run_config

pytestmark = pytest.mark.e2e


def run(module, *arguments, before=()):
  """One of the commands; its errors follow its log lines."""
  return subprocess.run(
    [*before, sys.executable, "-m", f"distortion_removal.{module}"]
    + [str(argument) for argument in arguments],
    cwd=ROOT,
    capture_output=True,
    text=True,
    check=False,
  )


def assert_error(result, *parts):
  """Status 1, and one line `error: …` after lines of the log only."""
  assert result.returncode == 1, result.stderr
  *log, last = result.stderr.splitlines()
  assert all(line[2:6:3] == "::" for line in log), result.stderr
  assert last.startswith("error: ")
  for part in parts:
    assert part in last


@pytest.fixture
def restoring(tiny_run, tmp_path):
  """The words that restore two seconds of noise to a place."""
  rng = np.random.default_rng(0)
  path = tmp_path / "in.wav"
  soundfile.write(path, 0.1 * rng.standard_normal((16_000, 1)), 8_000)

  def words(output, workdir=tiny_run):
    return ("restore", path, "-o", output, f"--model={workdir}")

  return words


def test_a_workdir_that_cannot_be_made(tiny_config, tmp_path):
  text = json.dumps(run_config.to_dict(tiny_config))
  config_file = tmp_path / "tiny.py"
  config_file.write_text(
    "import json\nimport ml_collections\n\n\ndef get_config():\n"
    f"  return ml_collections.ConfigDict(json.loads({text!r}))\n"
  )
  (tmp_path / "file").write_text("not a folder")
  workdir = tmp_path / "file" / "run"
  before = files_of(tmp_path)
  result = run("main", f"--config={config_file}", f"--workdir={workdir}")
  assert_error(result, str(workdir))
  assert files_of(tmp_path) == before


def test_a_checkpoint_of_another_model(tiny_run, restoring, tmp_path):
  workdir = tmp_path / "run"
  shutil.copytree(tiny_run, workdir)
  config = json.loads((workdir / "config.json").read_text())
  config["model"]["fields"]["channels"] = 6
  (workdir / "config.json").write_text(json.dumps(config))
  before = files_of(tmp_path)
  for result in (
    run("main", "--mode=evaluate", f"--workdir={workdir}"),
    run(*restoring(tmp_path / "o.wav", workdir)),
  ):
    assert_error(
      result,
      "a checkpoint of another model: params/decoder_0_conv/bias has shape "
      "(4,), the configuration asks for (6,)",
    )
  assert files_of(tmp_path) == before


def test_restoring_onto_a_full_disk(restoring, tmp_path):
  disk = tmp_path / "disk"
  disk.mkdir()
  command = ["mount", "-t", "tmpfs", "-o", "size=80k", "tmpfs", str(disk)]
  try:
    subprocess.run(command, check=True, capture_output=True)
  except (OSError, subprocess.CalledProcessError):
    pytest.skip("a small disk cannot be mounted here (needs root)")
  try:
    (disk / "o.wav").write_text("what was there before")
    before = files_of(disk)
    result = run(*restoring(disk / "o.wav"), "--overwrite")
    assert_error(result, "no space left on the disk", str(disk))
    assert files_of(disk) == before
  finally:
    subprocess.run(["umount", str(disk)], check=True)


def test_restoring_past_a_limit_on_file_sizes(restoring, tmp_path):
  """Fails where a full disk would, on any machine."""
  folder = tmp_path / "out"
  folder.mkdir()
  # In units of 512 bytes: 20 kB, where the scratch file alone needs 64.
  limited = ["sh", "-c", 'ulimit -f 40 && exec "$@"', "sh"]
  result = run(*restoring(folder / "o.wav"), before=limited)
  assert_error(result, str(folder))
  assert not files_of(folder)
