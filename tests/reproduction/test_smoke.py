"""The whole chain in small, from no data to the report."""

import subprocess
import sys

import pytest
from conftest import ROOT


@pytest.mark.e2e
def test_smoke_from_end_to_end_and_again(tmp_path):
  """Two networks: everything is there, and nothing is made twice."""
  command = [
    sys.executable,
    "experiments/reproduce.py",
    "--task=ceg_hard_clip",
    "--smoke",
    "--networks=umx,wave_unet",
    f"--workdir={tmp_path / 'reproduced'}",
    f"--data-dir={tmp_path / 'data'}",
  ]
  outputs = []
  for _ in range(2):
    result = subprocess.run(
      command, cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr
    outputs.append(result.stdout)
  assert "finished before" not in outputs[0]
  assert outputs[1].count("finished before") == 9
  report = tmp_path / "reproduced" / "report"
  text = (report / "report.md").read_text()
  for label in ("UMX", "Wave-U-Net", "A-SPADE", "ideal ratio mask"):
    assert label in text
  assert list((report / "tables").glob("*.csv"))
  assert list((report / "figures").glob("*.png"))
  assert (report / "page" / "index.html").is_file()
  run = tmp_path / "reproduced" / "ceg_hard_clip"
  for name in ("umx", "wave_unet", "baselines"):
    assert (run / name / "timing.jsonl").stat().st_size
    assert list((run / name).glob("evaluation/*/results.jsonl"))
