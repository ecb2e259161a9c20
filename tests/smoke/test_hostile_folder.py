"""A folder of hostile files, through the commands: each has a fate of its own.

That of one file after the other is in audio/test_hostile_files.py.
"""

import json
import os
import subprocess
import sys

import hostile_files
import pytest
import soundfile
from conftest import ROOT, files_of

from distortion_removal.common.files import one_line

pytestmark = pytest.mark.e2e
_NO_RECORDINGS = ("folder.wav", "fifo.wav", "socket.wav")


@pytest.fixture(scope="module")
def cases(tmp_path_factory):
  return hostile_files.make_files(tmp_path_factory.mktemp("hostile"))


def _run(*words):
  result = subprocess.run(
    [sys.executable, "-m", *map(os.fspath, words)],
    cwd=ROOT,
    capture_output=True,
    text=True,
    errors="replace",
    check=False,
    timeout=500,
  )
  for trace in ("Traceback", "a defect of ours", "Warning:"):
    assert trace not in result.stderr.replace("Xing stream", "")
  return result


def _errors(result):
  lines = result.stderr.splitlines()
  return [x.removeprefix("error: ") for x in lines if x.startswith("error: ")]


def test_restoring(cases, tmp_path):
  folder, results = cases[0].path.parent, tmp_path / "restored"
  result = _run(
    *("distortion_removal.restore", folder, "-o", results, "--preset=fast")
  )
  assert result.returncode == 1
  errors, left = _errors(result), set(files_of(results))
  for path, frames, _ in cases:
    if path.name in _NO_RECORDINGS:
      continue
    told = [x for x in errors if x.startswith(f"{one_line(path)}: ")]
    restored = results / path.name
    assert len(told) == (restored not in left), path
    if frames != hostile_files.EITHER:
      assert (restored in left) == (frames is not None), path
    if restored in left:
      with soundfile.SoundFile(os.fsencode(restored)) as file:
        assert file.frames == frames
      left.remove(restored)
  assert not left


def test_restoring_with_a_network(cases, tmp_path):
  """It would take an hour at 768 kHz."""
  folder = cases[0].path.parent
  names = [f"{x}.wav" for x in ("rate_1", "rate_768000", "one_sample", "dc")]
  result = _run(
    *("distortion_removal.restore", *(folder / name for name in names)),
    *("-o", f"{tmp_path}/", "--model=hybrid-hard-clip-16k"),
  )
  assert result.returncode == 1
  one, many = _errors(result)
  assert one.startswith(f"{folder / names[0]}: has 1 Hz")
  assert many.startswith(f"{folder / names[1]}: has 768000 Hz")
  assert sorted(x.name for x in files_of(tmp_path)) == ["dc.wav", names[2]]


def test_preparing(cases, tmp_path):
  folder = cases[0].path.parent
  words = ("--dataset=audio_folder", f"--path={folder}", "--jobs=1")
  result = _run(
    *("distortion_removal.prepare", *words),
    *(f"--data-dir={tmp_path}", "--excerpt-seconds=2"),
  )
  assert result.returncode == 0
  (report,) = tmp_path.rglob("report.json")
  skipped = json.loads(report.read_text())["skipped"]
  # What is longer than a second: the others are too short or no audio.
  lasting = {"rate_1.wav", "rate_7.wav"}
  named = [x for x in result.stderr.splitlines() if "skipped " in x]
  assert len(named) == len(skipped)
  links = {"loop", "there", "back", "dangling"}
  unseen = {*_NO_RECORDINGS, *(f"{name}.wav" for name in links), *lasting}
  assert len(skipped) == len(cases) - len(unseen)
  partial = [x for x in files_of(tmp_path) if "parts" in x.parts]
  assert not partial
