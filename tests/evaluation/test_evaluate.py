"""Evaluation against scores computed by hand, and what it leaves behind."""

import csv
import itertools
import json
import re
from pathlib import Path
from unittest import mock

import numpy as np
import pytest
import soundfile
from conftest import RATE, files_of
from evaluation_case import METHODS, make_case
from matplotlib.figure import Figure
from random_networks import random_variables

from distortion_removal import declipping, effects, metrics, models
from distortion_removal.common.errors import UserError
from distortion_removal.datasets import pairs
from distortion_removal.effects import tasks
from distortion_removal.evaluation import baselines
from distortion_removal.evaluation.evaluate import evaluate
from distortion_removal.report import results
from distortion_removal.report.report import report
from distortion_removal.training import weights

LEVELS = tasks.get("hard_clip").evaluation_levels


def _si_sdr(estimate, target):
  scale = np.sum(estimate * target) / np.sum(target**2)
  return _sdr(estimate, scale * target)


def _sdr(estimate, target):
  return 10 * np.log10(np.sum(target**2) / np.sum((estimate - target) ** 2))


def _estimates(clean, gain_db):
  """What the methods of a case, and the effect, make of clean audio."""
  degraded = np.clip(10 ** (gain_db / 20) * clean, -1.0, 1.0)
  return {
    "clean": clean,
    "distorted": degraded,
    "demucs": 0.5 * degraded + 0.5 * clean,
    "ideal_ratio_mask": 0.25 * degraded + 0.75 * clean,
  }


@pytest.fixture(scope="module")
def evaluated(tmp_path_factory):
  """A case whose third excerpt is silent, with all its pictures."""
  draw = Figure.savefig
  with pytest.MonkeyPatch.context() as patch:
    case = make_case(patch, tmp_path_factory.mktemp("evaluated") / "run")
    patch.setattr(Figure, "savefig", draw)
    case.source[2]["clean"] = np.zeros((RATE, 1), np.float32)
    case.config.metrics = ("si_sdr", "sdr")
    case.evaluate()
  return case


def test_a_model_file_is_scored_in_a_folder_in_runs(case, monkeypatch):
  """As its run is, which has no weights here."""
  case.evaluate()
  rows = case.rows()
  monkeypatch.chdir(case.workdir.parent)
  variables = random_variables(models.from_config(case.config))
  file = Path("small.safetensors")
  weights.save_model(file, variables, case.config, 5, origin={})
  case.workdir = Path("runs/small")
  folder = evaluate(file, case.config)
  assert folder.is_relative_to(case.workdir)
  assert case.rows() == rows


def test_a_row_per_excerpt_level_and_method(evaluated):
  rows = evaluated.rows(times=True)
  keys = [(row["file"], row["method"], row["gain_db"]) for row in rows]
  assert keys == list(itertools.product("abc", METHODS, LEVELS))
  settings = {x: metrics.get(x).settings for x in ("si_sdr", "sdr")}
  sources = {x["id"].decode(): x["clean"] for x in evaluated.source}
  for row in rows:
    assert (row["task"], row["settings"]) == ("hard_clip", settings)
    assert 0 <= row["compute_seconds"] < 10
    assert 0 < row["metric_seconds"] < 10
    clean = 0.5 * sources[row["file"]].astype(float)
    assert row["audio_seconds"] == len(clean) / RATE
    if row["file"] == "c":
      assert row["si_sdr"] is row["sdr"] is None
      continue
    estimate = _estimates(clean, row["gain_db"])[row["method"]]
    assert row["si_sdr"] == pytest.approx(_si_sdr(estimate, clean), abs=1e-3)
    assert row["sdr"] == pytest.approx(_sdr(estimate, clean), abs=1e-3)


def test_the_tables_have_medians_of_the_rows(evaluated):
  text = (evaluated.folder / "table.md").read_text()
  rows = [row for row in evaluated.rows() if row["file"] != "c"]
  for metric, method in itertools.product(("si_sdr", "sdr"), METHODS):
    block = text.split(f"Median {metrics.get(metric).label} /")[1]
    of_method = [row for row in rows if row["method"] == method]
    for levels in (*((level,) for level in LEVELS), LEVELS):
      scores = [row[metric] for row in of_method if row["gain_db"] in levels]
      assert f" {np.median(scores):.2f} " in block


