"""Every shipped configuration: it loads, its model can be built, it runs.

`PYTHONPATH=tests python -m tests.smoke.test_configs` writes `configs.json`,
what each resolves to: a change of a run is a change of that file.
"""

import inspect
import json
import re
from pathlib import Path

import jax
import ml_collections
import numpy as np
import pytest
from conftest import ROOT, pluck, read_metrics, shipped_config

from distortion_removal import config as run_config
from distortion_removal import declipping, effects, models
from distortion_removal.common.errors import UserError
from distortion_removal.datasets import opening
from distortion_removal.effects import tasks
from distortion_removal.evaluation import baselines
from distortion_removal.evaluation.evaluate import evaluate
from distortion_removal.training import check_config, losses, steps, train

NAMES = sorted(path.stem for path in (ROOT / "configs").glob("*.py"))
# Those without a network.
METHODS = [name for name in NAMES if not shipped_config(name).model.name]
NETWORKS = [name for name in NAMES if name not in METHODS]
GOLDEN = Path(__file__).with_name("configs.json")


_SHALLOW = {
  "demucs": {"depth": 1, "resample": False, "lstm_layers": 0},
  "wave_unet": {"levels": 1},
  "crafx": {"lstm_features": (2,), "context_frames": 0},
  "umx": {"features": 4},
}


def _parameters(config):
  shapes = models.variable_shapes(models.from_config(config))
  return sum(leaf.size for leaf in jax.tree.leaves(shapes["params"]))


def _resolved():
  return {name: run_config.to_dict(shipped_config(name)) for name in NAMES}


def test_what_each_resolves_to():
  golden = json.loads(GOLDEN.read_text())
  assert sorted(golden) == NAMES
  for name, found in _resolved().items():
    changed = run_config.differences(
      ml_collections.ConfigDict(golden[name]), ml_collections.ConfigDict(found)
    )
    assert changed == [], name


def test_every_pair_of_the_paper_has_one():
  tasks_of = ("ceg_overdrive", "ceg_hard_clip", "signaltrain")
  for network in ("demucs", "wave_unet", "crafx", "umx"):
    for name in tasks_of:
      assert f"{network}_{name}" in NAMES


def test_what_has_no_network():
  assert METHODS == [
    "aspade_ceg_hard_clip",
    "aspade_signaltrain",
    "aspade_survey",
    "mask_ceg_overdrive",
  ]


@pytest.mark.parametrize("name", NAMES)
def test_full_size(name):
  config = shipped_config(name)
  check_config.check(config)
  task = tasks.from_config(config.data)
  effects.get(task.effect)
  losses.get(config.loss)
  assert config.data.dataset in opening.DATASETS
  steps.create_optimizer(config)
  assert name in METHODS or _parameters(config) > 100_000
  # The cadences meet, so that the last step is a whole of each.
  assert config.validate_every % config.log_every == 0
  assert config.apply.overlap_seconds <= config.apply.chunk_seconds / 2
  assert config.data.segment_seconds <= config.data.excerpt_seconds
  # A baseline that cannot undo the task's effect would be left out.
  for baseline in config.baselines:
    assert baselines.get(baseline).applies_to(task)


def test_the_settings_of_aspade():
  """Imort et al. 2022 at 16 kHz, Záviška et al. 2021 at 44.1 kHz."""
  expected = {
    "aspade_ceg_hard_clip": (16_000, 1024, 256, 1, 1),
    "aspade_signaltrain": (16_000, 1024, 256, 1, 1),
    "aspade_survey": (44_100, 8192, 2048, 1, 2),
  }
  for name, numbers in expected.items():
    config = shipped_config(name)
    found = config.aspade
    assert (
      config.data.sample_rate,
      *(found[field] for field in ("frame", "hop", "s", "r")),
    ) == numbers
    assert (found.redundancy, found.epsilon, found.relative) == (2, 0.1, False)


def test_the_survey_takes_fewer_iterations_of_social_sparsity():
  options = shipped_config("aspade_survey").social_sparsity
  assert (options.iterations, options.tolerance) == (100, 0.0)


@pytest.mark.parametrize("name", sorted(declipping.DECLIPPERS))
def test_declippers_know_their_options(name):
  signature = inspect.signature(declipping.declipper(name))
  for argument in ("", "smoke"):
    options = shipped_config("default", argument)[name]
    signature.bind(None, None, **options)
  defaults = {n: p.default for n, p in signature.parameters.items()}
  for option, value in shipped_config("default")[name].items():
    assert value == defaults[option], option


@pytest.mark.parametrize("name", NAMES)
def test_the_header_gives_the_command(name):
  header = (ROOT / "configs" / f"{name}.py").read_text().split('"""')[1]
  command = f"python -m distortion_removal.main --config=configs/{name}.py"
  assert command in re.sub(r"\\\s+", "", header)


