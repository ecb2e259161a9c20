"""Reading evaluations: what is merged, what is kept, what is refused."""

import logging

import numpy as np
import pytest
from made_results import (
  RATE,
  SETTINGS,
  make_evaluation,
  make_rows,
  write_evaluation,
  write_lines,
)

from distortion_removal.common.errors import UserError
from distortion_removal.report import results

SCORES = {
  "demucs": {50.0: [9.0, 8.0], 20.0: [3.0, None]},
  "distorted": {20.0: [1.0, 2.0], 50.0: [0.5, 0.25]},
}


def _load(*folders):
  (found,) = results.load(folders)
  return found


@pytest.fixture
def warnings(caplog, monkeypatch):
  monkeypatch.setattr(results.logger, "propagate", True)
  caplog.set_level(logging.WARNING, logger=results.logger.name)
  return caplog


def test_scores_of_a_run(tmp_path):
  rows = make_rows(SCORES)
  del rows[3]["si_sdr"]  # as is None: not scored
  folder = write_evaluation(tmp_path, rows)
  for place in (tmp_path, folder, folder.parent):
    found = _load(place)
    assert len(found.rows) == 8
    expected = {
      "task": "overdrive",
      "task_label": "CEG-OD",
      "dataset": "guitar",
      "level_name": "gain_db",
      "level_unit": "dB",
      "levels": (20.0, 50.0),
      "files": ("test/0", "test/1"),
      "methods": ("distorted", "demucs"),
      "metrics": ("si_sdr",),
      "settings": SETTINGS,
      "sample_rate": RATE,
      "runs": {"demucs": tmp_path},
    }
    assert expected.items() <= vars(found).items()
    assert found.failures == {}
    scores = found.scores("si_sdr")
    assert list(scores) == ["distorted", "demucs"]
    np.testing.assert_array_equal(scores["distorted"], [[1, 0.5], [2, 0.25]])
    np.testing.assert_array_equal(scores["demucs"], [[3, 9], [np.nan, 8]])


def test_metrics_come_in_order_and_unknown_columns_are_kept(tmp_path):
  rows = [
    row | {"esr": 0.1, "r_nonlin": 0.9, "peaq": -1.0, "tomorrow's": [1, 2]}
    for row in make_rows(SCORES)
  ]
  shared = {"dataset": "guitar", "task": "overdrive"}
  numbers = [("demucs", 20.0, 1.5), ("demucs", None, None)]
  numbers += [("demucs", 50.0, float("inf")), ("distorted", None, 9.0)]
  systems = [
    shared | {"method": method, "gain_db": level, "fad": fad}
    for method, level, fad in numbers
  ]
  write_evaluation(tmp_path, rows, systems=systems)
  found = _load(tmp_path)
  assert found.metrics == ("si_sdr", "peaq", "r_nonlin", "fad", "esr")
  assert found.rows[0]["tomorrow's"] == [1, 2]
  fad = found.system_scores("fad")
  assert list(fad) == ["distorted", "demucs"]
  assert fad["distorted"] == {None: 9.0}
  assert fad["demucs"][20.0] == 1.5
  assert np.isnan([fad["demucs"][None], fad["demucs"][50.0]]).all()
  assert found.system_scores("frechet_logmel") == {}


def test_the_card_says_what_rows_do_not(tmp_path):
  card = {
    "task_label": "CEG-OD (colour 30)",  # Such tasks are not known by name.
    "left_out": {"sspade": "does not undo it", "aspade": "nor does it"},
    # SI-SDR has scores: another run could compute it.
    "metrics_left_out": {"si_sdr": "too short", "fad": "no weights"},
  }
  rows = make_rows(SCORES, task="overdrive_colour=30")
  write_evaluation(tmp_path, rows, card=card)
  found = _load(tmp_path)
  assert (found.task_label, found.level_label) == ("CEG-OD (colour 30)", "gain")
  assert list(found.left_out) == ["aspade", "sspade"]
  assert found.metrics_left_out == {"fad": "no weights"}


def test_runs_are_merged_and_shared_methods_taken_once(tmp_path, warnings):
  shared = {"distorted": {20.0: [1.0, 2.0]}}
  one = make_rows({**shared, "demucs": {20.0: [5.0, 6.0]}})
  two = make_rows({**shared, "umx": {20.0: [3.0, 4.0]}})
  for row in two:
    row |= {"sdr": 7.0, "settings": {"si_sdr": "mean removed"}}
  runs = [tmp_path / "one", tmp_path / "two"]
  write_evaluation(runs[0], one, card={"left_out": {"umx": "x"}})
  write_evaluation(runs[1], two, card={"left_out": {"aspade": "y"}})
  found = _load(*runs)
  assert found.methods == ("distorted", "demucs", "umx")
  assert len(found.rows) == 6
  # The second copy fills in a metric that the first run did not have.
  assert found.scores("sdr")["distorted"].ravel().tolist() == [7.0, 7.0]
  assert found.left_out == {"aspade": "y"}
  assert found.runs == dict(zip(("demucs", "umx"), runs, strict=True))
  assert found.settings["si_sdr"] == "mean kept or mean removed"
  assert not warnings.records
  # Copies that differ are told.
  write_evaluation(runs[1], [two[0] | {"si_sdr": 1.5}, *two[1:]])
  distorted = _load(*runs).scores("si_sdr")["distorted"]
  assert distorted.ravel().tolist() == [1.0, 2.0]
  (record,) = warnings.records
  for words in (str(runs[1]), "distorted", "0.5"):
    assert words in record.getMessage()


