"""Configurations: stored and read back, compared, checked."""

import json
import re

import pytest
from conftest import ROOT, shipped_config

from distortion_removal import config as run_config
from distortion_removal.common.errors import UserError
from distortion_removal.evaluation.plan import check_evaluation_fields
from distortion_removal.training import check_config


def test_round_trip_leaves_no_difference(tmp_path):
  config = shipped_config("crafx_ceg_overdrive")
  assert not run_config.exists(tmp_path)
  run_config.save(config, tmp_path)
  assert run_config.exists(tmp_path)
  loaded = check_config.load(tmp_path)
  assert run_config.differences(loaded, config) == {}
  # JSON has no tuples; what reads them takes any sequence.
  assert list(loaded.model.fields.lstm_features) == [64, 32, 16]
  assert [path.name for path in tmp_path.iterdir()] == ["config.json"]


@pytest.mark.parametrize("field", ["objective", "apply.overlap_seconds"])
def test_a_field_that_is_missing_is_named(tmp_path, field):
  tree = run_config.to_dict(shipped_config("default"))
  *path, last = field.split(".")
  branch = tree
  for part in path:
    branch = branch[part]
  del branch[last]
  (tmp_path / "config.json").write_text(json.dumps(tree))
  with pytest.raises(UserError, match=rf"config\.json: .*{last}") as caught:
    check_config.load(tmp_path)
  assert "\n" not in str(caught.value)


def test_a_file_that_is_no_configuration(tmp_path):
  for text in ("[1, 2]", '{"seed": '):
    (tmp_path / "config.json").write_text(text)
    with pytest.raises(UserError, match=r"config\.json: not a configuration"):
      check_config.load(tmp_path)


def test_differences_of_some_fields_may_be_ignored():
  run, given = shipped_config("quickstart"), shipped_config("quickstart")
  given.baselines = ()
  given.aspade.frame = 512
  given.data.workers = 2
  fields = run_config.CHANGEABLE_FIELDS
  assert run_config.differences(run, given) == {
    "aspade.frame": (1024, 512),
    "baselines": (["ideal_ratio_mask"], []),
    "data.workers": (0, 2),
  }
  assert run_config.differences(run, given, ignored=fields) == {}
  given.batch_size = 5
  with given.unlocked():
    given.steps_more = None  # `steps` is another field
  assert run_config.differences(run, given, ignored=fields) == {
    "batch_size": (run.batch_size, 5),
    "steps_more": ("(absent)", None),
  }


def test_fields_that_may_change_exist():
  flat = run_config.flatten(run_config.to_dict(shipped_config("default")))
  for name in run_config.CHANGEABLE_FIELDS:
    assert any(f"{key}.".startswith(f"{name}.") for key in flat), name


def test_a_configuration_without_a_network_is_checked_but_for_that():
  run = shipped_config("aspade_signaltrain")
  run.loss = "l3"
  check_config.check(run)
  run.baselines = ("aspad",)
  with pytest.raises(UserError, match="unknown baseline 'aspad'"):
    check_evaluation_fields(run)


@pytest.mark.parametrize(
  ("name", "field", "value", "message"),
  [
    ("aspade", "s", 0, "s must be a whole number from 1"),
    ("sspade", "hop", 300, "hop 300"),
    ("social_sparsity", "lambdas", (), "lambdas ()"),
  ],
)
def test_the_options_of_declippers_are_checked(name, field, value, message):
  run = shipped_config("aspade_signaltrain")
  run.baselines = ()
  with run[name].unlocked():
    run[name][field] = value
  check_evaluation_fields(run)  # it is not used
  run.baselines = (name,)
  wanted = f"config.{name}: .*{re.escape(message)}"
  with pytest.raises(UserError, match=wanted):
    check_evaluation_fields(run)


@pytest.mark.parametrize(
  ("field", "value", "message"),
  [
    ("steps", 0, "config.steps is 0; it must be above 0"),
    ("data.segment_seconds", float("nan"), "data.segment_seconds is nan"),
    ("apply.chunk_seconds", 1e-6, "config.apply.chunk_seconds is 1e-06"),
    ("data.sources", ("ceg", "a", 1.0), "each is (data set, folder, weight)"),
    ("data.augment", {"pitch": 1.0}, "config.data.augment.pitch: unknown"),
    ("pretrain_steps", 2, "pre-training is the 'autoencoder'"),
    ("pretrain_steps", -1, "config.pretrain_steps is -1; it must be 0 or more"),
    ("ema_decay", 1.0, "config.ema_decay is 1.0; it must be below 1"),
    ("accumulate", 0, "config.accumulate is 0; it must be above 0"),
    ("on_nan", "ignore", "config.on_nan is 'ignore'; choose 'stop' or 'skip'"),
    ("compute_dtype", "float16", "config.compute_dtype is 'float16'; choose"),
    ("loss", "l1 + 2 * l3", "unknown loss in config.loss 'l3'"),
    ("objective", "magnitudes", "a Demucs can be trained on waveform"),
    ("model.fields.depth", 0, "depth"),
    ("apply.overlap_seconds", 6.0, "between 0 and half a chunk, 5.0"),
  ],
)
def test_numbers_that_cannot_work_are_named(field, value, message):
  run = shipped_config("default")
  check_config.check(run)
  run.update_from_flattened_dict({field: value})
  with pytest.raises(UserError, match=re.escape(message)):
    check_config.check(run)


def test_a_config_is_found_from_any_folder(tmp_path, monkeypatch):
  monkeypatch.chdir(tmp_path)
  file = ROOT / "distortion_removal" / "configs" / "quickstart.py"
  assert file.samefile(ROOT / "configs" / "quickstart.py")
  assert run_config.find("quickstart") == str(file)
  assert run_config.find("configs/quickstart.py") == str(file)
  assert run_config.find("quickstart:smoke") == f"{file}:smoke"
  # No name of one; and a folder that is called like one is none.
  for name in ("", "quickstart.py", "other/quickstart.py", "configs/no.py"):
    assert run_config.find(name) == name
  (tmp_path / "quickstart").mkdir()
  assert run_config.find("quickstart") == str(file)
  with pytest.raises(UserError, match=r"'quick'.* quickstart, "):
    run_config.find("quick")


def test_a_config_of_ones_own_comes_first(tmp_path, monkeypatch):
  monkeypatch.chdir(tmp_path)
  (tmp_path / "configs").mkdir()
  for name in ("configs/quickstart.py", "default"):
    (tmp_path / name).touch()
    assert run_config.find(f"{name}:smoke") == f"{name}:smoke"
