"""Every shipped configuration: it loads, its model can be built, it runs.

`PYTHONPATH=.:tests python -m tests.smoke.test_configs` writes `configs.txt`:
each config by its differences from another one. A change of a run is a change
of that file; a new config gets its line `NAME from OTHER` by hand.
"""

import functools
import inspect
import json
import re
from pathlib import Path

import jax
import numpy as np
import pytest
from conftest import ROOT, pluck, read_metrics, shipped_config

from distortion_removal import config as run_config
from distortion_removal import declipping, effects, models
from distortion_removal.common.errors import UserError
from distortion_removal.config import flatten
from distortion_removal.datasets import opening
from distortion_removal.effects import tasks
from distortion_removal.evaluation import baselines
from distortion_removal.evaluation.evaluate import evaluate
from distortion_removal.training import check_config, steps, train

NAMES = sorted(path.stem for path in (ROOT / "configs").glob("*.py"))
# Those without a network.
METHODS = [name for name in NAMES if not shipped_config(name).model.name]
GOLDEN = Path(__file__).with_name("configs.txt")
SIZES = {
  "demucs": 265_675_393,
  "wave_unet": 10_263_002,
  "crafx": 275_073,
  "umx": 5_785_606,
  "hybrid": 743_796,
  "inverses": 748_804,
  "correction": 737_256,
}
OURS = ("hybrid", "inverses", "correction")


def _flat(name):
  return flatten(run_config.to_dict(shipped_config(name)))


def _read_golden():
  """The fields of each config: those of the other one, and what is listed."""
  found = {}
  for line in GOLDEN.read_text().splitlines():
    if not line.startswith(" "):
      name, _, other = line.partition(" from ")
      found[name] = dict(found.get(other, {}))
      continue
    field, _, value = line.strip().partition(" = ")
    for key in [key for key in found[name] if key.startswith(f"{field}.")]:
      del found[name][key]
    found[name] |= flatten({field: json.loads(value)})
  return found


def _write_golden():
  lines = []
  for head in re.findall(r"^\w.*$", GOLDEN.read_text(), re.M):
    name, _, other = head.partition(" from ")
    fields, before = _flat(name), _flat(other) if other else {}
    tree = run_config.to_dict(shipped_config(name))
    if not other:
      fields = {k: v for k, v in tree.items() if k != "data"}
      fields |= {f"data.{k}": v for k, v in tree["data"].items()}
    elif fields["model.name"] != before["model.name"]:
      kept = {k: v for k, v in fields.items() if not k.startswith("model.")}
      fields = kept | {"model": tree["model"]}
    changed = {k: v for k, v in fields.items() if before.get(k, ...) != v}
    lines += [head, *(f"  {k} = {json.dumps(v)}" for k, v in changed.items())]
  GOLDEN.write_text("\n".join(lines) + "\n")


def test_what_each_resolves_to():
  assert _read_golden() == {name: _flat(name) for name in NAMES}


def _parameters(config):
  fields = run_config.to_dict(config.model)["fields"]
  return _count(config.model.name, json.dumps(fields))


@functools.cache
def _count(name, fields):
  shapes = models.variable_shapes(models.create(name, **json.loads(fields)))
  return sum(leaf.size for leaf in jax.tree.leaves(shapes["params"]))


@pytest.mark.e2e
def test_full_sizes():
  for name in NAMES:
    config = shipped_config(name)
    check_config.check(config)
    task = tasks.from_config(config.data)
    assert config.data.dataset in opening.DATASETS
    steps.create_optimizer(config)
    papers = ("_ceg_overdrive", "_ceg_hard_clip", "_signaltrain")
    if name.endswith(papers) or config.model.name in OURS:
      size = SIZES.get(config.model.name)
      assert name in METHODS or _parameters(config) == size
    # The cadences meet, so that the last step is a whole of each.
    assert config.validate_every % config.log_every == 0
    assert config.data.segment_seconds <= config.data.excerpt_seconds
    # A baseline that cannot undo the task's effect would be left out.
    for baseline in config.baselines:
      assert baselines.get(baseline).applies_to(task)


@pytest.mark.e2e
def test_smoke_changes_sizes_only():
  """The task, the loss and the kind of network stay."""
  for name in NAMES:
    full, small = shipped_config(name), shipped_config(name, "smoke")
    check_config.check(small)
    assert small.data.task == full.data.task
    assert small.loss == full.loss
    assert small.model.name == full.model.name
    assert small.baselines == full.baselines
    assert name in METHODS or _parameters(small) < 100_000
    with pytest.raises(UserError, match="only 'smoke' is known"):
      shipped_config(name, "smok")


