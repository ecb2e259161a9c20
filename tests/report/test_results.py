"""Reading evaluations: what is merged, what is kept, what is refused."""

import json
import logging
import math
import time

import numpy as np
import pytest
from made_results import SETTINGS, make_rows, write_evaluation, write_lines
from synthetic_results import make_results

from distortion_removal.common.errors import UserError
from distortion_removal.report import merging, results

SCORES = {
  "demucs": {50.0: [9.0, 8.0], 20.0: [3.0, None]},
  "distorted": {20.0: [1.0, 2.0], 50.0: [0.5, 0.25]},
}


def _load(*folders):
  (found,) = results.load(folders)
  return found


@pytest.fixture
def warnings(caplog, monkeypatch):
  monkeypatch.setattr(merging.logger, "propagate", True)
  caplog.set_level(logging.WARNING, logger=merging.logger.name)
  return caplog


def test_scores_of_an_old_folder(tmp_path):
  folder = write_evaluation(tmp_path, make_rows(SCORES))
  for place in (tmp_path, folder, folder.parent):
    found = _load(place)
    assert (found.task, found.task_label) == ("overdrive", "CEG-OD")
    assert found.dataset == "guitar"
    level = (found.level_name, found.level_label, found.level_unit)
    assert level == ("gain_db", "gain", "dB")
    assert found.levels == (20.0, 50.0)
    assert found.files == ("test/0", "test/1")
    assert found.methods == ("distorted", "demucs")
    assert found.metrics == ("si_sdr",)
    assert len(found.rows) == 8
    assert (found.left_out, found.failures, found.sounds) == ({}, {}, ())
    assert found.sample_rate is None
    assert found.runs == {"demucs": tmp_path}
    assert found.settings == SETTINGS
    scores = found.scores("si_sdr")
    assert list(scores) == ["distorted", "demucs"]
    np.testing.assert_array_equal(scores["distorted"], [[1, 0.5], [2, 0.25]])
    np.testing.assert_array_equal(scores["demucs"], [[3, 9], [np.nan, 8]])


def test_what_is_missing_or_not_finite_is_nan(tmp_path):
  rows = make_rows({"distorted": {20.0: [1.0, float("nan")], 50.0: [4.0]}})
  rows += make_rows({"demucs": {50.0: [float("inf")]}})
  del rows[0]["si_sdr"]
  write_evaluation(tmp_path, rows)
  scores = _load(tmp_path).scores("si_sdr")
  nan = np.nan
  np.testing.assert_array_equal(scores["distorted"], [[nan, 4], [nan, nan]])
  np.testing.assert_array_equal(scores["demucs"], [[nan, nan], [nan, nan]])


def test_metrics_come_in_order_and_unknown_columns_are_kept(tmp_path):
  rows = [
    row | {"esr": 0.1, "r_nonlin": 0.9, "peaq": -1.0, "tomorrow's": [1, 2]}
    for row in make_rows(SCORES)
  ]
  systems = [
    {
      "dataset": "guitar",
      "task": "overdrive",
      "method": method,
      "gain_db": level,
      "fad": fad,
      "fad_windows": [4, 2],
      "settings": {"fad": "VGGish"},
    }
    for method, level, fad in [
      ("demucs", 20.0, 1.5),
      ("demucs", None, None),
      ("demucs", 50.0, math.inf),
      ("distorted", None, 9.0),
    ]
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
    "level_name": "gain_db",
    "sample_rate": 16_000,
    "left_out": {"sspade": "does not undo it", "aspade": "nor does it"},
    # Of the former there are scores: another run could compute it.
    "metrics_left_out": {"si_sdr": "too short", "fad": "no weights"},
  }
  write_evaluation(tmp_path, make_rows(SCORES), card=card)
  found = _load(tmp_path)
  assert found.sample_rate == 16_000
  assert found.left_out == {
    "aspade": "nor does it",
    "sspade": "does not undo it",
  }
  assert list(found.left_out) == ["aspade", "sspade"]
  assert found.metrics_left_out == {"fad": "no weights"}


