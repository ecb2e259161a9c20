"""Rails of signals clipped and not clipped by construction."""

import numpy as np
import pytest

from distortion_removal.common.errors import UserError
from distortion_removal.declipping.clip_level import (
  Rails,
  as_samples,
  clip_signs,
  farther_rails,
  find_rails,
  rails_of,
  resolve_rails,
)
from distortion_removal.declipping.plateaus import find_plateaus

RATE = 44_100


def as_audio(*channels):
  return np.stack(channels, axis=-1)[None].astype(np.float32)


def to_bits(signal, bits):
  scale = 2 ** (bits - 1)
  return np.clip(np.round(scale * signal), -scale, scale - 1) / scale


def sine(frequency, phase=0.1):
  return np.sin(2 * np.pi * frequency * np.arange(RATE // 2) / RATE + phase)


def music(seed=0):
  """Decaying notes and some noise, as loud as 1."""
  rng = np.random.default_rng(seed)
  time = np.arange(2 * RATE) / RATE
  notes = sum(
    np.exp(-4 * time) * np.sin(2 * np.pi * k * 220 * time + rng.uniform(0, 6))
    for k in range(1, 9)
  )
  notes = notes + np.roll(notes, RATE // 3) + 0.01 * rng.normal(size=len(time))
  return notes / np.abs(notes).max()


def found(signal):
  low, high, _ = find_rails(as_audio(signal))
  return low.item(), high.item()


@pytest.mark.parametrize("bits", [16, 8, None])
@pytest.mark.parametrize(
  ("low", "high"),
  [(-0.25, 0.25), (-0.125, 0.5), (-np.inf, 0.25), (-0.5, np.inf)],
)
def test_rails_are_found(low, high, bits):
  signal = np.clip(music(), low, high)
  signal = signal if bits is None else to_bits(signal, bits)
  assert found(signal) == (low, high)


@pytest.mark.parametrize("scale", [0.9, 20 / 2**15, 2 / 2**15])
@pytest.mark.parametrize("frequency", [20, 1000, RATE / 30, RATE / 8, RATE / 4])
@pytest.mark.parametrize("phase", [0.1, np.pi / 2])
def test_a_sine_has_no_rails(frequency, scale, phase):
  signal = to_bits(scale * sine(frequency, phase=phase), 16)
  assert found(signal) == (-np.inf, np.inf)


@pytest.mark.parametrize(
  "signal",
  [
    music(),
    to_bits(0.9 * music(), 8),
    np.random.default_rng(1).normal(size=20_000),
    to_bits(0.1 * np.random.default_rng(1).normal(size=20_000), 8),
    np.random.default_rng(1).uniform(-1, 1, 20_000),
    to_bits(2.0**-15 * np.random.default_rng(1).normal(size=20_000), 16),
    np.zeros(1000),
    np.full(1000, 0.25),
    np.full(1000, -0.25),
    0.5 * np.sign(sine(440)),
    0.3 * np.sign(sine(55)) + 0.35,
    np.ones(1),
    np.zeros(0),
  ],
)
def test_what_is_not_clipped_has_no_rails(signal):
  assert found(signal) == (-np.inf, np.inf)


def test_few_distinct_values_are_no_coarse_quantisation():
  signal = np.clip(np.sin(np.pi / 20 * np.arange(800)), -0.5, 0.5)
  assert found(signal) == (-0.5, 0.5)


@pytest.mark.parametrize("low", [-0.25, -0.25 - 2.0**-15])
def test_one_side_tells_of_the_other(low):
  """One sample at the same level is clipped; so are the integers' two ends."""
  signal = to_bits(np.clip(music(), -0.2, 0.25), 16)
  signal[100] = low
  assert found(signal) == (low, 0.25)
  natural = to_bits(np.minimum(music(), 0.25), 16)
  natural[natural.argmin()] = -0.9
  assert found(natural) == (-np.inf, 0.25)


def test_items_and_channels_have_their_own_rails():
  left, right = np.clip(music(), -0.5, 0.25), music(1)
  audio = np.concatenate([as_audio(left, right), as_audio(right, 2 * left)])
  low, high, _ = find_rails(audio)
  assert low.tolist() == [[-0.5, -np.inf], [-np.inf, -1.0]]
  assert high.tolist() == [[0.25, np.inf], [np.inf, 0.5]]


@pytest.mark.e2e
@pytest.mark.parametrize("size", [1, 7, 4096])
def test_a_stream_has_the_rails_of_the_array(size):
  """Also where a run of three lies across blocks, and is the only one."""
  run = np.concatenate([np.linspace(0, 0.4, 50), np.full(3, 0.5), [0.1]])
  for left, right in [(np.clip(music(), -0.3, 0.3), music(2)), (run, -run)]:
    audio = as_audio(left, right)[:, :20_000]
    blocks = [audio[0, k : k + size] for k in range(0, audio.shape[1], size)]
    rails = rails_of(find_plateaus(lambda blocks=blocks: iter(blocks)))
    np.testing.assert_equal(rails, find_rails(audio))
    assert np.isfinite(rails.high[0, 0])
  with pytest.raises(UserError, match="empty"):
    find_plateaus(lambda: iter(()))


@pytest.mark.parametrize(
  ("given", "low", "high"),
  [
    (0.5, -0.5, 0.5),
    ([0.5, 0.25], [[-0.5] * 3, [-0.25] * 3], [[0.5] * 3, [0.25] * 3]),
    ((-0.25, 0.5), -0.25, 0.5),
    ((-np.inf, np.full((2, 3), 0.5)), -np.inf, 0.5),
    (Rails(np.full((2, 3), -0.25), np.inf), -0.25, np.inf),
  ],
)
def test_given_rails(given, low, high):
  audio = np.random.default_rng(0).normal(size=(2, 100, 3))
  resolved = resolve_rails(audio, given)
  np.testing.assert_array_equal(resolved.low, np.broadcast_to(low, (2, 3)))
  np.testing.assert_array_equal(resolved.high, np.broadcast_to(high, (2, 3)))


def test_a_round_level_becomes_that_of_the_samples():
  """0.2 is 6553.6 steps of 16 bit: rounding down, what is clipped is below."""
  plateau = 6553 / 2**15
  audio = as_audio(np.clip(music(), -plateau, plateau))
  resolved = resolve_rails(audio, 0.2)
  assert (resolved.low.item(), resolved.high.item()) == (-plateau, plateau)
  # A step further, or of one sample, it is not the level that was meant.
  assert resolve_rails(audio, plateau + 2.0**-15).high == plateau + 2.0**-15
  exact = Rails(np.array([[-0.2]]), np.array([[0.2]]))
  np.testing.assert_equal(resolve_rails(audio, exact), exact)
  audio[0, :, 0] = np.clip(music(), -0.1, 0.1)
  audio[0, 50, 0] = plateau
  assert resolve_rails(audio, 0.2).high == 0.2


@pytest.mark.parametrize(
  ("level", "message"),
  [
    (0.0, "clip level 0.0: give one above 0"),
    (float("nan"), "clip level nan: give"),
    ([0.5, 0.0], "give one above 0"),
    ((0.5, 0.1), r"\(0.5, 0.1\): give .* low < high"),
    ((-0.1, -0.5), "low < high"),
    ((-0.5, np.nan), "low < high"),
    ([0.5], r"shape \(1,\); give \(\) or \(2,\)"),
    ((-0.5, [0.5, 0.5]), r"shape \(2,\).* \(2, 3\)"),
    ((-0.5, 0.2, 0.5), r"shape \(3,\)"),
  ],
)
def test_bad_levels_are_refused(level, message):
  with pytest.raises(UserError, match=message):
    resolve_rails(np.ones((2, 10, 3)), level)


def test_samples_that_cannot_be_used_are_refused():
  audio = np.zeros((3, 10, 2), np.float32)
  for audio[1, 5, 1] in (np.nan, np.inf):
    for level in (None, 0.5):
      with pytest.raises(UserError, match="item 1 holds NaN or inf"):
        resolve_rails(audio, level)
  with pytest.raises(UserError, match="int16; divide"):
    as_samples(np.zeros((1, 5, 1), np.int16))


def test_signs():
  """In float32 the rail is what rounds to it; in float64 1e-7 below is not."""
  for level in (0.1, 0.2, 0.3, 0.7):
    given = Rails(np.array([[-level, -np.inf]]), np.array([[level, np.inf]]))
    factors = np.array([-2, -1, -1 + 1e-5, 0, 1 - 1e-7, 1, 1 - 1e-5, 2])
    audio = np.stack([level * factors] * 2, axis=1)[None]
    single = clip_signs(audio.astype(np.float32), given)
    double = clip_signs(audio, given)
    assert single.dtype == double.dtype == np.int8
    assert single[0, :, 0].tolist() == [-1, -1, 0, 0, 1, 1, 0, 1]
    assert double[0, :, 0].tolist() == [-1, -1, 0, 0, 0, 1, 0, 1]
    assert not single[..., 1].any()


def test_the_farther_rail():
  low = np.array([[-0.5, -np.inf, -np.inf, -0.1]])
  high = np.array([[0.2, 0.3, np.inf, np.inf]])
  farther = farther_rails(Rails(low, high))
  np.testing.assert_array_equal(farther, [[0.5, 0.3, 1.0, 0.1]])


@pytest.mark.parametrize("sign", [1, -1])
def test_silence_next_to_a_click_is_not_clipped(sign):
  audio = np.zeros((1, 4000, 1))
  audio[0, 1000] = -0.01 * sign
  for side in find_rails(audio)[:2]:
    assert np.isinf(side).all()
