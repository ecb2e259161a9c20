"""What several files of tests share: tiny recordings and a run on them."""

import gzip
import json
import logging
import os
from pathlib import Path

import numpy as np
import orbax.checkpoint as ocp
import pytest
import soundfile
from absl import flags

from distortion_removal import config as run_config
from distortion_removal.common.log import logger
from distortion_removal.datasets import opening
from distortion_removal.datasets.preparation.prepare import prepare
from distortion_removal.inference import network
from distortion_removal.training.train import train

ROOT = Path(__file__).parents[1]
RATE = 8_000
# Nothing of a test goes into the user's cache, see `devices.keep_compiled`.
os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", "")
# grain's worker processes ask absl, which no test starts.
flags.FLAGS.mark_as_parsed()


@pytest.fixture(autouse=True)
def _log_of_one_test():
  """Undoes `log.setup`, which commands call and which lasts."""
  yield
  logger.handlers.clear()
  logger.propagate = True
  logger.setLevel(logging.NOTSET)


def pluck(seconds, pitch_hz, rate=RATE):
  """A decaying harmonic tone `[time, 1]` with a peak of 0.8."""
  time = np.arange(round(seconds * rate)) / rate
  tone = sum(
    np.exp(-0.3 * k * time) * np.sin(2 * np.pi * k * pitch_hz * time) / k
    for k in range(1, 6)
  )
  return (0.8 * tone / np.abs(tone).max())[:, None]


@pytest.fixture(scope="session")
def tiny_data(tmp_path_factory):
  """A folder that holds a prepared `audio_folder` of 12 + 2 + 3 excerpts."""
  folder = tmp_path_factory.mktemp("recordings")
  for split, lengths in {
    "train": [2.0] * 12,
    "valid": [2.0, 2.0],
    "test": [2.0, 3.25],  # the latter's second excerpt is a short one
  }.items():
    (folder / split).mkdir()
    detuned = {"train": 1.0, "valid": 1.01, "test": 1.02}[split]
    for i, seconds in enumerate(lengths):
      pitch_hz = detuned * 110.0 * 2 ** ((5 * i + 2 * len(split)) % 12 / 12)
      path = folder / split / f"{i:02d}.wav"
      soundfile.write(path, pluck(seconds, pitch_hz), RATE)
  data_dir = tmp_path_factory.mktemp("data")
  builder = opening.open_builder(
    "audio_folder",
    task="hard_clip",
    data_dir=str(data_dir),
    sample_rate=RATE,
    excerpt_seconds=2.0,
    path=str(folder),
  )
  prepare(builder)
  return data_dir


def shipped_config(name, argument=""):
  """One of the configurations in configs/."""
  module = run_config.sibling(str(ROOT / "configs" / "any"), name)
  return module.get_config(argument)


@pytest.fixture
def tiny_config(tiny_data):
  """A run of six steps that takes seconds, a new copy for each test."""
  return make_tiny_config(tiny_data)


def make_tiny_config(tiny_data):
  """As the fixture."""
  config = shipped_config("default", "smoke")
  config.data.dataset = "audio_folder"
  config.data.task = "hard_clip"
  config.data.data_dir = str(tiny_data)
  config.data.sample_rate = RATE
  config.data.segment_seconds = 0.25
  config.model.fields.depth = 2
  config.model.fields.lstm_layers = 0
  config.model.fields.resample = False
  config.steps = 6
  config.checkpoint_every = 3
  config.metrics = ("si_sdr", "sdr")
  return config


@pytest.fixture(scope="session")
def tiny_run(tiny_data, tmp_path_factory):
  """The folder of that run, trained without a break; for reading only."""
  workdir = tmp_path_factory.mktemp("run")
  train(make_tiny_config(tiny_data), workdir)
  return workdir


@pytest.fixture
def paths(tmp_path):
  """A source and a target."""
  return tmp_path / "in.wav", tmp_path / "out.wav"


@pytest.fixture
def use_network(tiny_config, tmp_path, monkeypatch):
  """Makes a run whose network is the function given; returns its folder."""

  def make(function, **data):
    tiny_config.data.update(data)
    workdir = tmp_path / "run"
    workdir.mkdir()
    run_config.save(tiny_config, workdir)
    monkeypatch.setattr(network, "load_network", lambda *_: function)
    return workdir

  return make


@pytest.fixture
def case(tmp_path, monkeypatch):
  """One evaluation of three excerpts, see evaluation_case.py."""
  from evaluation_case import make_case

  return make_case(monkeypatch, tmp_path / "run")


@pytest.fixture
def one_by_one(monkeypatch):
  """Every excerpt is a block of its own."""
  name = "distortion_removal.evaluation.plan._MAX_BLOCK_EXCERPTS"
  monkeypatch.setattr(name, 1)


def read_metrics(workdir):
  """The lines of metrics.jsonl."""
  lines = (workdir / "metrics.jsonl").read_text().splitlines()
  return [json.loads(line) for line in lines]


def profiled_steps(folder):
  """The numbers of all steps in profiles, as JAX writes them for Perfetto."""
  found = set()
  for path in folder.rglob("*.trace.json.gz"):
    events = json.loads(gzip.decompress(path.read_bytes()))["traceEvents"]
    numbers = (x["args"].get("step_num") for x in events if "args" in x)
    found |= set(filter(None, numbers))
  return found


def read_checkpoint(workdir, kind, step, item):
  """An item of a checkpoint as a tree of arrays, read by orbax alone."""
  path = workdir / "checkpoints" / kind / str(step) / item
  return ocp.StandardCheckpointer().restore(path.absolute())


def files_of(folder):
  """Every file below a folder with its content."""
  return {p: p.read_bytes() for p in folder.rglob("*") if p.is_file()}
