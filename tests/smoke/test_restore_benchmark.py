"""The benchmark of `restore` in small: both sides do the same work."""

import json
import re
import sys

import pytest


@pytest.mark.e2e
def test_sides_agree_and_what_takes_too_long_is_left_out(
  tmp_path, monkeypatch, capsys
):
  pytest.importorskip("torch", reason="the extra parity is not installed")
  pytest.importorskip("demucs", reason="the extra parity is not installed")
  from experiments.benchmarks import restore

  file = tmp_path / "rows.jsonl"
  words = "--sides demucs PyTorch-demucs --seconds 1 9 --cores 1 --repeats 2"
  words = [*words.split(), "--budget", "1e-6", "--output", str(file)]
  monkeypatch.setattr(sys, "argv", ["restore", *words])
  restore.main()
  ours, theirs = map(json.loads, file.open())
  assert (ours["side"], theirs["side"]) == ("demucs", "PyTorch-demucs")
  for row in ours, theirs:
    # The budget is used up after the first of the repeats.
    assert row["times_s"] == [row["median_s"]]
    assert row["seconds"] == row["cores"] == 1
    assert row["peak_bytes"] >= 0
  text = capsys.readouterr().out
  ratio = theirs["median_s"] / ours["median_s"]
  assert f"PyTorch-demucs / ours {ratio:.2f}" in text
  # The same weights; only the level and the type of the result differ.
  assert float(re.search(r"other (\S+) dB", text)[1]) > 40.0
  assert "9 s are too much for demucs, PyTorch-demucs\n" in text
