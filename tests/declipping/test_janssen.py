"""Janssen's interpolation against dense matrices, and at its limits."""

import numpy as np
import pytest
from scipy.linalg import toeplitz

from distortion_removal.common.errors import UserError
from distortion_removal.declipping import janssen as janssen_module
from distortion_removal.declipping.janssen import janssen

FRAME, HOP, ORDER = 64, 32, 10
SMALL = {"frame": FRAME, "hop": HOP, "order": ORDER}
TIME = 200


def tones(batch=1, time=TIME, channels=1):
  """Three sines per channel, peak below 1."""
  n = np.arange(time)[:, None]
  sound = np.zeros((batch, time, channels))
  for item, channel in np.ndindex(batch, channels):
    rng = np.random.default_rng(10 * item + channel)
    pitch, phase = rng.uniform(0.03, 0.2, 3), rng.uniform(0, 6, 3)
    sines = np.sin(2 * np.pi * pitch * n + phase)
    sound[item, :, channel] = sines @ [0.5, 0.3, 0.2]
  return sound


def snr_db(estimate, target):
  error = np.sum((np.float64(estimate) - target) ** 2)
  return 10 * np.log10(np.sum(target**2) / error)


def interpolate(start, mask, iterations):
  """One frame, by least squares; faint rows keep samples near the start."""
  x = start.copy()
  for i in range(1, iterations + 1):
    padded = np.pad(x, (0, ORDER))
    r = np.array([x @ padded[k : k + len(x)] for k in range(ORDER + 1)])
    r[0] *= 1 + 1e-9
    a = np.append(1, -np.linalg.solve(toeplitz(r[:-1]), r[1:]))
    errors = toeplitz(np.pad(a, (0, len(x) - 1)), np.zeros(len(x)))
    faint = np.sqrt(1e-12 * a @ a) * np.eye(mask.sum())
    rows = np.concatenate([errors[:, mask], faint])
    known = -errors[:, ~mask] @ start[~mask]
    goal = np.concatenate([known, faint @ start[mask]])
    solved = np.linalg.lstsq(rows, goal, rcond=None)[0]
    is_drawn_further = i > 2 and np.mean(mask) < 0.6
    gain = 1 + is_drawn_further * (iterations - i) / max(1, iterations - 1)
    x[mask] += gain * (solved - x[mask])
  return x


def written_out(y, rails, iterations):
  """All frames of a channel, which begin before it; zeros are around it."""
  padded = np.pad(y, (FRAME, 2 * FRAME))
  mask = (padded <= rails[0]) | (padded >= rails[1])
  total = np.zeros_like(padded)
  window = np.sin(np.pi * (np.arange(FRAME) + 0.5) / FRAME) ** 2
  for start in range(0, len(y) + FRAME, HOP):
    part = slice(start, start + FRAME)
    frame = padded[part]
    if mask[part].any():
      frame = interpolate(frame, mask[part], iterations)
    total[part] += window * frame
  x = total[FRAME : FRAME + len(y)]
  x = np.where(y >= rails[1], np.maximum(x, rails[1]), x)
  return np.where(y <= rails[0], np.minimum(x, rails[0]), x)


@pytest.mark.parametrize("iterations", [1, 5])
def test_equals_least_squares_written_out(iterations):
  noise = np.random.default_rng(0).standard_normal((1, TIME, 1))
  rails = -0.4, 0.5
  audio = np.clip(tones() + 0.05 * noise, *rails)
  restored, info = janssen(audio, rails, iterations=iterations, **SMALL)
  expected = written_out(audio[0, :, 0], rails, iterations)
  np.testing.assert_allclose(restored[0, :, 0], expected, atol=1e-9)
  assert info.frames == 7


def test_sines_are_predicted():
  """Three sines obey a recursion of order 6; at the ends silence cuts in."""
  clean = tones(time=4096)
  audio = np.clip(clean, -0.6, 0.6)

  def gain_db(iterations):
    restored, _ = janssen(
      audio, frame=1024, hop=512, order=32, iterations=iterations
    )
    inner = slice(None), slice(512, -512)
    before = snr_db(audio[inner], clean[inner])
    return snr_db(restored[inner], clean[inner]) - before

  assert gain_db(5) > 30
  assert gain_db(1) < gain_db(5) - 10