@pytest.mark.parametrize("name", sorted(declipping.DECLIPPERS))
def test_declippers_know_their_options(name):
  parameters = inspect.signature(declipping.declipper(name)).parameters
  for option, value in shipped_config("default")[name].items():
    assert value == parameters[option].default, option


def test_faster_options_of_declippers_are_theirs():
  fast, survey = (shipped_config("declipping_survey", x) for x in ("fast", ""))
  for name in declipping.DECLIPPERS:
    declipping.check_options(name, fast[name])
    assert fast[name].frame == survey[name].frame
    assert set(fast[name]) == set(survey[name])
  # More coefficients in each iteration; fewer iterations.
  assert fast.aspade.s / fast.aspade.r > survey.aspade.s / survey.aspade.r
  assert fast.social_sparsity.iterations < survey.social_sparsity.iterations


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory):
  """Where the data set is rendered once, by whichever run is the first."""
  return str(tmp_path_factory.mktemp("data"))


@pytest.fixture
def quick_data(monkeypatch):
  """Plucks: rendering has tests of its own and would take most of the time."""

  def render(index, *, seed, sample_rate, seconds):
    del seed
    return pluck(seconds, 110.0 + 10 * (index % 17), sample_rate)

  rendering = "distortion_removal.datasets.sources.plucked_strings.synthesis"
  monkeypatch.setattr(f"{rendering}.render", render)


@pytest.mark.e2e
@pytest.mark.parametrize(
  ("name", "shallow"),
  [
    ("demucs_ceg_overdrive", {"depth": 1, "resample": False, "lstm_layers": 0}),
    ("wave_unet_signaltrain", {"levels": 1}),
    ("crafx_ceg_hard_clip", {"lstm_features": (2,), "context_frames": 0}),
    ("umx_signaltrain", {"features": 4}),
    ("hybrid_hard_clip", {"channels": (4,), "dilations": (1,)}),
    ("inverses_overdrive", {"channels": (4,), "dilations": (1,)}),
    ("correction_random_distortion", {"channels": (4,), "dilations": (1,)}),
  ],
)
def test_smoke_trains_and_evaluates(
  name, shallow, tmp_path, data_dir, quick_data
):
  """One run of each network; fewer layers have less to compile."""
  config = shipped_config(name, "smoke")
  config.data.data_dir = data_dir
  config.steps = config.checkpoint_every = 3
  config.model.fields.update(shallow)
  if name != "demucs_ceg_overdrive":
    config.metrics = ("si_sdr",)
  if "hybrid" in name:
    config.baselines = ()  # They take longer than the network.
  train.train(config, tmp_path)
  assert read_metrics(tmp_path)[-1]["step"] == 3
  assert run_config.differences(check_config.load(tmp_path), config) == {}
  folder = evaluate(tmp_path)
  lines = (folder / "results.jsonl").read_text().splitlines()
  task = tasks.from_config(config.data)
  methods = {json.loads(line)["method"] for line in lines}
  assert methods == {"distorted", config.model.name, *config.baselines}
  assert len(lines) == 3 * len(task.evaluation_levels) * len(methods)


@pytest.mark.e2e
def test_smoke_evaluates_without_a_run(tmp_path, data_dir, quick_data):
  """What is distorted least is restored by 3 dB, by the mask and A-SPADE."""
  config = shipped_config("aspade_signaltrain", "smoke")
  config.data.data_dir = data_dir
  config.metrics = ("si_sdr",)
  folder = evaluate(tmp_path / "run", config)
  assert folder.is_relative_to(tmp_path / "run")
  rows = [json.loads(x) for x in (folder / "results.jsonl").open()]
  task = tasks.from_config(config.data)
  level_name = effects.get(task.effect).level_name
  scores = {}
  for row in rows:
    by_level = scores.setdefault(row["method"], {})
    by_level.setdefault(row[level_name], []).append(row["si_sdr"])
  assert scores.keys() == {"distorted", *config.baselines}
  before = scores["distorted"]
  least = max(before, key=lambda level: np.mean(before[level]))
  for by_level in scores.values():
    assert by_level.keys() == set(task.evaluation_levels)
    assert {len(values) for values in by_level.values()} == {3}
  for method in ("ideal_ratio_mask", "aspade"):
    assert np.mean(scores[method][least]) - np.mean(before[least]) > 3.0


def test_signaltrain_without_its_data_says_where_to_get_it(tmp_path):
  config = shipped_config("demucs_signaltrain")
  config.data.data_dir = str(tmp_path / "data")
  message = "zenodo.org/records/3824876.* --dataset=signaltrain --task=hard"
  with pytest.raises(UserError, match=message):
    train.train(config, tmp_path / "run")
  assert not (tmp_path / "run").exists()


if __name__ == "__main__":
  _write_golden()