def test_rows_of_failed_excerpts_are_counted(tmp_path):
  rows = make_rows(SCORES)
  rows[0] |= {"si_sdr": None, "error": "out of memory"}
  write_evaluation(tmp_path, rows)
  found = _load(tmp_path)
  assert found.failures == {"demucs": 1}
  assert np.isnan(found.scores("si_sdr")["demucs"][0, 1])
  failed = found.where(lambda row: "error" in row)
  np.testing.assert_array_equal(failed["demucs"], [[False, True], [False] * 2])
  assert not failed["distorted"].any()


def test_a_metric_that_failed_is_no_failure_of_the_method(tmp_path):
  rows = make_rows({"demucs": {20.0: [1.0, 2.0, None, None]}})
  rows[0] |= {"r_nonlin": None, "error": "r_nonlin: ValueError"}
  rows[1] |= {"r_nonlin": None, "metric_errors": {"r_nonlin": "ValueError"}}
  rows[2] |= {
    "r_nonlin": None,
    "metric_errors": {"si_sdr": "a", "r_nonlin": "b"},
  }
  rows[3] |= {"r_nonlin": None, "error": "out of memory"}
  write_evaluation(tmp_path, rows)
  found = _load(tmp_path)
  assert found.failures == {"demucs": 1}
  assert found.scores("si_sdr")["demucs"][:2].ravel().tolist() == [1.0, 2.0]


def test_an_unknown_task_is_called_by_its_name(tmp_path):
  rows = make_rows(SCORES, task="fuzz")
  write_evaluation(tmp_path / "a", rows)
  found = _load(tmp_path / "a")
  assert (found.task_label, found.level_label) == ("fuzz", "gain")
  rows = make_rows(SCORES, task="fuzz", level_name="bias_volts")
  write_evaluation(tmp_path / "b", rows, card={"level_name": "bias_volts"})
  found = _load(tmp_path / "b")
  assert (found.level_label, found.level_unit) == ("bias_volts", "")
  assert found.levels == (20.0, 50.0)
  write_evaluation(tmp_path / "c", rows)
  with pytest.raises(UserError, match=r"no level.*'fuzz'"):
    results.load([tmp_path / "c"])


def test_runs_are_merged_and_shared_methods_taken_once(tmp_path, warnings):
  shared = {"distorted": {20.0: [1.0, 2.0]}}
  one = make_rows({**shared, "demucs": {20.0: [5.0, 6.0]}})
  two = make_rows({**shared, "umx": {20.0: [3.0, 4.0]}})
  for row in two:
    row["sdr"] = 7.0
  write_evaluation(tmp_path / "one", one, card={"left_out": {"umx": "x"}})
  write_evaluation(tmp_path / "two", two, card={"left_out": {"aspade": "y"}})
  found = _load(tmp_path / "one", tmp_path / "two")
  assert found.methods == ("distorted", "demucs", "umx")
  assert len(found.rows) == 6
  # The second copy fills in a metric that the first run did not have.
  assert found.scores("sdr")["distorted"].ravel().tolist() == [7.0, 7.0]
  assert found.left_out == {"aspade": "y"}
  assert found.runs == {"demucs": tmp_path / "one", "umx": tmp_path / "two"}
  assert not warnings.records


def test_copies_that_differ_are_told(tmp_path, warnings):
  for name, score in (("one", 1.0), ("two", 1.5)):
    rows = make_rows({"aspade": {20.0: [score, 2.0]}}, task="hard_clip")
    write_evaluation(tmp_path / name, rows)
  found = _load(tmp_path / "one", tmp_path / "two")
  assert found.scores("si_sdr")["aspade"].ravel().tolist() == [1.0, 2.0]
  (record,) = warnings.records
  message = record.getMessage()
  assert str(tmp_path / "two") in message
  assert "A-SPADE" in message
  assert "0.5" in message


def test_a_copy_takes_the_place_of_a_failure(tmp_path, warnings):
  rows = make_rows({"aspade": {20.0: [1.0]}}, task="hard_clip")
  failed = [row | {"si_sdr": None, "error": "it broke"} for row in rows]
  write_evaluation(tmp_path / "failed", failed)
  write_evaluation(tmp_path / "whole", rows)
  for order in (("failed", "whole"), ("whole", "failed")):
    found = _load(*(tmp_path / name for name in order))
    assert found.failures == {}
    assert found.scores("si_sdr")["aspade"].tolist() == [[1.0]]


