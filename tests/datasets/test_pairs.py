"""Pairs on the fly: what is drawn, and that it is drawn the same again."""

import dataclasses
import itertools

import jax
import numpy as np
import pytest
import scipy.stats

from distortion_removal.datasets import augmentation, mixing, pairs
from distortion_removal.effects import tasks

SEGMENT = 64
HARD_CLIP = tasks.get("hard_clip")
RECORDED = tasks.get("recorded")
# Of a run with everything on; none keeps to a mono task with a fixed peak.
CHANGES = augmentation.Augmentation(
  polarity=True, speeds=(0.9, 1.0, 1.1), sums=0.5
)
# Crops' first samples, levels and seeds of the streams of `_kinds`.
GOLDEN = {
  "plain": (
    [0.48985577, 0.34721002, 0.4320747, 0.41812867],
    [47.246418, 37.314365, 42.651432, 49.340561],
    [817705422, 1461257110, 4206816206, 692372941],
  ),
  "mixed": (
    [0.40355927, 0.43554261, -0.40215817, 0.45071891],
    [48.485245, 24.687916, 34.074604, 47.373142],
    [3255434277, 1412433537, 1642368999, 3546270270],
  ),
}


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
  jax.tree.map(np.testing.assert_array_equal, batches, others)


def _recorded(records):
  """Pairs whose degraded side is twice the clean one, and a hundred off."""
  for record in records:
    degraded = 2.0 * record["clean"] * record["peak"] + 100.0
    peak = np.float32(np.abs(degraded).max())
    record |= {"degraded": np.float32(degraded / peak), "degraded_peak": peak}
    yield record


def test_scale_is_the_whole_excerpts_or_the_recordings_own():
  record = _records(3)[2]
  assert pairs.sides(record, HARD_CLIP)["clean"].max() == np.float32(0.5)
  own = pairs.sides(record, tasks.get("hard_clip_sdr"))["clean"]
  np.testing.assert_allclose(own.max(), 0.3, rtol=1e-6)


def test_training_crops_come_from_scaled_excerpts():
  """They are not brought to the excerpt's peak again."""
  source = _records(3)
  windows = np.concatenate(
    [
      np.lib.stride_tricks.sliding_window_view(
        pairs.sides(record, HARD_CLIP)["clean"][:, 0], SEGMENT
      )
      for record in source
    ]
  )
  for batch in _take(_batches(source), 5):
    for clean in batch["clean"]:
      assert np.any(np.all(windows == clean[:, 0], axis=1))


def test_a_nearly_silent_crop_is_drawn_again():
  """Sound in a tenth: one draw finds it in 12 %, four in 40 %."""
  audio = np.zeros((10_000, 1), np.float32)
  audio[4_000:5_000] = 0.5
  rng = np.random.default_rng(0)
  found = [np.any(pairs.crop(audio, 200, rng)) for _ in range(1_000)]
  once = (1_000 + 200) / (10_000 - 200)
  expected = 1 - (1 - once) ** 4
  assert abs(np.mean(found) - expected) < 4 * np.sqrt(0.24 / 1_000)


@pytest.mark.e2e
def test_levels_and_seeds_are_uniform_over_their_ranges():
  batches = _take(_batches(_records(8), batch_size=50), 20)
  low, high = HARD_CLIP.train_levels
  for key, start, width in (("level", low, high - low), ("seed", 0, 2**32)):
    drawn = np.concatenate([batch[key] for batch in batches])
    assert scipy.stats.kstest(drawn, "uniform", (start, width)).pvalue > 0.01
    assert len(np.unique(drawn)) > 990
    assert drawn.dtype == {"level": np.float32, "seed": np.uint32}[key]


def _kinds(**options):
  mixture = mixing.Mixture((_records(8), _records(3)), (2.0, 1.0))
  recorded = list(_recorded(_records(8)))
  return {
    "plain": lambda: _batches(_records(8), **options),
    "recorded": lambda: _batches(recorded, task=RECORDED, **options),
    "mixed": lambda: _batches(mixture, options=CHANGES, **options),
  }


@pytest.mark.parametrize(
  ("kind", "workers"),
  [
    *((kind, 0) for kind in _kinds()),
    pytest.param("recorded", 1, marks=pytest.mark.e2e),
    pytest.param("mixed", 2, marks=pytest.mark.e2e),
  ],
)
def test_a_later_start_goes_on_exactly_there(kind, workers):
  """As one thread from the first batch on, also in the midst of an epoch."""
  straight = _take(_kinds()[kind](), 8)
  for start in (0, 3):
    batches = _kinds(workers=workers, start=start)[kind]()
    _assert_same(_take(batches, 8 - start), straight[start:])
    batches.close()


@pytest.mark.parametrize("kind", _kinds())
@pytest.mark.parametrize("count", [2, 4])
def test_processes_see_together_what_one_sees(kind, count, monkeypatch):
  """To the bit, batch by batch; record by record in turn."""
  alone = _take(_kinds()[kind](), 3)
  monkeypatch.setattr(jax, "process_count", lambda: count)
  share = 4 // count
  monkeypatch.setattr(pairs.devices, "local_batch_size", lambda size: share)
  parts = []
  for process in range(count):
    monkeypatch.setattr(jax, "process_index", lambda process=process: process)
    parts.append(_take(_kinds()[kind](), 3))
  together = [
    {
      key: np.stack([b[key] for b in batches], 1).reshape(value.shape)
      for key, value in alone[0].items()
    }
    for batches in zip(*parts, strict=True)
  ]
  _assert_same(together, alone)


