"""Evaluation against scores computed by hand, and what it leaves behind."""

import json

import numpy as np
import pytest
import soundfile
from conftest import RATE, make_tiny_config, pluck

from distortion_removal import config as run_config
from distortion_removal import declipping, effects, metrics
from distortion_removal.common.errors import UserError
from distortion_removal.datasets import opening, pairs, stored
from distortion_removal.effects import tasks
from distortion_removal.evaluation import baselines, evaluate, methods
from distortion_removal.report import results
from distortion_removal.report.methods import method_label
from distortion_removal.training import check_config

METHODS = ("distorted", "demucs", "ideal_ratio_mask")
LEVELS = tasks.get("hard_clip").evaluation_levels


def _records():
  """A whole excerpt, a short one and, which prepare would drop, silence."""
  excerpts = {"a": pluck(2.0, 110.0), "b": pluck(1.25, 196.0)}
  records = [
    {
      "clean": np.float32(audio / np.abs(audio).max()),
      "peak": np.float32(0.8),
      "id": name.encode(),
    }
    for name, audio in excerpts.items()
  ]
  silence = np.zeros((RATE, 1), np.float32)
  return [*records, {"clean": silence, "peak": np.float32(1), "id": b"silent"}]


def _hard_clip(clean, gain_db):
  return np.clip(10 ** (gain_db / 20) * clean.astype(float), -1.0, 1.0)


def _halfway(degraded, clean):
  """An oracle: half the error of the degraded audio at half its level."""
  return np.float32(0.25 * (degraded + clean))


def _three_quarters(degraded, clean, *, task, sample_rate):
  """Takes the place of a baseline: a quarter of the error stays."""
  assert (task.name, sample_rate) == ("hard_clip", RATE)
  return np.float32(0.25 * degraded + 0.75 * clean)


def _si_sdr(estimate, target):
  scale = np.sum(estimate * target) / np.sum(target**2)
  noise = estimate - scale * target
  ratio = np.sum((scale * target) ** 2) / np.sum(noise**2)
  return 10 * np.log10(ratio)


def _sdr(estimate, target):
  return 10 * np.log10(np.sum(target**2) / np.sum((estimate - target) ** 2))


@pytest.fixture
def evaluated(tiny_config, tmp_path, monkeypatch, capsys):
  """The folder of results of a run whose network is `_halfway`."""
  tiny_config.baselines = ("ideal_ratio_mask",)
  monkeypatch.setitem(
    baselines.BASELINES, "ideal_ratio_mask", baselines.Baseline(_three_quarters)
  )
  run_config.save(tiny_config, tmp_path)
  monkeypatch.setattr(methods, "network", lambda *_: _halfway)
  monkeypatch.setattr(opening, "open_dataset", lambda data: None)
  monkeypatch.setattr(
    stored, "read_split", lambda builder, split: {"test": _records()}[split]
  )
  folder = evaluate.evaluate(tmp_path)
  return folder, capsys.readouterr().out


def _rows(folder):
  return [
    json.loads(line)
    for line in (folder / "results.jsonl").read_text().splitlines()
  ]


def test_a_row_per_excerpt_level_and_method(evaluated, tiny_data):
  folder, _ = evaluated
  assert folder.name == f"{tiny_data.name}_hard_clip"
  rows = _rows(folder)
  keys = [(row["file"], row["method"], row["gain_db"]) for row in rows]
  assert sorted(keys) == sorted(
    (file, method, level)
    for file in ("a", "b", "silent")
    for method in METHODS
    for level in LEVELS
  )
  for row in rows:
    assert row["dataset"] == tiny_data.name
    assert row["task"] == "hard_clip"
    assert (
      row["audio_seconds"] == {"a": 2.0, "b": 1.25, "silent": 1.0}[row["file"]]
    )
    assert 0 <= row["compute_seconds"] < 10
    assert 0 <= row["metric_seconds"] < 10
    assert row["settings"] == {
      name: metrics.get(name).settings for name in ("si_sdr", "sdr")
    }