@pytest.mark.parametrize("name", NAMES)
def test_smoke_changes_sizes_only(name):
  """The task, the loss and the kind of network stay."""
  full, small = shipped_config(name), shipped_config(name, "smoke")
  assert small.data.task == full.data.task
  assert small.loss == full.loss
  assert small.model.name == full.model.name
  assert small.baselines == full.baselines
  assert name in METHODS or _parameters(small) < 100_000
  with pytest.raises(UserError, match="only 'smoke' is known"):
    shipped_config(name, "smok")


@pytest.mark.parametrize(
  ("network", "count"),
  [
    ("demucs", 265_675_393),
    ("wave_unet", 10_263_002),
    ("crafx", 275_073),
    ("umx", 5_785_606),
  ],
)
def test_the_papers_sizes(network, count):
  for task in ("ceg_overdrive", "ceg_hard_clip", "signaltrain"):
    assert _parameters(shipped_config(f"{network}_{task}")) == count


def _pluck_instead(index, *, seed, sample_rate, seconds):
  del seed
  return pluck(seconds, 110.0 + 10 * (index % 17), sample_rate)


@pytest.mark.parametrize("name", NETWORKS)
def test_smoke_trains_and_evaluates(name, tmp_path, monkeypatch):
  # Rendering has tests of its own and would be most of the time of this one.
  monkeypatch.setattr(
    "distortion_removal.datasets.sources.plucked_strings.synthesis.render",
    _pluck_instead,
  )
  config = shipped_config(name, "smoke")
  config.data.data_dir = str(tmp_path / "data")
  config.steps = 3
  config.checkpoint_every = 3
  # Fewer layers to compile; the networks' own tests cover them.
  config.model.fields.update(_SHALLOW[config.model.name])
  workdir = tmp_path / "run"
  train.train(config, workdir)
  assert read_metrics(workdir)[-1]["step"] == 3
  assert run_config.differences(check_config.load(workdir), config) == []
  folder = evaluate(workdir)
  lines = (folder / "results.jsonl").read_text().splitlines()
  task = tasks.from_config(config.data)
  methods = {json.loads(line)["method"] for line in lines}
  assert methods == {"distorted", config.model.name, *config.baselines}
  assert len(lines) == 3 * len(task.evaluation_levels) * len(methods)


@pytest.mark.parametrize("name", METHODS)
def test_smoke_evaluates_without_a_run(name, tmp_path, monkeypatch):
  """What is distorted least is restored by 3 dB.

  By the mask always; by A-SPADE, in coarse steps, if it is clipped to an SDR.
  """
  monkeypatch.setattr(
    "distortion_removal.datasets.sources.plucked_strings.synthesis.render",
    _pluck_instead,
  )
  config = shipped_config(name, "smoke")
  config.data.data_dir = str(tmp_path / "data")
  config.metrics = ("si_sdr",)
  folder = evaluate(tmp_path / "run", config)
  assert folder.is_relative_to(tmp_path / "run")
  rows = [json.loads(x) for x in (folder / "results.jsonl").open()]
  task = tasks.from_config(config.data)
  level_name = effects.get(task.effect).level_name
  methods = ("distorted", *config.baselines)
  assert len(rows) == 3 * len(methods) * len(task.evaluation_levels)
  scores = {
    method: [
      np.mean([row["si_sdr"] for row in group])
      for group in _by_level(rows, level_name, method)
    ]
    for method in methods
  }
  gains = np.subtract(scores["ideal_ratio_mask"], scores["distorted"])
  assert gains[np.argmax(scores["distorted"])] > 3.0
  if "aspade" not in methods:
    return
  gains = np.subtract(scores["aspade"], scores["distorted"])
  assert np.all(gains != 0.0)
  # Two thirds of the samples and more are clipped in the other task.
  if task.effect == "hard_clip_sdr":
    assert gains[np.argmax(scores["distorted"])] > 3.0


def _by_level(rows, level_name, method):
  rows = [row for row in rows if row["method"] == method]
  levels = sorted({row[level_name] for row in rows})
  return [[row for row in rows if row[level_name] == x] for x in levels]


def test_signaltrain_without_its_data_says_where_to_get_it(tmp_path):
  config = shipped_config("demucs_signaltrain")
  config.data.data_dir = str(tmp_path / "data")
  with pytest.raises(UserError) as caught:
    train.train(config, tmp_path / "run")
  message = str(caught.value)
  assert "\n" not in message
  for part in (
    "https://zenodo.org/records/3824876",
    "SignalTrain_LA2A_Dataset_1.1.tgz (about 20 GB)",
    "--path=PLACE",
    "python -m distortion_removal.prepare --dataset=signaltrain",
    "--task=hard_clip_sdr",
    f"--data-dir={tmp_path / 'data'}",
  ):
    assert part in message
  assert not (tmp_path / "run").exists()


if __name__ == "__main__":
  GOLDEN.write_text(json.dumps(_resolved(), indent=1, sort_keys=True) + "\n")
