"""Means of declippers: their members, weights, and what they keep."""

import numpy as np
import pytest

from distortion_removal.declipping import declipper, fusion
from distortion_removal.declipping.nmf import nmf
from distortion_removal.declipping.parabola import parabola
from distortion_removal.declipping.spade import aspade

RATE = 16_000
SIZES = {"frame": 512, "hop": 128}


def notes(seconds=0.5):
  """Returns two decaying notes, `[1, time, 2]`, peak 1."""
  time = np.arange(int(seconds * RATE)) / RATE
  audio = np.zeros((len(time), 2))
  for channel, pitch_hz in enumerate((220.0, 330.0)):
    for k in range(1, 6):
      audio[:, channel] += np.sin(2 * np.pi * k * pitch_hz * time + k) / k
  audio *= np.exp(-3 * time)[:, None]
  return (audio / np.abs(audio).max())[None]


def sdr_db(target, estimate):
  error = np.sum((target - estimate) ** 2, axis=1)
  return 10 * np.log10(np.sum(target**2, axis=1) / error)


@pytest.fixture(scope="module")
def clean():
  return notes()


@pytest.mark.parametrize(
  "name",
  [
    "fast",
    *(pytest.param(x, marks=pytest.mark.e2e) for x in ("normal", "best")),
  ],
)
def test_reliable_samples_stay_and_clipped_ones_lie_beyond(name, clean):
  audio = np.clip(clean, -0.3, 0.4).astype(np.float32)
  audio[..., 1] = clean[..., 1] * 0.2
  found, info = declipper(name)(audio, (-0.3, np.float32(0.4)), **SIZES)
  assert found.dtype == np.float32
  is_clipped = (audio >= np.float32(0.4)) | (audio <= -0.3)
  np.testing.assert_array_equal(found[~is_clipped], audio[~is_clipped])
  assert np.all(found[audio >= np.float32(0.4)] >= np.float32(0.4))
  assert np.all(found[audio <= np.float32(-0.3)] <= np.float32(-0.3))
  # The clipped channel is better than it was; the other has nothing to tell.
  before, after = (sdr_db(clean[..., :1], x[..., :1]) for x in (audio, found))
  assert after > before + 2
  assert np.isnan(info.input_sdr_db[0, 1])
  np.testing.assert_allclose(info.input_sdr_db[0, 0], before[0, 0], atol=2)


def test_fast_is_its_only_member(clean):
  audio = np.clip(clean, -0.3, 0.3)
  found, info = fusion.fast(audio, 0.3, precision="float64", **SIZES)
  options = {"rank": 48, "iterations": 300, "precision": "float64"}
  alone, _ = nmf(audio, 0.3, frame=512, hop=256, **options)
  np.testing.assert_allclose(found, alone, atol=1e-12)
  assert list(info.weights) == ["nmf 512", "parabola 512"]


@pytest.mark.e2e
@pytest.mark.parametrize("level", [0.1, 0.7])
def test_best_is_the_mean_of_its_members(level, clean):
  audio = np.clip(clean[..., :1], -level, level)
  found, info = fusion.best(audio, level, precision="float64", **SIZES)
  expected, total = 0.0, 0.0
  for member, weight in info.weights.items():
    name, frame = member.split()
    sizes = {"frame": int(frame), "hop": int(frame) // 4}
    sizes["precision"] = "float64"
    weight = weight[0, 0]
    total += weight
    if not weight:
      continue
    if name == "nmf":
      result, _ = nmf(audio, level, iterations=1000, **sizes)
    elif name == "parabola":
      result, _ = parabola(audio, level, **sizes)
    else:
      options = {"s": 1, "r": 1, "epsilon": 0.25, "relative": True}
      result, _ = aspade(audio, level, **options, **sizes)
    expected = expected + weight * result
  np.testing.assert_allclose(found, expected / total, atol=1e-9)
  # Hard clipping wants A-SPADE, mild clipping the l1 norm.
  members = ("aspade 512", "parabola 512")
  hard, mild = (info.weights[name][0, 0] for name in members)
  assert (hard > mild) == (level == 0.1)


def test_weights_add_up_to_one_at_every_sdr():
  for preset in fusion.PRESETS.values():
    rows = [*preset.nmf.values(), preset.aspade, preset.parabola]
    np.testing.assert_allclose(np.sum(rows, axis=0), 1.0, atol=1e-9)
