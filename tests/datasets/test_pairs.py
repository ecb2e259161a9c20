"""Pairs on the fly: what is drawn, and that it is drawn the same again."""

import itertools

import jax
import numpy as np
import pytest
import scipy.stats

from distortion_removal.datasets import pairs, tasks
from distortion_removal.errors import UserError

SEGMENT = 64
HARD_CLIP = tasks.get("hard_clip")
ORIGINAL_SCALE = tasks.get("hard_clip_sdr")


def _records(count, length=400):
  """Records whose samples tell which they are: a ramp from i to i + 1."""
  ramp = np.linspace(0.01, 0.99, length, dtype=np.float32)[:, None]
  return [
    {
      "clean": np.float32((i + ramp) / (i + 0.99)),
      "peak": np.float32(0.1 * (i + 1)),
      "id": b"%d" % i,
    }
    for i in range(count)
  ]


def _batches(source, **kwargs):
  options = {"segment": SEGMENT, "batch_size": 4, "seed": 1} | kwargs
  task = options.pop("task", HARD_CLIP)
  return pairs.training_batches(source, task, **options)


def _take(batches, count):
  host = [jax.device_get(batch) for batch in itertools.islice(batches, count)]
  return [{k: v.reshape(-1, *v.shape[2:]) for k, v in b.items()} for b in host]


def _assert_same(batches, others):
  assert len(batches) == len(others)
  for batch, other in zip(batches, others, strict=True):
    np.testing.assert_array_equal(batch["clean"], other["clean"])
    np.testing.assert_array_equal(batch["level"], other["level"])


def test_scale_is_the_whole_excerpts_or_the_recordings_own():
  record = _records(3)[2]
  assert pairs.scale_to_task(record, HARD_CLIP).max() == np.float32(0.5)
  own = pairs.scale_to_task(record, ORIGINAL_SCALE)
  np.testing.assert_allclose(own.max(), 0.3, rtol=1e-6)
  # A crop is not brought to that peak again.
  rng = np.random.default_rng(0)
  scaled = pairs.scale_to_task(_records(1)[0], HARD_CLIP)
  crops = [pairs.crop(scaled, SEGMENT, rng) for _ in range(20)]
  for piece in crops:
    # Part of the excerpt's ramp: where it begins tells where it must end.
    start = np.argmin(np.abs(scaled - piece[0]))
    np.testing.assert_array_equal(piece, scaled[start : start + SEGMENT])
  assert min(piece.max() for piece in crops) < 0.25


def test_training_crops_come_from_scaled_excerpts():
  source = _records(3)
  excerpts = [pairs.scale_to_task(record, HARD_CLIP) for record in source]
  windows = np.concatenate(
    [
      np.lib.stride_tricks.sliding_window_view(excerpt[:, 0], SEGMENT)
      for excerpt in excerpts
    ]
  )
  for batch in _take(_batches(source), 5):
    for clean in batch["clean"]:
      assert np.any(np.all(windows == clean[:, 0], axis=1))


def test_crops_start_anywhere_and_reach_both_ends():
  audio = np.arange(1.0, 5.0, dtype=np.float32)[:, None]
  rng = np.random.default_rng(0)
  starts = [pairs.crop(audio, 3, rng)[0, 0] for _ in range(50)]
  assert set(starts) == {1.0, 2.0}


@pytest.mark.parametrize("length", [1, 40, SEGMENT])
def test_a_short_excerpt_is_padded_at_its_end(length):
  audio = np.full((length, 2), 0.5, np.float32)
  piece = pairs.crop(audio, SEGMENT, np.random.default_rng(0))
  expected = np.concatenate([audio, np.zeros((SEGMENT - length, 2))])
  np.testing.assert_array_equal(piece, expected)


def test_a_nearly_silent_crop_is_drawn_again():
  """Sound in a tenth: one draw finds it in 12 %, four in 40 %."""
  audio = np.zeros((10_000, 1), np.float32)
  audio[4_000:5_000] = 0.5
  rng = np.random.default_rng(0)
  found = [np.any(pairs.crop(audio, 200, rng)) for _ in range(1_000)]
  once = (1_000 + 200) / (10_000 - 200)
  expected = 1 - (1 - once) ** 4
  assert abs(np.mean(found) - expected) < 4 * np.sqrt(0.24 / 1_000)


