"""Configurations: stored and read back, compared, loaded from beside a file."""

import re

import ml_collections
import pytest
from conftest import shipped_config

from distortion_removal import config as run_config
from distortion_removal.errors import UserError


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
  run_config.save(_config(), tmp_path)
  loaded = run_config.load(tmp_path)
  assert run_config.differences(loaded, _config()) == []
  # JSON has no tuples; what reads them takes any sequence.
  assert list(loaded.data.levels) == [1.0, 2.0]
  assert list(loaded.metrics) == ["si_sdr", "sdr"]
  assert type(loaded.rate) is float
  assert [path.name for path in tmp_path.iterdir()] == ["config.json"]


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
    run_config.load(tmp_path)
  for text in ("{'seed': 3}", "[1, 2]", "17"):
    (tmp_path / "config.json").write_text(text)
    with pytest.raises(UserError, match=r"config\.json: not a configuration"):
      run_config.load(tmp_path)


def test_sibling_loads_from_beside_the_file_from_anywhere(
  tmp_path, monkeypatch
):
  (tmp_path / "base.py").write_text("VALUE = 17\n")
  (tmp_path / "elsewhere").mkdir()
  monkeypatch.chdir(tmp_path / "elsewhere")
  module = run_config.sibling(str(tmp_path / "other.py"), "base")
  assert module.VALUE == 17


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
    ("apply.chunk_seconds", 0.0, "config.apply.chunk_seconds is 0.0"),
    ("apply.overlap_seconds", 6.0, "between 0 and half of the chunk, 5.0"),
  ],
)
def test_numbers_that_cannot_work_are_named(field, value, message):
  run = shipped_config("default")
  run_config.check(run)
  run.update_from_flattened_dict({field: value})
  with pytest.raises(UserError, match=re.escape(message)):
    run_config.check(run)