def test_scores_are_those_computed_by_hand(evaluated):
  folder, _ = evaluated
  clean = {
    record["id"].decode(): 0.5 * record["clean"].astype(float)
    for record in _records()
  }
  for row in _rows(folder):
    if row["file"] == "silent":
      assert row["si_sdr"] is None
      assert row["sdr"] is None
      continue
    target = clean[row["file"]]
    estimate = _hard_clip(target, row["gain_db"])
    if row["method"] == "demucs":
      estimate = 0.25 * (estimate + target)
    elif row["method"] == "ideal_ratio_mask":
      estimate = 0.25 * estimate + 0.75 * target
    assert row["si_sdr"] == pytest.approx(_si_sdr(estimate, target), abs=1e-3)
    assert row["sdr"] == pytest.approx(_sdr(estimate, target), abs=1e-3)


def test_the_tables_are_medians_of_the_rows(evaluated):
  folder, printed = evaluated
  text = (folder / "table.md").read_text()
  assert text in printed
  assert str(folder / "listen") in printed
  blocks = text.split("Median ")[1:]
  assert [block.partition(" /")[0] for block in blocks] == ["SI-SDR", "SDR"]
  rows = _rows(folder)
  for metric, block in zip(("si_sdr", "sdr"), blocks, strict=True):
    assert "21 undefined scores left out." in block
    for method in METHODS:
      label = method_label(method)
      line = next(x for x in block.splitlines() if x.startswith(f"| {label} |"))
      cells = [cell.strip() for cell in line.strip("|").split("|")[1:]]
      scores = [
        [
          row[metric]
          for row in rows
          if (row["method"], row["gain_db"]) == (method, level)
          and row[metric] is not None
        ]
        for level in LEVELS
      ]
      assert all(len(values) == 2 for values in scores)
      columns = [*scores, np.concatenate(scores)]
      assert cells == [f"{np.median(values):.2f}" for values in columns]


def test_sounds_and_pictures_lie_beside(evaluated):
  folder, _ = evaluated
  assert sorted(path.name for path in folder.iterdir()) == [
    "evaluation.json",
    "listen",
    "results.jsonl",
    "sdr.png",
    "si_sdr.png",
    "sounds",
    "sounds.json",
    "table.md",
  ]
  # One listening excerpt in the smoke configuration, at the middle level.
  assert sorted(path.name for path in (folder / "listen").iterdir()) == [
    "000_35dB.png",
    "000_35dB_clean.wav",
    "000_35dB_demucs.wav",
    "000_35dB_distorted.wav",
    "000_35dB_ideal_ratio_mask.wav",
  ]


def test_what_was_evaluated_lies_beside(evaluated, tiny_data):
  folder, _ = evaluated
  found = json.loads((folder / "evaluation.json").read_text())
  expected = {
    "dataset": tiny_data.name,
    "task": "hard_clip",
    "task_label": "CEG-HC",
    "level_name": "gain_db",
    "levels": list(LEVELS),
    "sample_rate": RATE,
    "channels": 1,
    "excerpts": 3,
    "network": "demucs",
    "methods": list(METHODS),
    "left_out": {},
    "metrics": ["si_sdr", "sdr"],
    "metrics_left_out": {},
  }
  assert {key: found.get(key) for key in expected} == expected


def test_every_level_of_the_first_excerpt_can_be_heard(evaluated):
  """As it is: what exceeds full scale is a file times its scale."""
  folder, _ = evaluated
  entries = json.loads((folder / "sounds.json").read_text())
  keys = [(e["file"], e["method"], e["level"]) for e in entries]
  expected = [("a", method, x) for method in METHODS for x in LEVELS]
  assert sorted(keys, key=str) == sorted(
    [*expected, ("a", "clean", None)], key=str
  )
  clean = 0.5 * _records()[0]["clean"].astype(float)
  for entry in entries:
    audio, rate = soundfile.read(folder / entry["path"], always_2d=True)
    assert rate == RATE
    assert soundfile.info(folder / entry["path"]).subtype == "PCM_24"
    degraded = _hard_clip(clean, entry["level"] or 0.0)
    expected = {
      "clean": clean,
      "distorted": degraded,
      "demucs": 0.25 * (degraded + clean),
      "ideal_ratio_mask": 0.25 * degraded + 0.75 * clean,
    }[entry["method"]]
    np.testing.assert_allclose(entry["scale"] * audio, expected, atol=1e-6)