@pytest.mark.parametrize("kind", ["plain", "mixed"])
def test_the_draws_are_the_same_on_every_version(kind):
  """As they were when this was written; resampling rounds as it likes."""
  (batch,) = _take(_kinds()[kind](), 1)
  clean, levels, seeds = GOLDEN[kind]
  np.testing.assert_allclose(batch["clean"][:, 0, 0], clean, rtol=1e-5)
  np.testing.assert_allclose(batch["level"], levels, rtol=1e-6)
  np.testing.assert_array_equal(batch["seed"], seeds)


def test_both_sides_of_a_recorded_pair_are_cut_alike():
  """And scaled alike: the degraded side stays a function of the clean one."""
  source = list(_recorded(_records(8)))
  options = augmentation.Augmentation(gain_db=6.0, polarity=True)
  gains = set()
  for batch in _take(_batches(source, task=RECORDED, options=options), 4):
    # degraded = 2 clean + 100 gain, whatever the gain and the sign are.
    offset = batch["degraded"] - 2.0 * batch["clean"]
    gain = offset.mean(axis=(1, 2), keepdims=True)
    np.testing.assert_allclose(offset / gain, np.ones(offset.shape), rtol=1e-5)
    gains |= set(np.round(gain.ravel() / 100.0, 4).tolist())
    np.testing.assert_array_equal(batch["level"], 0.0)
  assert len(gains) > 10
  assert max(map(abs, gains)) <= 10 ** (6.0 / 20)
  assert min(gains) < 0 < max(gains)


def test_a_task_with_a_fixed_peak_scales_recorded_sides_together():
  (record,) = _recorded(_records(1))
  task = dataclasses.replace(RECORDED, clean_peak=0.5)
  sides = pairs.sides(record, task)
  assert sides["clean"].max() == pytest.approx(0.5)
  own = pairs.sides(record, RECORDED)
  ratio = sides["degraded"] / own["degraded"]
  np.testing.assert_allclose(ratio, 0.5 / record["peak"], rtol=1e-5)


def test_the_validation_set_is_middles_at_levels_in_turn():
  source = [*_records(3, length=400), *_records(1, length=40)]
  batch = pairs.validation_batch(source, HARD_CLIP, segment=SEGMENT, pairs=8)
  assert batch.keys() == {"clean", "level", "seed"}
  np.testing.assert_array_equal(
    batch["level"], [20.0, 25.0, 30.0, 35.0, 40.0, 45.0, 50.0, 20.0]
  )
  middles = [0.5 * source[i // 2]["clean"][168:][:SEGMENT] for i in range(6)]
  short = np.pad(0.5 * source[3]["clean"], ((0, SEGMENT - 40), (0, 0)))
  expected = np.stack([*middles, short, short])
  np.testing.assert_allclose(batch["clean"], expected, rtol=1e-6)
  seeds = [pairs.fixed_seed(source[i // 2], i % 7) for i in range(8)]
  np.testing.assert_array_equal(batch["seed"], seeds)
  assert len(set(seeds[:6])) == 6


def test_more_pairs_than_levels_are_of_several_places():
  source = list(_recorded(_records(2, length=400)))
  batch = pairs.validation_batch(source, RECORDED, segment=SEGMENT, pairs=6)
  spare = 400 - SEGMENT
  places = [spare // 6, spare // 2, spare * 5 // 6]
  expected = [
    record["peak"] * record["clean"][place:][:SEGMENT]
    for record in source
    for place in places
  ]
  np.testing.assert_allclose(batch["clean"], expected, rtol=1e-6)


def test_the_validation_set_has_recorded_sides():
  source = list(_recorded(_records(3)))
  batch = pairs.validation_batch(source, RECORDED, segment=SEGMENT, pairs=3)
  np.testing.assert_array_equal(batch["level"], 0.0)
  expected = 2.0 * batch["clean"] + 100.0
  np.testing.assert_allclose(batch["degraded"], expected, rtol=1e-5)


def test_a_fixed_seed_is_that_of_the_name_and_the_level():
  """CRC-32 from the level's index on; of b"123456789" its check value."""
  for name in (b"123456789", "123456789"):
    assert pairs.fixed_seed({"id": name}, 0) == 0xCBF43926
  assert pairs.fixed_seed({"id": b"123456789"}, 1) != 0xCBF43926


def test_crops_reach_both_ends_and_short_excerpts_are_padded():
  audio = np.arange(1.0, 5.0, dtype=np.float32)[:, None]
  rng = np.random.default_rng(0)
  starts = [pairs.crop(audio, 3, rng)[0, 0] for _ in range(50)]
  assert set(starts) == {1.0, 2.0}
  for length in (4, 9):
    piece = pairs.crop(audio, length, rng)
    np.testing.assert_array_equal(piece[:4], audio)
    np.testing.assert_array_equal(piece[4:], np.zeros((length - 4, 1)))