def test_what_lies_in_the_folder(evaluated):
  folder = evaluated.folder
  assert folder == evaluated.workdir / "evaluation" / "data_hard_clip"
  names = "evaluation.json listen results.jsonl sdr.png si_sdr.png sounds"
  assert {path.name for path in folder.iterdir()} == {
    *(*names.split(), "sounds.json", "table.md")
  }
  # One listening excerpt in the smoke configuration, at the middle level.
  assert {path.name for path in (folder / "listen").iterdir()} == {
    "000_35dB.png",
    *(f"000_35dB_{method}.wav" for method in (*METHODS, "clean")),
  }
  found = json.loads((folder / "evaluation.json").read_text())
  assert found.pop("fingerprints").keys() == {*METHODS, "clean"}
  expected = {"dataset": "data", "task": "hard_clip", "task_label": "CEG-HC"}
  expected |= {"level_name": "gain_db", "levels": list(LEVELS)}
  expected |= {"sample_rate": RATE, "channels": 1, "excerpts": 3}
  expected |= {"network": "demucs", "methods": list(METHODS), "left_out": {}}
  expected |= {"metrics": ["si_sdr", "sdr"], "metrics_left_out": {}}
  assert found == expected


def test_every_level_of_the_first_excerpt_can_be_heard(evaluated):
  entries = json.loads((evaluated.folder / "sounds.json").read_text())
  assert [(e["file"], e["method"], e["level"]) for e in entries] == [
    *(("a", method, level) for method in METHODS for level in LEVELS),
    ("a", "clean", None),
  ]
  clean = 0.5 * evaluated.source[0]["clean"].astype(float)
  for entry in entries:
    path = evaluated.folder / entry["path"]
    audio, rate = soundfile.read(path, always_2d=True)
    assert (rate, soundfile.info(path).subtype) == (RATE, "PCM_24")
    expected = _estimates(clean, entry["level"] or 0.0)[entry["method"]]
    np.testing.assert_allclose(entry["scale"] * audio, expected, atol=1e-6)


@pytest.mark.e2e
def test_metrics_of_sets_and_of_the_degraded_input(case, caplog, capsys):
  """Files of metrics of sets go with the next evaluation that has none."""
  case.source[2]["clean"] = np.zeros((RATE, 1), np.float32)
  case.config.metrics = ("delta_sdr", "frechet_logmel")
  folder = case.evaluate()
  for row in case.rows():
    if row["method"] == "distorted" and row["file"] != "c":
      assert row["delta_sdr"] == 0.0
    assert "frechet_logmel" not in row
  systems = case.rows("systems.jsonl")
  assert [(row["method"], row["gain_db"]) for row in systems] == list(
    itertools.product(METHODS, (*LEVELS, None))
  )
  table = (folder / "table.md").read_text()
  assert table in capsys.readouterr().out
  # 2, 1.25 and 1 s are 2, 1 and 1 whole patches of 0.96 s.
  for row in systems:
    factor = len(LEVELS) if row["gain_db"] is None else 1
    assert row["frechet_logmel_windows"] == [4 * factor, 4]
    assert (row["dataset"], row["task"]) == ("data", "hard_clip")
    assert f" {row['frechet_logmel']:.2f} " in table
  assert any("from 4 windows of 128 dimensions" in x for x in caplog.messages)
  assert (folder / "frechet_logmel.png").is_file()
  case.config.metrics = ("sdr",)
  assert case.evaluate() == folder
  names = {path.name for path in folder.iterdir()}
  assert not names & {"systems.jsonl", "frechet_logmel.png"}


def test_a_run_is_scored_with_baselines_of_another_configuration(case):
  case.config.model = {"name": "", "fields": {}}
  case.evaluate()
  assert {row["method"] for row in case.rows()} == set(METHODS)


@pytest.fixture
def alone(case):
  """A case without a run and a network."""
  (case.workdir / "config.json").unlink()
  case.config.model = {"name": "", "fields": {}}
  case.source = case.source[:1]
  case.config.metrics = ("sdr",)
  return case


def test_mistakes_are_told_before_any_work(case):
  config, files = case.config, set(case.workdir.iterdir())

  def expect(message, config):
    with pytest.raises(UserError, match=message):
      evaluate(case.workdir, config)
    assert set(case.workdir.iterdir()) == files

  config.data.channels = 2
  expect("channels 1, the data set has 2; give --config.data.ch", config)
  (case.workdir / "config.json").unlink()
  files.clear()
  expect("no trained run here", None)
  config.model = {"name": "", "fields": {}}
  case.source = []
  expect("test split of audio_folder is empty", config)
  config.apply.overlap_seconds = 3.0
  expect("half a chunk", config)


@pytest.mark.parametrize(
  ("name", "calls"),
  [
    ("ideal_ratio_mask", [(14, 16_000, 1), (7, 10_000, 1)]),
    ("aspade", [(7, 16_000, 1), (7, 10_000, 1), (7, 16_000, 1)]),
  ],
)
def test_excerpts_of_one_length_go_through_a_method_together(
  case, monkeypatch, name, calls
):
  """Through those that take long they go one by one."""
  method = mock.Mock(side_effect=lambda degraded, clean, **_: degraded)
  monkeypatch.setitem(baselines.BASELINES, name, baselines.Baseline(method))
  case.config.baselines = (name,)
  case.evaluate()
  assert [call.args[0].shape for call in method.mock_calls] == calls


