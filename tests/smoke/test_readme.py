"""Every command of the README runs: here in small, or in CI as it stands."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

ROOT = Path(__file__).parents[2]
SMOKE_FIELDS = (
  "--config.data.dataset=audio_folder",
  "--config.data.data_dir=data/guitar",
  "--config.data.excerpt_seconds=10.0",
)


def _commands():
  text = (ROOT / "README.md").read_text()
  blocks = re.findall(r"```bash\n(.*?)```", text, re.S)
  return [line for block in blocks for line in block.splitlines() if line]


def _python_commands():
  return [line for line in _commands() if line.startswith("python -m ")]


def test_what_is_not_python_is_what_ci_runs():
  """CI calls make, and make the commands that the README shows by hand."""
  ci = (ROOT / ".ci" / "run").read_text()
  make = (ROOT / "Makefile").read_text()
  others = set(_commands()) - set(_python_commands())
  assert others == {
    "python experiments/reproduce.py --task=ceg_overdrive --path=MY_GUITAR",
    "make quickstart",
    "make test",
    "python3 -m venv .venv",
    ". .venv/bin/activate",
    "pip install --editable '.[test]'",
    "pytest -n auto",
  }
  assert "make quickstart" in ci
  assert "make reproduce-smoke" in ci
  assert "experiments/reproduce.py --task=$(TASK) --smoke" in make
  assert "make test" in ci
  assert "$(PYTHON) -m venv $(VENV)" in make
  assert "pip install --quiet --editable '.[test]'" in make
  assert "pytest -n auto" in make


def test_inline_commands_and_paths_exist():
  text = (ROOT / "README.md").read_text()
  for path in re.findall(r"`((?:configs|experiments)/[\w./]+)`", text):
    assert (ROOT / path).exists() or "NAME" in path, path


@pytest.mark.slow
def test_python_commands_run_in_this_order_in_small(tmp_path):
  """Recordings → prepare → train → … → report, `:smoke` sizes."""
  rng = np.random.default_rng(0)
  (tmp_path / "MY_GUITAR").mkdir()
  for i in range(6):
    decay = np.exp(-np.linspace(0.0, 4.0, 4 * 22_050))[:, None]
    audio = 0.3 * decay * rng.standard_normal((4 * 22_050, 1))
    soundfile.write(tmp_path / "MY_GUITAR" / f"{i}.wav", audio, 22_050)
  soundfile.write(tmp_path / "CLEAN.wav", audio, 22_050)
  clipped = np.clip(audio, -0.25, 0.25)
  soundfile.write(tmp_path / "IN.wav", clipped, 22_050)
  commands = _python_commands()
  assert len(commands) == 15
  for command in commands:
    words = shlex.split(command)
    words[0] = sys.executable
    for k, word in enumerate(words):
      if word.startswith("--config=configs/"):
        file = word.removeprefix("--config=")
        words[k] = f"--config={ROOT / file}:smoke"
        words += [f"--workdir=runs/{Path(file).stem}"]
        if "guitar" in file:
          words += SMOKE_FIELDS
    result = subprocess.run(
      words, cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, f"{command}\n{result.stderr}"
  for name in ("OUT.wav", "DECLIPPED.wav"):
    restored = soundfile.info(tmp_path / name)
    assert (restored.frames, restored.samplerate) == (4 * 22_050, 22_050)
  results = tmp_path / "runs/demucs_guitar_overdrive/evaluation"
  assert list(results.glob("*/results.jsonl"))
  assert (tmp_path / "report/page/index.html").is_file()
  tables = "\n".join(p.read_text() for p in tmp_path.glob("report/tables/*.md"))
  assert "CEG-OD" in tables
