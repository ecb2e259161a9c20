"""The survey of declippers: its commands, its means, and all of it in small."""

import json
import subprocess
import sys

import numpy as np
import pytest
import soundfile
from conftest import RATE, ROOT, pluck
from made_results import make_rows, write_evaluation

from distortion_removal import declipping
from distortion_removal.common.errors import UserError
from distortion_removal.report.results import load
from experiments import declipping_survey
from experiments.survey import report

LEVELS = (1, 3, 5, 7, 10, 15, 20)


def test_one_command_for_each_method_and_its_options_at_the_rate(tmp_path):
  form = {"seconds": 6.0, "sample_rate": 44_100}
  words = ["--config.nmf.iterations=9"]
  found = declipping_survey.stages(
    tmp_path, declipping.DECLIPPERS, **form, overrides=words
  )
  assert found[0].title == "prepare the excerpts"
  assert found[-1].title == "report"
  for name, stage in zip(declipping.DECLIPPERS, found[1:-1], strict=True):
    assert f'--config.baselines=("{name}",)' in stage.command
    assert stage.command[-1] == words[0]
    assert not any(".frame=" in word for word in stage.command)
  _, stage, _ = declipping_survey.stages(
    tmp_path, ["nmf"], **form | {"sample_rate": 16_000}
  )
  assert {"--config.nmf.frame=2048", "--config.nmf.hop=512"} < {*stage.command}
  for names, words in ((["magic"], []), (["nmf"], ["--nmf.frame=3"])):
    with pytest.raises(UserError):
      declipping_survey.stages(tmp_path, names, **form, overrides=words)


def test_means_are_of_excerpts_that_have_scores(tmp_path):
  scores = {"nmf": {1: [2.0, 4.0, 9.0], 3: [1.0, 2.0, 6.0]}}
  rows = make_rows(scores, level_name="input_sdr_db", task="hard_clip_sdr")
  for row in rows:
    row["delta_sdr"] = row.pop("si_sdr")
  rows[2] |= {"delta_sdr": None, "compute_seconds": None}
  rows[1] |= {"compute_seconds": 1.5}
  card = {"level_name": "input_sdr_db"}
  folder = write_evaluation(tmp_path, rows, card=card)
  (results,) = load([folder])
  means = report.mean_scores(results, "delta_sdr")
  np.testing.assert_allclose(means["nmf"], [3.0, 3.0])
  # Five rows of 2 s: four took .25 s, one 1.5.
  assert report.seconds_per_second(results)["nmf"] == pytest.approx(2.5 / 10)
  table = report.score_table(results, "delta_sdr")
  assert table.sections[0].rows == [["NMF", "3", "3.00", "3.00"]]
  published = {row[0]: row[2:] for row in table.sections[1].rows}
  assert published["A-SPADE"] == ["11.88", "13.88"]


def test_published_means_are_those_of_known_methods():
  theirs = report.published()
  assert tuple(theirs["levels_db"]) == LEVELS
  known = {"", "distorted", *declipping.DECLIPPERS}
  assert {row["method"] for row in theirs["rows"]} <= known
  of_metric = {
    name: [row[name] for row in theirs["rows"] if name in row]
    for name in report.METRICS
  }
  for name, best in {
    "delta_sdr": [12.2, 15.0, 16.6, 17.7, 19.0, 21.1, 22.0],
    "peaq": [-3.5, -2.7, -1.7, -1.0, -0.6, -0.3, -0.1],
    "r_nonlin": [0.8, 0.9, 0.9, 0.9, 1.0, 1.0, 1.0],
  }.items():
    found = np.nanmax(np.array(of_metric[name], float), axis=0)
    np.testing.assert_allclose(found, best, atol=0.051)


@pytest.mark.e2e
def test_two_recordings_from_end_to_end_and_again(tmp_path):
  for name, pitch_hz in (("a", 110.0), ("b", 147.0)):
    audio = 0.5 * pluck(1.5, pitch_hz)
    soundfile.write(tmp_path / f"{name}.wav", audio, RATE)
  output = tmp_path / "survey"
  command = [
    *(sys.executable, "experiments/declipping_survey.py"),
    *(f"--path={tmp_path}", f"--output={output}", "--methods=janssen"),
    *("--seconds=1", f"--sample-rate={RATE}"),
    *("--", "--config.janssen.frame=512", "--config.janssen.hop=256"),
    *("--config.janssen.order=32", "--config.janssen.iterations=2"),
  ]
  for finished in (0, 2):
    text = subprocess.check_output(command, cwd=ROOT, text=True)
    assert text.count("finished before") == finished
  rows = [json.loads(x) for x in (output / "scores.jsonl").open()]
  of_method = [row for row in rows if row["method"] == "janssen"]
  assert len(of_method) == 2 * len(LEVELS)
  page = (output / "report.md").read_text()
  for name in report.METRICS:
    assert (output / f"{name}.png").stat().st_size
  for name, digits in {"peaq": 2, "r_nonlin": 3}.items():
    means = [
      np.mean([r[name] for r in of_method if r["input_sdr_db"] == level])
      for level in LEVELS
    ]
    cells = " | ".join(f"{mean:.{digits}f}" for mean in means)
    assert f"| Janssen | 2 | {cells} |" in page
  # The input's SDR is the level; its clip is symmetric, at a peak of 1.
  for row in of_method:
    assert row["sdr"] - row["delta_sdr"] == pytest.approx(
      row["input_sdr_db"], abs=0.01
    )
  clean, _ = soundfile.read(output / "excerpts" / "a.wav.wav")
  assert np.abs(clean).max() == 1