def test_a_copy_takes_the_place_of_a_row_whose_metric_failed(tmp_path):
  (row,) = make_rows({"aspade": {20.0: [1.0]}}, task="hard_clip")
  whole = row | {"sdr": 2.0}
  write_evaluation(tmp_path / "whole", [whole])
  gap = row | {"sdr": None}
  for name, reason in (
    ("error", "sdr: bad"),
    ("metric_errors", {"sdr": "bad"}),
  ):
    write_evaluation(tmp_path / name, [gap | {name: reason}])
    for order in ((name, "whole"), ("whole", name)):
      (kept,) = _load(*(tmp_path / x for x in order)).rows
      assert kept == whole
  failed = gap | {"si_sdr": None, "error": "out of memory"}
  write_evaluation(tmp_path / "failed", [failed])
  (kept,) = _load(tmp_path / "failed", tmp_path / "metric_errors").rows
  assert kept == gap | {"metric_errors": {"sdr": "bad"}}


def test_networks_of_one_name_are_told_apart(tmp_path):
  runs = [tmp_path / "first", tmp_path / "b", tmp_path / "deep" / "b"]
  for i, run in enumerate(runs):
    sound = {"file": "test/0", "method": "demucs", "level": 20, "path": "a"}
    write_evaluation(
      run,
      make_rows({"demucs": {20.0: [float(i)]}}),
      sounds=[sound, sound | {"method": "clean", "level": None, "path": "b"}],
    )
    row = {"method": "demucs", "task": "overdrive", "dataset": "guitar"}
    row |= {"device": "cpu", "seconds_per_second": 0.5}
    write_lines(run / "timing.jsonl", [row, row | {"method": "aspade"}])
  found = _load(*runs)
  assert found.methods == ("demucs", "demucs (b)", "demucs (deep/b)")
  scores = found.scores("si_sdr")
  assert [scores[m].item() for m in found.methods] == [0.0, 1.0, 2.0]
  sounds = [(sound.method, sound.path) for sound in found.sounds]
  folders = [run / "evaluation" / "guitar_overdrive" for run in runs]
  assert sounds == [
    ("demucs", folders[0] / "a"),
    ("clean", folders[0] / "b"),
    ("demucs (b)", folders[1] / "a"),
    ("demucs (deep/b)", folders[2] / "a"),
  ]
  timings = [row["method"] for row in results.load_timings(runs, [found])]
  assert timings == [
    "demucs",
    "aspade",
    "demucs (b)",
    "aspade",
    "demucs (deep/b)",
    "aspade",
  ]


def test_a_timed_network_has_the_key_of_its_scores(tmp_path):
  runs = [tmp_path / name for name in ("a", "b", "c")]
  for run in runs[:2]:
    write_evaluation(run, make_rows({"demucs": {20.0: [1.0]}}))
  runs[2].mkdir()
  row = {"method": "demucs", "task": "overdrive", "dataset": "guitar"}
  row |= {"device": "cpu", "seconds_per_second": 0.5}
  # The first is not timed, the last has no scores.
  for run in runs[1:]:
    write_lines(run / "timing.jsonl", [row, row | {"dataset": "other"}])
  found = _load(*runs[:2])
  assert found.runs == {"demucs": runs[0], "demucs (b)": runs[1]}
  timings = results.load_timings(runs, [found])
  assert [(row["dataset"], row["method"]) for row in timings] == [
    ("guitar", "demucs (b)"),
    ("other", "demucs"),
    ("guitar", "demucs (c)"),
    ("other", "demucs (c)"),
  ]
  assert list(found.runs) == ["demucs", "demucs (b)"]


def test_a_folder_given_twice_counts_once(tmp_path):
  folder = write_evaluation(tmp_path, make_rows(SCORES))
  found = _load(tmp_path, folder, tmp_path / "evaluation")
  assert found.methods == ("distorted", "demucs")


def test_data_sets_and_tasks_stay_apart(tmp_path):
  places = [("overdrive", "a"), ("overdrive", "b"), ("hard_clip", "a")]
  for task, dataset in places:
    rows = make_rows(SCORES, task=task, dataset=dataset)
    write_evaluation(tmp_path, rows)
  found = results.load([tmp_path])
  assert sorted((x.task, x.dataset) for x in found) == sorted(places)


