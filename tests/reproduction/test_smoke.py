"""The whole chain in small, from no data to the report."""

import subprocess
import sys

import pytest
from conftest import ROOT


@pytest.mark.e2e
def test_smoke_from_end_to_end_and_again(tmp_path):
  words = "--task=ceg_hard_clip --smoke --networks=umx"
  folders = f"--workdir={tmp_path}/reproduced", f"--data-dir={tmp_path}/data"
  program = [sys.executable, "experiments/reproduce.py"]
  command = [*program, *words.split(), *folders]
  for finished in (0, 6):
    output = subprocess.check_output(command, cwd=ROOT, text=True)
    assert output.count("finished before") == finished
  report = tmp_path / "reproduced" / "report"
  text = (report / "report.md").read_text()
  for label in ("UMX", "A-SPADE", "ideal ratio mask"):
    assert label in text
  assert list((report / "tables").glob("*.csv"))
  assert list((report / "figures").glob("*.png"))
  assert (report / "page" / "index.html").is_file()
  run = tmp_path / "reproduced" / "ceg_hard_clip"
  for name in ("umx", "baselines"):
    assert (run / name / "timing.jsonl").stat().st_size
    assert list((run / name).glob("evaluation/*/results.jsonl"))
