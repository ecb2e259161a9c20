"""The synthetic set: disjoint splits, stable, and rendered when first asked."""

import re
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from distortion_removal.common import cores
from distortion_removal.common.errors import UserError
from distortion_removal.datasets import opening, stored
from distortion_removal.datasets.preparation import parts, write
from distortion_removal.datasets.preparation.prepare import prepare
from distortion_removal.datasets.sources import plucked_strings, rendered
from distortion_removal.datasets.sources.plucked_strings import synthesis


@pytest.fixture
def fake_render(monkeypatch):
  """A click per index instead of music, and the calls that were made."""
  calls = []

  def render(index, *, seed, sample_rate, seconds):
    calls.append((index, seed, sample_rate, seconds))
    value = 0.1 + (index % 7) / 10
    audio = np.full((round(seconds * sample_rate), 1), value, np.float32)
    audio[0] *= 1 - (index % 1_000 + index / 1e10) / 2_000  # no two are alike
    return audio

  monkeypatch.setattr(synthesis, "render", render)
  return calls


def open_set(tmp_path, **options):
  return opening.open_builder(
    "plucked_strings", task="hard_clip", data_dir=str(tmp_path), **options
  )


def test_sizes_and_arguments(tmp_path, fake_render):
  builder = prepare(
    open_set(
      tmp_path,
      excerpt_seconds=2.0,
      sample_rate=8_000,
      channels=2,
      train_minutes=0.5,
      valid_minutes=0.2,
      test_minutes=0.1,
      seed=3,
    )
  )
  sizes = {
    split: len(stored.read_split(builder, split))
    for split in ("train", "valid", "test")
  }
  assert sizes == {"train": 15, "valid": 6, "test": 3}
  indices = [call[0] for call in fake_render]
  assert len(set(indices)) == 24
  assert {call[1:] for call in fake_render} == {(3, 8_000, 2.0)}
  for index, record in zip(
    indices, stored.read_split(builder, "train"), strict=False
  ):
    assert record["peak"] == pytest.approx(0.1 + (index % 7) / 10)
    np.testing.assert_array_equal(record["clean"][1:], np.ones((15_999, 2)))


def test_splits_stay_disjoint_at_any_size(tmp_path, fake_render):
  """A split's excerpts are those of a smaller one, and never another's."""
  first = rendered.FIRST_INDEX
  starts = sorted(first.values())
  hours = np.diff(starts).min() * 10 / 3600
  assert hours > 100_000  # of excerpts of 10 s between two splits
  small = open_set(tmp_path / "small", train_minutes=0.1, excerpt_seconds=1.0)
  large = open_set(tmp_path / "large", train_minutes=3.1, excerpt_seconds=1.0)
  trained = [stored.read_split(prepare(b), "train") for b in (small, large)]
  ids = [[record["id"] for record in records] for records in trained]
  assert ids[0] == [f"train#{i:05d}".encode() for i in range(6)]
  assert ids[1] == [f"train#{i:05d}".encode() for i in range(186)]
  for one, other in zip(*trained, strict=False):
    np.testing.assert_array_equal(one["clean"], other["clean"])
  assert len({call[0] for call in fake_render}) == 186 + 120 + 180


def contents(builder):
  """The bytes of the records."""
  files = Path(builder.data_dir).glob("*.array_record*")
  return {file.name: file.read_bytes() for file in files}


def test_what_was_rendered_is_not_rendered_again(tmp_path, monkeypatch):
  """Of an interrupted preparation, the whole parts; one has two minutes."""
  sizes = {"excerpt_seconds": 5.0, "sample_rate": 8_000, "seed": 2}
  sizes |= {"valid_minutes": 0.1, "test_minutes": 0.1}
  render, calls = synthesis.render, []

  def fail_late(index, **options):
    calls.append(index)
    if len(calls) == 30:
      raise KeyboardInterrupt
    return render(index, **options)

  monkeypatch.setattr(synthesis, "render", fail_late)
  with pytest.raises(KeyboardInterrupt):
    prepare(open_set(tmp_path / "one", train_minutes=3.0, **sizes))
  assert calls == list(range(30))
  again = open_set(tmp_path / "one", train_minutes=2.5, **sizes)
  resumed = contents(prepare(again))
  assert calls[30:36] == list(range(24, 30))
  monkeypatch.undo()
  fresh = open_set(tmp_path / "two", train_minutes=2.5, **sizes)
  fresh = prepare(fresh, jobs=2)
  assert contents(fresh) == resumed
  assert len(resumed) == 3
  assert len(stored.read_split(fresh, "train")) == 30
  reseeded = open_set(tmp_path, train_minutes=2.5, **sizes | {"seed": 3})
  names = [{p.file_name for p in b.parts()} for b in (fresh, reseeded)]
  assert not names[0] & names[1]