def test_sounds_that_are_not_there_are_left_out(tmp_path, warnings):
  sound = {"file": "test/0", "method": "demucs", "level": 20.0, "scale": 2.0}
  folder = write_evaluation(
    tmp_path, make_rows(SCORES), sounds=[sound | {"path": "sounds/a.flac"}]
  )
  sounds = json.loads((folder / "sounds.json").read_text())
  sounds += [sound | {"path": "sounds/gone"}, sound | {"path": "../../../x"}]
  (tmp_path / "x").touch()
  (folder / "sounds.json").write_text(json.dumps(sounds))
  (kept,) = _load(tmp_path).sounds
  assert kept == results.Sound(
    "test/0", "demucs", 20.0, folder / "sounds" / "a.flac", 2.0
  )
  assert len(warnings.records) == 2


@pytest.mark.parametrize(
  ("line", "message"),
  [
    ('{"method": "demu', "line 9: not a result"),
    ("[1]", "line 9: .*names no method"),
    ('{"method": "a", "task": "tanh"}', "line 9: .*not of 'overdrive'"),
    (json.dumps(make_rows(SCORES)[0] | {"gain_db": "x"}), "'gain_db' is not"),
    (json.dumps(make_rows(SCORES)[0] | {"gain_db": None}), "'gain_db' is not"),
    (json.dumps(make_rows(SCORES)[0] | {"gain_db": math.nan}), "'gain_db' is"),
    (json.dumps(make_rows(SCORES)[0] | {"si_sdr": "x"}), "'si_sdr' is not"),
  ],
)
def test_damaged_lines_are_named(tmp_path, line, message):
  folder = write_evaluation(tmp_path, make_rows(SCORES))
  with open(folder / "results.jsonl", "a") as file:
    file.write(line)
  with pytest.raises(UserError, match=f"results.jsonl.*{message}"):
    results.load([tmp_path])


@pytest.mark.parametrize(
  ("name", "content"),
  [
    ("evaluation.json", "{"),
    ("evaluation.json", "[]"),
    ("evaluation.json", '{"left_out": ["aspade"]}'),
    ("sounds.json", "{"),
    ("sounds.json", '[{"file": "a"}]'),
    ("systems.jsonl", '{"method": "demucs"}'),
    ("results.jsonl", ""),
  ],
)
def test_damaged_files_are_named(tmp_path, name, content):
  folder = write_evaluation(tmp_path, make_rows(SCORES))
  (folder / name).write_text(content)
  with pytest.raises(UserError, match=name):
    results.load([tmp_path])


def test_folders_without_an_evaluation_are_refused(tmp_path):
  with pytest.raises(UserError, match="--mode=evaluate"):
    results.load([tmp_path])
  assert results.load_timings([tmp_path], []) == []


def test_timings_that_are_damaged_are_named(tmp_path):
  write_lines(tmp_path / "timing.jsonl", [{"method": "demucs"}])
  with pytest.raises(UserError, match=r"timing.jsonl, line 1.*'device'"):
    results.load_timings([tmp_path], [])


def test_runs_of_several_sample_rates_are_refused(tmp_path):
  for name, rate in (("a", 16_000), ("b", 44_100)):
    card = {"sample_rate": rate}
    write_evaluation(tmp_path / name, make_rows(SCORES), card=card)
  with pytest.raises(UserError, match=r"16000 Hz.*44100 Hz"):
    results.load([tmp_path / "a", tmp_path / "b"])


def test_ten_thousand_excerpts_load_in_seconds(tmp_path):
  count, levels = 10_000, (20.0, 35.0, 50.0)
  scores = np.random.default_rng(0).normal(size=(2, 3, count)).tolist()
  methods = ("distorted", "demucs")
  table = {
    method: dict(zip(levels, columns, strict=True))
    for method, columns in zip(methods, scores, strict=True)
  }
  write_evaluation(tmp_path, make_rows(table))
  start = time.process_time()
  found = _load(tmp_path)
  columns = found.scores("si_sdr")
  assert time.process_time() - start < 15.0
  assert len(found.files) == count
  for i, method in enumerate(methods):
    np.testing.assert_array_equal(columns[method].T, scores[i])


def test_no_two_files_have_one_name():
  given = [
    make_results(dataset=name, files=1) for name in ("ä b", "ä/b", "c.d-e")
  ]
  assert results.file_stems(given) == [
    "ä_b_overdrive",
    "ä_b_overdrive_2",
    "c.d-e_overdrive",
  ]
