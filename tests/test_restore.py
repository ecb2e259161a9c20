"""The command that restores a recording: its results, and one-line errors."""

import re
import subprocess
import sys

import numpy as np
import pytest
import soundfile
from conftest import ROOT, pluck

from distortion_removal import restore
from distortion_removal.training import shipped, weights

RATE = 8_000


@pytest.fixture
def clean(tmp_path):
  """Two tones with peaks of 0.4; lies in in.wav, clipped at -0.3 and 0.25."""
  time = np.arange(RATE)[:, None] / RATE
  tones = 0.4 * np.sin(2 * np.pi * 440.0 * np.array([1, 2]) * time)
  soundfile.write(tmp_path / "in.wav", np.clip(tones, -0.3, 0.25), RATE)
  return tones


def _restore(tmp_path, *arguments):
  source, target = (str(tmp_path / name) for name in ("in.wav", "out.wav"))
  restore.main([source, "-o", target, *map(str, arguments)])
  return soundfile.info(target)


@pytest.mark.e2e
def test_with_a_declipper(tmp_path, clean, capsys):
  options = "--clip-level=-0.3,0.25 --frame=256 --sparsity-step=4"
  options += " --method=aspade --subtype=FLOAT"
  info = _restore(tmp_path, *options.split())
  summary, line = capsys.readouterr().out.splitlines()
  assert summary.startswith("clipped at -0.3 and 0.25: ")
  assert line == f"restored: {tmp_path / 'out.wav'}"
  assert (info.frames, info.samplerate) == (len(clean), RATE)
  assert (info.channels, info.subtype) == (2, "FLOAT")


@pytest.mark.e2e
def test_with_a_trained_run(tmp_path, clean, tiny_run, capsys):
  soundfile.write(tmp_path / "in.wav", clean[:, [0, 1, 0]], 11_025)
  info = _restore(tmp_path, "--model", tiny_run)
  assert capsys.readouterr().out == f"restored: {tmp_path / 'out.wav'}\n"
  assert (info.frames, info.samplerate) == (len(clean), 11_025)
  assert (info.channels, info.subtype) == (3, "PCM_16")


@pytest.mark.e2e
def test_with_each_shipped_model(tmp_path, capsys):
  """Clipped samples come nearer to the clean ones, the others stay."""
  for name in shipped.names():
    rate = weights.load_config(shipped.find(name)).data.sample_rate
    clean = pluck(0.7, 131.0, rate)
    clipped = np.clip(clean, -0.5, 0.5)
    soundfile.write(tmp_path / "in.wav", clipped, rate, subtype="DOUBLE")
    _restore(tmp_path, "-n", name)
    summary, line = capsys.readouterr().out.splitlines()
    assert summary.startswith("clipped at -0.5 and 0.5: ")
    assert line == f"restored: {tmp_path / 'out.wav'}"
    found, _ = soundfile.read(tmp_path / "out.wav", always_2d=True)
    kept = clipped == clean
    np.testing.assert_array_equal(found[kept], clipped[kept])
    before, after = (np.linalg.norm(x - clean) for x in (clipped, found))
    assert after < 0.5 * before


def test_models_are_listed_without_a_recording(capsys):
  with pytest.raises(SystemExit) as caught:
    restore.main(["--list-models"])
  assert not caught.value.code
  lines = capsys.readouterr().out.splitlines()
  assert [line.split()[0] for line in lines] == shipped.names()
  text = "hybrid-hard-clip-16k  hard clip, 16 kHz, "
  assert any(line.startswith(text) for line in lines)


@pytest.mark.e2e
def test_from_a_pipe_to_a_pipe_as_from_file_to_file(tmp_path, clean):
  options = ["--method=aspade", "--frame=256", "--clip-level=-0.3,0.25"]
  _restore(tmp_path, *options)
  command = [sys.executable, "-m", "distortion_removal.restore", "-", "-o", "-"]
  result = subprocess.run(
    [*command, *options],
    input=(tmp_path / "in.wav").read_bytes(),
    capture_output=True,
    cwd=ROOT,
    check=True,
  )
  assert result.stdout == (tmp_path / "out.wav").read_bytes()
  assert b"restored: -\n" in result.stderr


def test_one_recording_to_one_file(tmp_path, clean):
  source = str(tmp_path / "in.wav")
  for arguments, message in (
    ([source, source, "-o", str(tmp_path / "out.wav")], "one recording at a"),
    ([source, "-o", str(tmp_path)], f"{tmp_path}: is a folder; name a file"),
  ):
    with pytest.raises(SystemExit) as caught:
      restore.main([*arguments, "--method=aspade"])
    assert re.fullmatch(f"error: .*{re.escape(message)}.*", caught.value.code)


@pytest.mark.parametrize(
  ("arguments", "message"),
  [
    ("--model=run --method=aspade", "give either --model"),
    ("--model=run --frame=512", "--frame is for --method; a network"),
    ("--model=no/run", "no/run: no trained run here"),
    ("--model=no-model", "its models: hybrid-hard-clip-16k"),
    ("--model=no.safetensors", "no.safetensors: not there"),
    ("--method=aspad", "choose from 'auto', 'inversion', 'aspade',"),
    ("--method=social_sparsity --sparsity-step=2", "no option --sparsity-step"),
    ("--method=aspade --frame=0", "--frame: '0' is not a whole number"),
    ("--method=social_sparsity --crossfade=-1", "'-1' is not a whole number"),
    ("--method=aspade --clip-level=0", "clip level 0.0: "),
    ("--method=aspade --clip-level=1,2,3", "'1,2,3' is neither a number nor"),
    ("--method=aspade --knee=0", "knee 0.0: "),
    ("--method=aspade --knee=seek", "'seek' is neither a number nor"),
    ("--method=aspade --knee=0.3 --clip-level=0.5", "not both"),
    ("--model=run --knee=0.3", "--knee is for --method; a network"),
    ("--method=social_sparsity --shrinkage=pw", "unknown shrinkage 'pw'"),
    ("--method=aspade --hop=1024", "with hop 1024"),
    ("--method=aspade --dither --subtype=FLOAT", "--dither is for integer"),
    ("--method=aspade --dither --subtype=ULAW", "--dither is for integer"),
  ],
)
def test_mistakes_are_one_line(tmp_path, clean, arguments, message):
  """They are refused for a recording that is not clipped, too."""
  soundfile.write(tmp_path / "in.wav", clean, RATE)
  with pytest.raises(SystemExit) as caught:
    _restore(tmp_path, *arguments.split())
  assert re.fullmatch(f"error: .*{re.escape(message)}.*", caught.value.code)
  assert not (tmp_path / "out.wav").exists()