def test_metrics_of_sets_and_of_the_degraded_input(evaluated, tmp_path, caplog):
  """Written beside, and gone with the next evaluation that has none."""
  folder, _ = evaluated
  assert not (folder / "systems.jsonl").exists()
  config = check_config.load(tmp_path)
  config.metrics = ("delta_sdr", "frechet_logmel")
  caplog.set_level("INFO")
  assert evaluate.evaluate(tmp_path, config) == folder
  for row in _rows(folder):
    if row["method"] == "distorted" and row["file"] != "silent":
      assert row["delta_sdr"] == 0.0
    assert "frechet_logmel" not in row
  systems = [json.loads(line) for line in (folder / "systems.jsonl").open()]
  assert [row["method"] for row in systems] == sorted(
    METHODS * (len(LEVELS) + 1), key=METHODS.index
  )
  # 2, 1.25 and 1 s are 2, 1 and 1 whole patches of 0.96 s.
  for row in systems:
    factor = len(LEVELS) if row["gain_db"] is None else 1
    assert row["frechet_logmel_windows"] == [4 * factor, 4]
    assert row["task"] == "hard_clip"
  table = (folder / "table.md").read_text()
  block = table.partition("Fréchet")[2]
  values = [row["frechet_logmel"] for row in systems[: len(LEVELS) + 1]]
  cells = " | ".join(f"{value:.2f}" for value in values)
  assert f"| distorted | {cells} |" in block
  assert "From 4 (a level) to 28 (all) windows of each method; 4 of" in block
  (warning,) = [x for x in caplog.messages if "rank-deficient" in x]
  assert "from 4 windows of 128 dimensions" in warning
  assert (folder / "frechet_logmel.png").is_file()
  assert any(line.startswith("methods took ") for line in caplog.messages)

  config.metrics = ("sdr",)
  evaluate.evaluate(tmp_path, config)
  assert not (folder / "systems.jsonl").exists()


def test_a_real_run_is_scored_on_its_prepared_test_split(tiny_run, tiny_config):
  tiny_config.listen_excerpts = 0
  tiny_config.metrics = ("si_sdr",)
  rows = _rows(evaluate.evaluate(tiny_run, tiny_config))
  files = ["test/00.wav#000", "test/01.wav#000", "test/01.wav#001"]
  assert sorted({row["file"] for row in rows}) == files
  assert len(rows) == 3 * len(LEVELS) * len(METHODS)
  assert "sdr" not in rows[0]
  # Stronger clipping is worse, for the input at least.
  for file in files:
    scores = [
      row["si_sdr"]
      for row in rows
      if (row["file"], row["method"]) == (file, "distorted")
    ]
    assert scores == sorted(scores, reverse=True)


@pytest.mark.parametrize(
  ("field", "value", "message"),
  [
    ("sample_rate", 16_000, "sample_rate 8000, the data set has 16000"),
    ("channels", 2, "channels 1, the data set has 2"),
  ],
)
def test_data_of_another_form_is_refused(
  tiny_run, tiny_config, field, value, message
):
  tiny_config.data[field] = value
  with pytest.raises(
    UserError, match=f"{message}; give --config.data.{field}="
  ):
    evaluate.evaluate(tiny_run, tiny_config)


@pytest.fixture
def without_network(tiny_config, monkeypatch):
  """A configuration for the baselines alone, and two of those."""
  tiny_config.model = {"name": "", "fields": {}}
  tiny_config.baselines = ("ideal_ratio_mask", "overdrive_only")
  for name, undone in (
    ("ideal_ratio_mask", None),
    ("overdrive_only", ("overdrive",)),
  ):
    monkeypatch.setitem(
      baselines.BASELINES, name, baselines.Baseline(_three_quarters, undone)
    )
  monkeypatch.setattr(opening, "open_dataset", lambda data: None)
  monkeypatch.setattr(
    stored, "read_split", lambda builder, split: _records()[:1]
  )
  return tiny_config