def test_a_silent_excerpt_ends_the_search():
  audio = np.zeros((1_000, 1), np.float32)
  piece = pairs.crop(audio, SEGMENT, np.random.default_rng(0))
  np.testing.assert_array_equal(piece, np.zeros((SEGMENT, 1)))


def test_levels_are_uniform_over_the_tasks_range():
  batches = _take(_batches(_records(8), batch_size=50), 40)
  levels = np.concatenate([batch["level"] for batch in batches])
  low, high = HARD_CLIP.train_levels
  test = scipy.stats.kstest(levels, "uniform", (low, high - low))
  assert test.pvalue > 0.01
  assert len(np.unique(levels)) > 1_990


def test_batches_have_an_axis_of_devices():
  batch = next(_batches(_records(2)))
  devices = jax.local_device_count()
  assert batch["clean"].shape == (devices, 4 // devices, SEGMENT, 1)
  assert batch["level"].shape == (devices, 4 // devices)
  assert isinstance(batch["clean"], jax.Array)


def test_an_epoch_shows_every_record_once():
  source = _records(8)
  batches = _take(_batches(source, segment=400), 4)
  peaks = [record["clean"][0, 0] * 0.5 for record in source]
  first = np.concatenate([batch["clean"][:, 0, 0] for batch in batches])
  for epoch in (first[:8], first[8:]):
    np.testing.assert_allclose(np.sort(epoch), np.sort(peaks), rtol=1e-6)
  assert not np.array_equal(first[:8], first[8:])


def test_the_seed_decides():
  one, same, other = (
    _take(_batches(_records(8), seed=seed), 3) for seed in (1, 1, 2)
  )
  _assert_same(one, same)
  assert not np.array_equal(one[0]["clean"], other[0]["clean"])


def test_workers_change_nothing():
  source = _records(8)
  alone = _take(_batches(source), 6)
  for workers in (1, 2):
    batches = _batches(source, workers=workers)
    _assert_same(_take(batches, 6), alone)
    batches.close()


@pytest.mark.parametrize("workers", [0, 1])
def test_a_restored_state_goes_on_exactly_there(workers):
  source = _records(8)
  straight = _take(_batches(source), 8)
  batches = _batches(source, workers=workers)
  _take(batches, 3)
  state = batches.get_state()
  _assert_same(_take(batches, 5), straight[3:])
  batches.close()
  resumed = _batches(source, workers=workers)
  _take(resumed, 1)
  resumed.set_state(state)
  _assert_same(_take(resumed, 5), straight[3:])
  resumed.close()


def test_processes_share_the_records_among_them(monkeypatch):
  source = _records(9)
  monkeypatch.setattr(jax, "process_count", lambda: 3)
  seen = []
  for process in range(3):
    monkeypatch.setattr(jax, "process_index", lambda process=process: process)
    # Three examples are this process's share of nine; it has three records.
    monkeypatch.setattr(pairs.parallel, "local_batch_size", lambda size: 3)
    (batch,) = _take(_batches(source, segment=400, batch_size=9), 1)
    seen.append(np.sort(batch["clean"][:, 0, 0]))
  first = np.sort([0.5 * record["clean"][0, 0] for record in source])
  np.testing.assert_allclose(np.sort(np.concatenate(seen)), first, rtol=1e-6)
  assert len(np.unique(np.concatenate(seen))) == 9


def test_fewer_records_than_processes_are_refused(monkeypatch):
  monkeypatch.setattr(jax, "process_count", lambda: 3)
  with pytest.raises(UserError, match="2 training excerpts cannot feed 3"):
    _batches(_records(2))


def test_the_validation_set_is_middles_at_levels_in_turn():
  source = [*_records(3, length=400), *_records(1, length=40)]
  batch = pairs.validation_batch(source, HARD_CLIP, segment=SEGMENT, pairs=8)
  assert batch["clean"].shape == (8, SEGMENT, 1)
  np.testing.assert_array_equal(
    batch["level"], [20.0, 25.0, 30.0, 35.0, 40.0, 45.0, 50.0, 20.0]
  )
  for i in range(6):
    middle = 0.5 * source[i // 2]["clean"][168 : 168 + SEGMENT]
    np.testing.assert_allclose(batch["clean"][i], middle, rtol=1e-6)
  short = 0.5 * source[3]["clean"]
  np.testing.assert_allclose(batch["clean"][6, :40], short, rtol=1e-6)
  assert not np.any(batch["clean"][6:, 40:])
