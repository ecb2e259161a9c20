"""Configurations: stored and read back, compared, loaded from beside a file."""

import json
import re

import ml_collections
import pytest
from conftest import shipped_config

from distortion_removal import config as run_config
from distortion_removal.common.errors import UserError
from distortion_removal.evaluation.plan import check_evaluation_fields
from distortion_removal.training import check_config


def _config():
  return ml_collections.ConfigDict(
    {
      "seed": 3,
      "rate": 0.1,
      "name": "a",
      "metrics": ("si_sdr", "sdr"),
      "data": {"task": "overdrive", "levels": (1.0, 2.0)},
    }
  )


def test_round_trip_leaves_no_difference(tmp_path):
  config = shipped_config("crafx_ceg_overdrive")
  run_config.save(config, tmp_path)
  loaded = check_config.load(tmp_path)
  assert run_config.differences(loaded, config) == []
  # JSON has no tuples; what reads them takes any sequence.
  assert list(loaded.model.fields.lstm_features) == [64, 32, 16]
  assert list(loaded.metrics) == ["si_sdr", "sdr", "peaq", "r_nonlin", "fad"]
  assert type(loaded.ema_decay) is float
  assert [path.name for path in tmp_path.iterdir()] == ["config.json"]


@pytest.mark.parametrize(
  "field",
  [
    *("baselines", "objective", "pretrain_steps", "loss", "compute_dtype"),
    *("data", "data.task", "data.channels", "apply", "model.fields"),
    *("apply.overlap_seconds", "listen_excerpts", "optimizer"),
  ],
)
def test_a_run_of_another_version_is_told(tmp_path, field):
  tree = run_config.to_dict(shipped_config("default"))
  *path, last = field.split(".")
  branch = tree
  for part in path:
    branch = branch[part]
  del branch[last]
  (tmp_path / "config.json").write_text(json.dumps(tree))
  with pytest.raises(UserError, match=f"this version.*{last}") as caught:
    check_config.load(tmp_path)
  assert "\n" not in str(caught.value)


def test_a_run_from_before_the_declippers_is_read(tmp_path):
  tree = run_config.to_dict(shipped_config("default"))
  for name in ("aspade", "sspade", "social_sparsity"):
    tree.pop(name)
  (tmp_path / "config.json").write_text(json.dumps(tree))
  assert run_config.to_dict(check_config.load(tmp_path)) == tree


def test_differences_of_evaluation_may_be_ignored():
  run, given = shipped_config("quickstart"), shipped_config("quickstart")
  given.baselines = ()
  given.aspade.frame = 512
  fields = run_config.EVALUATION_FIELDS
  assert len(run_config.differences(run, given)) == 2
  assert run_config.differences(run, given, ignored=fields) == []
  given.batch_size += 1
  assert len(run_config.differences(run, given, ignored=fields)) == 1


def test_differences_are_phrases_of_the_fields_in_order():
  given = _config()
  given.seed = 4
  given.data.task = "hard_clip"
  given.extra = None
  del given.name
  assert run_config.differences(_config(), given) == [
    "data.task: 'overdrive' there, 'hard_clip' given",
    "extra: '(absent)' there, None given",
    "name: 'a' there, '(absent)' given",
    "seed: 3 there, 4 given",
  ]


def test_exists_only_after_saving(tmp_path):
  assert not run_config.exists(tmp_path)
  run_config.save(_config(), tmp_path)
  assert run_config.exists(tmp_path)


def test_load_says_what_is_missing_or_damaged(tmp_path):
  with pytest.raises(UserError, match=r"no trained run here.*--workdir"):
    check_config.load(tmp_path)
  for text in ("{'seed': 3}", "[1, 2]", "17"):
    (tmp_path / "config.json").write_text(text)
    with pytest.raises(UserError, match=r"config\.json: not a configuration"):
      check_config.load(tmp_path)


def test_sibling_loads_from_beside_the_file_from_anywhere(
  tmp_path, monkeypatch
):
  (tmp_path / "base.py").write_text("VALUE = 17\n")
  (tmp_path / "elsewhere").mkdir()
  monkeypatch.chdir(tmp_path / "elsewhere")
  module = run_config.sibling(str(tmp_path / "other.py"), "base")
  assert module.VALUE == 17


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
    ("aspade", "size", 512, "aspade has no option size"),
    ("social_sparsity", "lambdas", (), "lambdas ()"),
    ("social_sparsity", "crossfade", -1, "crossfade of -1"),
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
    ("batch_size", -8, "config.batch_size is -8"),
    ("log_every", 0, "config.log_every is 0"),
    ("validation_pairs", 0, "config.validation_pairs is 0"),
    (
      "data.segment_seconds",
      float("nan"),
      "config.data.segment_seconds is nan",
    ),
    (
      "data.sources",
      (("ceg", "data"),),
      "config.data.sources: ('ceg', 'data')",
    ),
    (
      "data.sources",
      ("ceg", "data", 1.0),
      "each is (data set, folder, weight)",
    ),
    ("data.augment", {"pitch": 1.0}, "config.data.augment.pitch: unknown"),
    ("data.augment", {"speeds": (0.9, "a")}, "config.data.augment: could not"),
    ("data.sample_rate", 0, "config.data.sample_rate is 0; it must be above 0"),
    ("data.channels", 0, "config.data.channels is 0; it must be above 0"),
    ("pretrain_steps", -1, "config.pretrain_steps is -1; it must be 0 or more"),
    ("ema_decay", 1.0, "config.ema_decay is 1.0; it must be < 1"),
    ("compute_dtype", "float16", "config.compute_dtype is 'float16'; choose"),
    ("loss", "l3", "unknown loss in config.loss 'l3'"),
    ("model.fields.depth", 0, "depth"),
    ("apply.chunk_seconds", 0.0, "config.apply.chunk_seconds is 0.0"),
    ("apply.overlap_seconds", 6.0, "between 0 and half of the chunk, 5.0"),
  ],
)
def test_numbers_that_cannot_work_are_named(field, value, message):
  run = shipped_config("default")
  check_config.check(run)
  run.update_from_flattened_dict({field: value})
  with pytest.raises(UserError, match=re.escape(message)):
    check_config.check(run)