def test_no_run_is_needed_without_a_network(without_network, tmp_path, caplog):
  caplog.set_level("INFO")
  rows = _rows(evaluate.evaluate(tmp_path / "run", without_network))
  assert {row["method"] for row in rows} == {"distorted", "ideal_ratio_mask"}
  assert len(rows) == 2 * len(LEVELS)
  (line,) = [line for line in caplog.messages if "left out" in line]
  assert line == "overdrive_only is left out: it does not undo hard clip"


@pytest.mark.parametrize(
  ("name", "calls"), [("ideal_ratio_mask", [2, 1]), ("aspade", [1, 1, 1])]
)
def test_excerpts_of_one_length_go_through_a_method_together(
  without_network, tmp_path, monkeypatch, name, calls
):
  """And through it once; through those that take long one by one."""
  long, short = _records()[:2]
  monkeypatch.setattr(stored, "read_split", lambda *_: [long, short, long])
  seen = []

  def watch(degraded, clean, **_):
    seen.append(degraded.shape)
    return degraded

  monkeypatch.setitem(baselines.BASELINES, name, baselines.Baseline(watch))
  without_network.baselines = (name,)
  evaluate.evaluate(tmp_path / "run", without_network)
  assert [shape[0] for shape in seen] == [len(LEVELS) * n for n in calls]
  assert sorted(shape[1] for shape in seen) == sorted(
    [1.25 * RATE] + [2 * RATE] * (len(calls) - 1)
  )


def test_what_does_not_apply_is_a_gap(without_network, tmp_path):
  folder = evaluate.evaluate(tmp_path / "run", without_network)
  found = json.loads((folder / "evaluation.json").read_text())
  assert found["left_out"] == {"overdrive_only": "does not undo hard clip"}
  gap = " | ".join("–" * 8)  # noqa: RUF001
  table = (folder / "table.md").read_text()
  assert table.count(f"| overdrive_only | {gap} |") == 2
  note = "overdrive_only is left out (–): does not undo hard clip."  # noqa: RUF001
  assert note in table


def test_a_run_is_scored_beside_the_baselines_of_another_configuration(
  without_network, tiny_data, tmp_path, monkeypatch
):
  run_config.save(make_tiny_config(tiny_data), tmp_path)
  monkeypatch.setattr(methods, "network", lambda *_: _halfway)
  rows = _rows(evaluate.evaluate(tmp_path, without_network))
  assert {row["method"] for row in rows} == set(METHODS)


def test_a_bad_configuration_without_a_network_is_told(
  without_network, tmp_path
):
  without_network.apply.overlap_seconds = 3.0
  with pytest.raises(UserError, match="half of the chunk"):
    evaluate.evaluate(tmp_path / "run", without_network)
  assert not (tmp_path / "run").exists()


def test_an_empty_test_split_is_told(tiny_config, tmp_path, monkeypatch):
  run_config.save(tiny_config, tmp_path)
  monkeypatch.setattr(methods, "network", lambda *_: _halfway)
  monkeypatch.setattr(opening, "open_dataset", lambda data: None)
  monkeypatch.setattr(stored, "read_split", lambda builder, split: [])
  with pytest.raises(UserError, match="test split of audio_folder is empty"):
    evaluate.evaluate(tmp_path)
  assert not list(tmp_path.rglob("*.jsonl*"))


def test_no_run_is_told(tmp_path):
  with pytest.raises(UserError, match="no trained run here"):
    evaluate.evaluate(tmp_path)