@pytest.fixture
def asked_jobs(monkeypatch):
  """The numbers of processes that were asked for; one renders."""
  asked = []

  def store_all(work, jobs, **place):
    asked.append(jobs)
    return parts.store_all(work, 1, **place)

  monkeypatch.setattr(write, "store_all", store_all)
  return asked


@pytest.mark.parametrize(
  ("is_command", "cores_here", "processes"),
  [(False, 16, 1), (True, 16, 3), (True, 2, 2)],
)
def test_only_a_command_renders_in_several_processes(
  tmp_path, monkeypatch, asked_jobs, is_command, cores_here, processes
):
  """A script of the user's might lack the guard that spawning needs."""
  monkeypatch.setattr(cores, "_can_spawn", False)
  monkeypatch.setattr(cores, "available", lambda: cores_here)
  if is_command:
    cores.allow_processes()
  size = 4 * 8_000 * 2 * 18  # of all samples
  kind = plucked_strings.PluckedStringsSmoke
  monkeypatch.setattr(kind, "BYTES_PER_PROCESS", size // 2)
  opening.open_dataset(run_data(tmp_path))
  assert asked_jobs == [processes]


@pytest.mark.parametrize(
  ("field", "value", "message"),
  [
    ("train_minutes", 0.0, "train_minutes 0: choose more than 0 and at most"),
    ("valid_minutes", float("nan"), "valid_minutes nan: choose"),
    ("test_minutes", 2e6, "test_minutes 2e+06: choose"),
    ("seed", -1, "seed -1: choose 0 or more"),
  ],
)
def test_mistakes(tmp_path, field, value, message):
  with pytest.raises(UserError, match=re.escape(message)):
    open_set(tmp_path, **{field: value})


def test_other_sizes_or_seed_are_another_source(tmp_path, fake_render):
  sizes = {"train_minutes": 0.5, "valid_minutes": 0.2, "test_minutes": 0.2}
  prepare(open_set(tmp_path, **sizes))
  count = len(fake_render)
  prepare(open_set(tmp_path, **sizes))
  assert len(fake_render) == count  # taken as it lies there
  with pytest.raises(UserError, match="different seed;"):
    prepare(open_set(tmp_path, **sizes, seed=1))


def run_data(tmp_path, **fields):
  """The `data` part of a run's configuration."""
  defaults = {
    "dataset": "plucked_strings_smoke",
    "task": "overdrive",
    "data_dir": str(tmp_path),
    "sample_rate": 8_000,
    "channels": 1,
    "excerpt_seconds": 2.0,
    "hint": "",
  }
  return SimpleNamespace(**(defaults | fields))


def test_a_run_renders_what_it_lacks(tmp_path):
  """With the real synthesis: every excerpt sounds, and no two are alike."""
  builder = opening.open_dataset(run_data(tmp_path))
  sounds = [
    record["clean"]
    for split in ("train", "valid", "test")
    for record in stored.read_split(builder, split)
  ]
  assert len(sounds) == 18
  for sound in sounds:
    assert sound.shape == (16_000, 1)
    assert np.abs(sound).max() == 1.0
  products = [
    np.vdot(a, b) / np.sqrt(np.vdot(a, a) * np.vdot(b, b))
    for i, a in enumerate(sounds)
    for b in sounds[:i]
  ]
  assert np.abs(products).max() < 0.9
  again = opening.open_dataset(run_data(tmp_path))
  first = stored.read_split(again, "train")[0]["clean"]
  np.testing.assert_array_equal(first, sounds[0])


def test_a_run_that_lacks_recordings_says_how_to_get_them(tmp_path):
  data = run_data(tmp_path, dataset="audio_folder", hint="download the music")
  with pytest.raises(UserError) as caught:
    opening.open_dataset(data)
  message = str(caught.value)
  assert "not prepared; download the music; run: python -m" in message
  assert "--dataset=audio_folder --task=overdrive" in message
  assert f"--data-dir={tmp_path} --sample-rate=8000" in message
