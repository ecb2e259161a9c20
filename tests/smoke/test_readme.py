"""Every command of README.md and docs/, run in small."""

import re
import shlex
import subprocess
import sys

import numpy as np
import pytest
import soundfile
from conftest import ROOT, pluck
from overdriven import overdriven, rounded

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
RATE = 22_050
SHALLOW = tuple(
  f"--config.model.fields.{field}" for field in ("depth=1", "lstm_layers=0")
)
GUITAR = (
  "--config.data.dataset=audio_folder",
  "--config.data.data_dir=data/guitar",
  "--config.data.excerpt_seconds=10.0",
)
MAIN = "python -m distortion_removal.main"
# What make does under the name that pages give it, and CI calls.
MAKE = {
  "make quickstart": (
    f"{MAIN} --config=configs/quickstart.py",
    f"{MAIN} --mode=evaluate --workdir=runs/quickstart",
  ),
  "make test": (),
  "make test-all": (),
}


def _commands():
  """Each line of the pages' shell blocks once, in order."""
  blocks = (
    block
    for page in PAGES
    for block in re.findall(r"```bash\n(.*?)```", page.read_text(), re.S)
  )
  lines = (line for block in blocks for line in block.splitlines() if line)
  return list(dict.fromkeys(lines))


COMMANDS = _commands()
OURS = [x for x in COMMANDS if x.startswith("python -m distortion_removal.")]


def test_make_does_what_is_run_here():
  make = (ROOT / "Makefile").read_text().replace("$(RUN)", "runs/quickstart")
  ci = (ROOT / ".ci" / "run").read_text()
  for name, commands in MAKE.items():
    assert name in ci
    assert all(command.removeprefix("python") in make for command in commands)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_paths_exist(page):
  paths = re.findall(r"`((?:configs|experiments)/[\w./]+)`", page.read_text())
  missing = [x for x in paths if "NAME" not in x and not (ROOT / x).exists()]
  assert not missing


def _in_small(command):
  words = shlex.split(command)
  words[0] = sys.executable
  for k, word in enumerate(words):
    if word.startswith("--config=configs/"):
      file = word.removeprefix("--config=")
      words[k] = f"--config={ROOT / file}:smoke"
      stem = file.removeprefix("configs/").removesuffix(".py")
      if "--workdir=" not in command:
        words.append(f"--workdir=runs/{stem}")
      if "guitar" in file:
        words += GUITAR
      if command.startswith(f"{MAIN} --config"):
        words += SHALLOW
    if word.startswith("--config.steps="):
      words[k] = "--config.steps=6"
  return words


@pytest.mark.e2e
def test_python_commands_run_in_this_order_in_small(tmp_path):
  """Recordings → prepare → train → … → report, `:smoke` sizes."""
  (tmp_path / "MY_GUITAR").mkdir()
  for i in range(6):
    audio = pluck(4.0, 110.0 + 15.0 * i, RATE)
    soundfile.write(tmp_path / "MY_GUITAR" / f"{i}.wav", audio, RATE)
  clean = audio[:RATE]
  soundfile.write(tmp_path / "CLEAN.wav", clean, RATE)
  soundfile.write(tmp_path / "IN.wav", np.clip(clean, -0.4, 0.4), RATE)
  audio = rounded(overdriven(clean, 35.0, 20.0, 0.5))
  soundfile.write(tmp_path / "OVERDRIVEN.wav", audio, RATE)
  assert len(OURS) > 10
  for line in COMMANDS:
    for command in MAKE.get(line, (line,) if line in OURS else ()):
      result = subprocess.run(
        _in_small(command),
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
      )
      assert result.returncode == 0, f"{command}\n{result.stderr}"
  clipped, *restored = (
    soundfile.read(tmp_path / name)[0]
    for name in ("IN.wav", "OUT.wav", "RESTORED.wav", "DECLIPPED.wav")
  )
  for audio in restored:
    assert audio.shape == clipped.shape
    assert np.abs(audio - clipped).max() > 0.01
  undone, _ = soundfile.read(tmp_path / "UNDONE.wav")
  assert np.abs(undone - clean[:, 0]).max() < 0.01
  results = tmp_path / "runs/demucs_guitar_overdrive/evaluation"
  assert list(results.glob("*/results.jsonl"))
  assert (tmp_path / "report/page/index.html").is_file()
  tables = "\n".join(p.read_text() for p in tmp_path.glob("report/tables/*.md"))
  assert "CEG-OD" in tables