@pytest.mark.parametrize(
  "lack",
  [
    {"si_sdr": None, "sdr": None, "error": "it broke"},
    {"sdr": None, "metric_errors": {"sdr": "bad"}},
  ],
)
def test_a_copy_takes_the_place_of_a_row_that_lacks_scores(tmp_path, lack):
  (row,) = make_rows({"aspade": {20.0: [1.0]}}, task="hard_clip")
  write_evaluation(tmp_path / "whole", [row | {"sdr": 2.0}])
  write_evaluation(tmp_path / "lacks", [row | lack])
  folders = [tmp_path / "lacks", tmp_path / "whole"]
  for order in (folders, folders[::-1]):
    found = _load(*order)
    (kept,) = found.rows
    assert (kept["si_sdr"], kept["sdr"]) == (1.0, 2.0)
    assert not {"error", "metric_errors"} & set(kept)
    assert found.failures == {}


def test_networks_of_one_name_are_told_apart(tmp_path):
  runs = [tmp_path / "first", tmp_path / "b", tmp_path / "deep" / "b"]
  usual = {"methods": ("demucs",), "levels": (20.0,), "files": 1, "heard": 1}
  folders = []
  for i, run in enumerate(runs):
    scores = {"si_sdr": {"demucs": np.array([[float(i)]])}}
    folders.append(make_evaluation(run, scores=scores, **usual) / "sounds")
  found = _load(*runs)
  assert found.methods == ("demucs", "demucs (b)", "demucs (deep/b)")
  scores = found.scores("si_sdr")
  assert [scores[m].item() for m in found.methods] == [0.0, 1.0, 2.0]
  assert [(sound.method, sound.path) for sound in found.sounds] == [
    ("clean", folders[0] / "0000.flac"),
    ("demucs", folders[0] / "0001.flac"),
    ("demucs (b)", folders[1] / "0001.flac"),
    ("demucs (deep/b)", folders[2] / "0001.flac"),
  ]


def test_a_timed_network_has_the_key_of_its_scores(tmp_path):
  runs = [tmp_path / name for name in ("a", "b", "c")]
  for run in runs[:2]:
    write_evaluation(run, make_rows({"demucs": {20.0: [1.0]}}))
  runs[2].mkdir()
  row = {"method": "demucs", "task": "overdrive", "dataset": "guitar"}
  # The first is not timed, the last has no scores.
  for run in runs[1:]:
    write_lines(run / "timing.jsonl", [row, row | {"dataset": "other"}])
  found = _load(*runs[:2])
  assert found.runs == {"demucs": runs[0], "demucs (b)": runs[1]}
  timings = results.load_timings(runs, [found])
  places = [f"{row['dataset']}: {row['method']}" for row in timings]
  assert places[:2] == ["guitar: demucs (b)", "other: demucs"]
  assert places[2:] == ["guitar: demucs (c)", "other: demucs (c)"]
  assert list(found.runs) == ["demucs", "demucs (b)"]


def test_data_sets_and_tasks_stay_apart_and_folders_count_once(tmp_path):
  places = [("overdrive", "a"), ("overdrive", "b"), ("hard_clip", "a")]
  for task, dataset in places:
    rows = make_rows(SCORES, task=task, dataset=dataset)
    folder = write_evaluation(tmp_path, rows)
  found = results.load([tmp_path, folder, tmp_path / "evaluation"])
  assert sorted((x.task, x.dataset) for x in found) == sorted(places)
  assert all(x.methods == ("distorted", "demucs") for x in found)


def test_sounds_that_lie_elsewhere_are_left_out(tmp_path):
  folder = make_evaluation(tmp_path, files=1, methods=("demucs",), heard=1)
  sound = folder / "sounds" / "0001.flac"
  sound.rename(tmp_path / "elsewhere.flac")
  sound.symlink_to(tmp_path / "elsewhere.flac")
  kept = [(sound.method, sound.level) for sound in _load(tmp_path).sounds]
  assert kept[:2] == [("clean", None), ("demucs", 25.0)]


@pytest.mark.parametrize(
  ("name", "content", "message"),
  [
    ("results.jsonl", '{"method": "a"}\n{"method": "demu', "line 2: damaged"),
    ("systems.jsonl", '{"method": "demu', "line 1: damaged"),
    ("sounds.json", "[{", "damaged"),
    ("evaluation.json", None, "is missing"),
  ],
)
def test_damaged_files_are_named(tmp_path, name, content, message):
  path = write_evaluation(tmp_path, make_rows(SCORES)) / name
  path.write_text(content) if content else path.unlink()
  with pytest.raises(UserError, match=f"{name}.*{message}.*evaluate again"):
    results.load([tmp_path])


def test_folders_without_an_evaluation_are_refused(tmp_path):
  with pytest.raises(UserError, match="--mode=evaluate"):
    results.load([tmp_path])
  assert results.load_timings([tmp_path], []) == []
  (tmp_path / "timing.jsonl").write_text("{")
  with pytest.raises(UserError, match=r"timing.jsonl, line 1.*--mode=time"):
    results.load_timings([tmp_path], [])


def test_runs_of_several_sample_rates_are_refused(tmp_path):
  for name, rate in (("a", 16_000), ("b", 44_100)):
    card = {"sample_rate": rate}
    write_evaluation(tmp_path / name, make_rows(SCORES), card=card)
  with pytest.raises(UserError, match=r"16000 Hz.*44100 Hz"):
    results.load([tmp_path / "a", tmp_path / "b"])