def test_recorded_pairs_are_scored_as_they_were_recorded(
  without_network, tmp_path, monkeypatch
):
  """At one level, against the clean side on the recording's own scale."""
  (record, short) = _records()[:2]
  for each in (record, short):
    each["degraded"] = np.clip(4 * each["clean"], -1, 1)
    each["degraded_peak"] = np.float32(0.3)
  monkeypatch.setattr(stored, "read_split", lambda *_: [record, short])
  monkeypatch.setitem(
    baselines.BASELINES,
    "ideal_ratio_mask",
    baselines.Baseline(lambda degraded, clean, **_: (degraded + clean) / 2),
  )
  without_network.data.task = "recorded"
  without_network.baselines = ("ideal_ratio_mask",)
  folder = evaluate.evaluate(tmp_path / "run", without_network)
  rows = _rows(folder)
  assert len(rows) == 4
  for row in rows:
    source = {"a": record, "b": short}[row["file"]]
    clean = 0.8 * source["clean"].astype(float)
    degraded = 0.3 * source["degraded"].astype(float)
    half = row["method"] != "distorted"
    estimate = (degraded + clean) / 2 if half else degraded
    assert row["gain_db"] == 0.0
    assert row["audio_seconds"] == len(clean) / RATE
    assert row["si_sdr"] == pytest.approx(_si_sdr(estimate, clean), abs=1e-3)
    assert row["sdr"] == pytest.approx(_sdr(estimate, clean), abs=1e-3)
  assert "distorted" in (folder / "table.md").read_text()
  assert (folder / "si_sdr.png").is_file()


def test_random_effects_are_the_same_in_every_evaluation(
  without_network, tmp_path
):
  """And are not those of another record."""
  without_network.data.task = "random_distortion"
  without_network.baselines = ()
  without_network.metrics = ("sdr",)
  runs = [
    _rows(evaluate.evaluate(tmp_path / name, without_network))
    for name in ("one", "two")
  ]
  scores = [[row["sdr"] for row in run] for run in runs]
  assert scores[0] == scores[1]
  clean = np.float32(0.5 * _records()[0]["clean"])
  effect = effects.get("random_distortion")
  levels = tasks.get("random_distortion").evaluation_levels
  for i, level in enumerate(levels):
    seed = pairs.fixed_seed({"id": b"a"}, i)
    degraded = np.asarray(
      effects.apply(effect, clean[None], np.float32([level]), seed[None])
    )[0]
    expected = _sdr(degraded.astype(float), clean.astype(float))
    assert scores[0][i] == pytest.approx(expected, abs=2e-2)


def test_options_of_the_effect_reach_the_results_and_declippers(
  without_network, tmp_path, monkeypatch
):
  """A declipper is told the rail, and is left out where it cannot work."""
  seen = []

  def declip(degraded, rail):
    if rail is not None:  # It is when options are checked.
      seen.append(rail)
    return degraded, None

  monkeypatch.setattr(declipping, "declipper", lambda name: declip)
  del without_network.aspade
  without_network.baselines = ("aspade",)
  without_network.metrics = ("sdr",)
  folders = []
  for oversample in (None, 4):
    effect = without_network.data.effect
    effect.update(rail=0.25, oversample=oversample)
    folders.append(evaluate.evaluate(tmp_path / "run", without_network))
  plain, oversampled = (path.name for path in folders)
  assert plain.endswith("hard_clip_rail0.25")
  assert oversampled == f"{plain}_oversample4"
  table = (folders[0] / "table.md").read_text()
  assert "Median SDR / dB ↑ by gain: CEG-HC (rail 0.25) on" in table
  rows = _rows(folders[0])
  assert {row["task"] for row in rows} == {"hard_clip_rail0.25"}
  clean = 0.5 * _records()[0]["clean"].astype(float)
  for row, level in zip(rows, LEVELS, strict=False):
    degraded = np.clip(10 ** (level / 20) * clean, -0.25, 0.25)
    assert row["sdr"] == pytest.approx(_sdr(degraded, clean), abs=1e-3)
  assert {row["method"] for row in rows} == {"distorted", "aspade"}
  np.testing.assert_array_equal(np.concatenate(seen), 0.25)
  assert {row["method"] for row in _rows(folders[1])} == {"distorted"}
  description = json.loads((folders[1] / "evaluation.json").read_text())
  assert description["left_out"] == {
    "aspade": "does not undo hard clip (rail 0.25, oversample 4)"
  }
  assert description["task_label"] == "CEG-HC (rail 0.25, oversample 4)"
  (found,) = results.load([folders[1]])
  assert found.task_label == description["task_label"]