def test_reliable_samples_stay_and_clipped_ones_go_beyond():
  noise = np.random.default_rng(1).standard_normal((2, 700, 2))
  audio = np.clip(noise, -0.5, 0.8).astype(np.float32)
  audio[0, 5, 0] = -0.0
  restored, _ = janssen(audio, (-0.5, 0.8), **SMALL)
  assert restored.dtype == np.float32
  above, below = audio >= np.float32(0.8), audio <= np.float32(-0.5)
  is_reliable = ~(above | below)
  assert restored[is_reliable].tobytes() == audio[is_reliable].tobytes()
  assert np.all(restored[above] >= np.float32(0.8))
  assert np.all(restored[below] <= np.float32(-0.5))
  assert np.any(restored[above] > 0.9)


def test_a_batch_is_its_channels_one_by_one():
  audio = np.clip(tones(batch=2, channels=2), -0.5, 0.5)
  audio[1, :, 1] *= 0.9  # not clipped, given the level
  together, info = janssen(audio, 0.5, **SMALL)
  frames = 0
  for item, channel in np.ndindex(2, 2):
    alone = audio[item, :, channel][None, :, None]
    restored, part = janssen(alone, 0.5, **SMALL)
    np.testing.assert_array_equal(restored[0, :, 0], together[item, :, channel])
    frames += part.frames
  assert info.frames == frames
  np.testing.assert_array_equal(together[1, :, 1], audio[1, :, 1])


@pytest.mark.parametrize("hop", [32, 16, 8])
def test_chunks_of_whole_hops_are_exact_a_frame_from_their_ends(hop):
  audio = np.clip(tones(time=10 * FRAME), -0.5, 0.5)
  options = SMALL | {"hop": hop}
  whole, _ = janssen(audio, 0.5, **options)
  part, _ = janssen(audio[:, FRAME : 8 * FRAME], 0.5, **options)
  inner = whole[:, 2 * FRAME : 7 * FRAME]
  np.testing.assert_allclose(part[:, FRAME:-FRAME], inner, atol=1e-12)


@pytest.mark.parametrize("time", [0, 1, 7, 300])
def test_audio_that_is_not_clipped_comes_back(time):
  for audio in (tones(time=time), np.zeros((1, time, 2))):
    restored, info = janssen(audio, **SMALL)
    np.testing.assert_array_equal(restored, audio)
    assert info.frames == 0


@pytest.mark.parametrize(
  "signal",
  [
    np.full(TIME, 0.5),
    np.full(1, -0.5),
    np.where(np.sin(np.arange(TIME) / 5) > 0, 0.5, -0.5),
    # Some 85 % of the samples.
    np.clip(20 * tones()[0, :, 0], -0.5, 0.5),
    np.repeat([0.0, 0.5], [150, 3]),
  ],
)
def test_almost_all_samples_at_the_rails(signal):
  """A rail that nothing speaks against is the best guess."""
  restored, _ = janssen(signal[None, :, None], 0.5, **SMALL)
  restored = restored[0, :, 0]
  is_clipped = abs(signal) == 0.5
  np.testing.assert_array_equal(restored[~is_clipped], signal[~is_clipped])
  excess = (restored * np.sign(signal))[is_clipped] - 0.5
  assert np.all((excess >= 0) & (excess < 5))


def test_a_system_that_is_not_definite_is_drawn_to_the_start():
  """One of 1 and 2 has an eigenvalue of -1: 100 is added, after 1e-12 to 1."""
  b, lags = np.array([1.0, 2.0]), np.array([[0, 1], [0, 2]])
  goal, start = np.array([3.0, -1.0]), np.array([0.5, 0.7])
  expected = np.linalg.solve([[101, 2], [2, 101]], goal + 100 * start)
  found = janssen_module._solve(b, lags, goal, start)
  np.testing.assert_allclose(found, expected, atol=1e-12)


@pytest.mark.parametrize(
  ("options", "message"),
  [
    ({"hop": 24}, "hop 24"),
    ({"hop": 64}, "hop 64"),
    ({"order": 64}, "order 64"),
    ({"order": 0}, "order must"),
    ({"iterations": 0}, "iterations must"),
  ],
)
def test_mistakes_are_refused(options, message):
  with pytest.raises(UserError, match=message):
    janssen(np.zeros((1, 0, 1)), 0.5, **(SMALL | options))
