"""`restore --method=…`: what the command takes, and its errors of one line."""

import subprocess
import sys

import numpy as np
import pytest
import soundfile
from conftest import ROOT

from distortion_removal import restore

RATE = 44_100


def _tones(channels):
  """A tone in each channel, `[time, channels]`, with a peak of 0.4."""
  time = np.arange(RATE // 5)[:, None] / RATE
  return 0.4 * np.sin(2 * np.pi * 440.0 * (1 + np.arange(channels)) * time)


def test_the_command_declips_without_a_network(tmp_path):
  clean = _tones(channels=2)
  source, target = tmp_path / "in.wav", tmp_path / "out.wav"
  soundfile.write(source, np.clip(clean, -0.3, 0.25), RATE)
  command = [sys.executable, "-m", "distortion_removal.restore", str(source)]
  command += ["-o", str(target), "--method=aspade", "--clip-level=-0.3,0.25"]
  command += ["--frame=256", "--sparsity-step=4", "--subtype=FLOAT"]
  result = subprocess.run(
    command, cwd=ROOT, capture_output=True, text=True, check=False
  )
  assert result.returncode == 0, result.stderr
  summary, line = result.stdout.splitlines()
  assert summary.startswith("clipped at -0.3 and 0.25: ")
  assert line == f"restored: {target}"
  info = soundfile.info(target)
  assert (info.frames, info.samplerate) == (len(clean), RATE)
  assert (info.channels, info.subtype) == (2, "FLOAT")


@pytest.mark.parametrize(
  ("arguments", "message"),
  [
    ("", "give either --checkpoint=RUN_OR_MODEL_FILE"),
    ("--checkpoint=run --method=aspade", "give either --checkpoint"),
    ("--checkpoint=run --frame=512", "--frame is for --method; a network"),
    ("--checkpoint=run --relative", "--relative is for"),
    ("--method=aspad", "choose from 'aspade', 'social_sparsity', 'sspade'"),
    (
      "--method=social_sparsity --sparsity-step=2",
      "has no option --sparsity-s",
    ),
    (
      "--method=aspade --frame=0",
      "--frame: '0' is not a whole number",
    ),
    ("--method=aspade --hop=x", "'x' is not a whole number from 1 to 1000000"),
    ("--method=sspade --sparsity-step=3000000000", "'3000000000' is not a"),
    ("--method=aspade --clip-level=0", "clip level 0.0: "),
    ("--method=aspade --clip-level=0.1,0.2", "clip level (0.1, 0.2): "),
    (
      "--method=aspade --clip-level=1,2,3",
      "'1,2,3' is neither a number nor two",
    ),
    ("--method=aspade --clip-level=a", "'a' is neither a number nor two"),
    ("--method=aspade --precision=float16", "--precision"),
    ("--method=aspade --crossfade=10", "aspade has no option --crossfade"),
    ("--method=social_sparsity --crossfade=-1", "'-1' is not a whole number"),
    ("--method=social_sparsity --shrinkage=pw", "unknown shrinkage 'pw'"),
    ("--method=aspade --epsilon=-1", "epsilon is -1.0"),
    ("--method=aspade --hop=1024", "with hop 1024"),
    ("--method=sspade --frame=512 --hop=100", "with hop 100"),
    ("--method=social_sparsity --hop=1024", "hop 1024"),
  ],
)
def test_options_that_cannot_be(tmp_path, arguments, message):
  """They are told of a recording that is not clipped, too."""
  source, target = tmp_path / "in.wav", tmp_path / "out.wav"
  soundfile.write(source, _tones(channels=1), RATE)
  with pytest.raises(SystemExit) as caught:
    restore.main([str(source), "-o", str(target), *arguments.split()])
  text = caught.value.code
  assert text.startswith("error: ")
  assert "\n" not in text
  assert message in text
  assert not target.exists()