def test_recorded_pairs_are_scored_as_they_were_recorded(alone):
  """At one level, against the clean side on the recording's own scale."""
  (record,) = alone.source
  record["degraded"] = np.clip(4 * record["clean"], -1, 1)
  record["degraded_peak"] = np.float32(0.3)
  alone.config.data.task = "recorded"
  alone.evaluate()
  clean = 0.8 * record["clean"].astype(float)
  degraded = 0.3 * record["degraded"].astype(float)
  rows = alone.rows()
  assert [row["gain_db"] for row in rows] == [0.0, 0.0]
  estimates = degraded, 0.25 * degraded + 0.75 * clean
  for row, estimate in zip(rows, estimates, strict=True):
    assert row["sdr"] == pytest.approx(_sdr(estimate, clean), abs=1e-3)


@pytest.mark.e2e
def test_random_effects_are_the_same_in_every_evaluation(alone):
  """Its seeds are the record's, and the level's."""
  alone.config.data.task = "random_distortion"
  alone.config.baselines = ()
  alone.evaluate()
  clean = np.float32(0.5 * alone.source[0]["clean"])
  effect = effects.get("random_distortion")
  levels = tasks.get("random_distortion").evaluation_levels
  for i, (row, level) in enumerate(zip(alone.rows(), levels, strict=True)):
    seed = pairs.fixed_seed({"id": b"a"}, i)
    level = np.float32([level])
    (degraded,) = effects.apply(effect, clean[None], level, seed[None])
    expected = _sdr(np.float64(degraded), np.float64(clean))
    assert row["sdr"] == pytest.approx(expected, abs=2e-2)


def test_options_of_the_effect_reach_the_results_and_declippers(
  alone, monkeypatch, caplog
):
  """A declipper is told the rail, and is left out where it cannot work."""
  caplog.set_level("INFO")
  declip = mock.Mock(side_effect=lambda degraded, rail: (degraded, None))
  monkeypatch.setattr(declipping, "declipper", lambda name: declip)
  del alone.config.aspade
  alone.config.baselines = ("aspade",)
  alone.config.data.effect.rail = 0.25
  assert alone.evaluate().name == "data_hard_clip_rail0.25"
  assert "(rail 0.25)" in (alone.folder / "table.md").read_text()
  rows = alone.rows()
  assert {row["method"] for row in rows} == {"distorted", "aspade"}
  np.testing.assert_array_equal(declip.call_args.args[1], 0.25)
  clean = 0.5 * alone.source[0]["clean"].astype(float)
  for row, level in zip(rows, LEVELS, strict=False):
    degraded = np.clip(10 ** (level / 20) * clean, -0.25, 0.25)
    assert row["sdr"] == pytest.approx(_sdr(degraded, clean), abs=1e-3)

  before = files_of(alone.folder)
  alone.config.data.effect.oversample = 4
  other = alone.evaluate()
  assert before.items() <= files_of(alone.workdir).items()
  assert other.name == "data_hard_clip_rail0.25_oversample4"
  (found,) = results.load([other])
  assert found.task_label == "CEG-HC (rail 0.25, oversample 4)"
  why = "does not undo hard clip (rail 0.25, oversample 4)"
  assert found.left_out == {"aspade": why}
  assert f"aspade is left out: it {why}" in caplog.messages
  assert why in (other / "table.md").read_text()


def test_excerpts_of_any_name_are_scored_and_reported(case, tmp_path):
  names = [
    b"caf\xe9.wav",
    "音\n.wav".encode(),
    b"|$a$`<i>\x1b[31m," + b"n" * 240,
  ]
  for record, name in zip(case.source, names, strict=True):
    record["id"] = name
  case.config.listen_excerpts = 3
  case.evaluate()
  rows = case.rows()
  assert not [row for row in rows if row.get("error")]
  files = list(dict.fromkeys(row["file"] for row in rows))
  assert files == [r"caf\xe9.wav", *(name.decode() for name in names[1:])]
  # UTF-8 can hold what JSON does.
  assert json.dumps(rows, ensure_ascii=False).encode()
  report([case.workdir], tmp_path / "report")
  page = (tmp_path / "report/page/index.html").read_text(encoding="utf-8")
  data = json.loads(re.search(r'"application/json">(.*?)</script>', page)[1])
  assert [x["name"] for x in data["tasks"][0]["excerpts"]] == files
  (table,) = (tmp_path / "report/tables").glob("*_rows.csv")
  with table.open(encoding="utf-8", newline="") as file:
    assert {row["file"] for row in csv.DictReader(file)} == set(files)
