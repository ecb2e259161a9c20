"""The synthetic set: disjoint splits, stable, and rendered when first asked."""

from types import SimpleNamespace

import numpy as np
import pytest

from distortion_removal import datasets
from distortion_removal.datasets import rendered
from distortion_removal.errors import UserError
from distortion_removal.prepare import prepare


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

  from distortion_removal.datasets.plucked_strings import synthesis

  monkeypatch.setattr(synthesis, "render", render)
  return calls


def open_set(tmp_path, **options):
  return datasets.open_builder(
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
    split: len(datasets.read_split(builder, split))
    for split in ("train", "valid", "test")
  }
  assert sizes == {"train": 15, "valid": 6, "test": 3}
  indices = [call[0] for call in fake_render]
  assert len(set(indices)) == 24
  assert {call[1:] for call in fake_render} == {(3, 8_000, 2.0)}
  for index, record in zip(
    indices, datasets.read_split(builder, "train"), strict=False
  ):
    assert record["peak"] == pytest.approx(0.1 + (index % 7) / 10)
    np.testing.assert_array_equal(record["clean"][1:], np.ones((15_999, 2)))


def test_splits_stay_disjoint_at_any_size(tmp_path, fake_render):
  """A split's excerpts are those of a smaller one, and never another's."""
  first = rendered.FIRST_INDEX
  starts = sorted(first.values())
  hours = np.diff(starts).min() * 10 / 3600
  assert hours > 100_000  # of excerpts of 10 s between two splits
  small = open_set(tmp_path, train_minutes=0.1, excerpt_seconds=1.0)
  large = open_set(tmp_path, train_minutes=0.2, excerpt_seconds=1.0)
  ids = [[key for key, _ in b.excerpts()["train"]] for b in (small, large)]
  assert ids[1][:6] == ids[0]
  assert [call[0] for call in fake_render[6:12]] == [
    call[0] for call in fake_render[:6]
  ]


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
  builder = datasets.open_dataset(run_data(tmp_path))
  sounds = [
    record["clean"]
    for split in ("train", "valid", "test")
    for record in datasets.read_split(builder, split)
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
  again = datasets.open_dataset(run_data(tmp_path))
  first = datasets.read_split(again, "train")[0]["clean"]
  np.testing.assert_array_equal(first, sounds[0])


def test_a_run_that_lacks_recordings_says_how_to_get_them(tmp_path):
  data = run_data(tmp_path, dataset="audio_folder", hint="download the music")
  with pytest.raises(UserError) as caught:
    datasets.open_dataset(data)
  message = str(caught.value)
  assert "not prepared; download the music; run: python -m" in message
  assert "--dataset=audio_folder --task=overdrive" in message
  assert f"--data-dir={tmp_path} --sample-rate=8000" in message
