"""Hard clipping: levels met, gradients of the threshold, silence."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from distortion_removal.effects import clipping

TIME = 6000


def make_signals():
  generator = np.random.default_rng(0)
  time = np.arange(TIME)[:, None]
  noise = generator.standard_normal((TIME, 1))
  sine = np.sin(2 * np.pi * 0.01 * time)
  decaying = sine * np.exp(-time / 500)
  padded = np.where(time < 800, noise, 0)
  impulsive = noise**5
  spike = np.where(time == 77, 1, 1e-3 * noise)
  return {
    "noise": 0.1 * noise,
    "sine": 0.9 * sine,
    "decaying": 0.5 * decaying,
    "zero padded": 0.2 * padded,
    "impulsive": 1e-3 * impulsive,
    "one spike": spike,
    "stereo": np.concatenate([noise, 0.05 * sine], axis=1),
    "quiet": 1e-9 * noise,
  }


SIGNALS = make_signals()


def measured_sdr_db(audio, clipped):
  audio, clipped = np.float64(audio), np.float64(clipped)
  error = np.linalg.norm(audio - clipped)
  return 20 * np.log10(np.linalg.norm(audio) / error)


def exact_threshold(magnitude, sdr_db):
  """The threshold by solving, between two sorted samples, a quadratic."""
  rising = np.sort(magnitude.ravel())
  target = np.sum(rising**2) * 10 ** (-sdr_db / 10)
  counts = np.arange(len(rising), 0, -1)
  sums = np.cumsum(rising[::-1])[::-1]
  squares = np.cumsum(rising[::-1] ** 2)[::-1]
  energies = squares - 2 * rising * sums + counts * rising**2
  first = np.argmax(energies < target)
  n, s, q = counts[first], sums[first], squares[first]
  return (s - np.sqrt(s**2 - n * (q - target))) / n


@pytest.mark.parametrize(
  ("options", "expected"),
  [({}, [0.2, -0.5, 1, -1]), ({"rail": 0.4}, [0.2, -0.4, 0.4, -0.4])],
)
def test_hard_clip_amplifies_then_cuts(options, expected):
  audio = jnp.array([0.02, -0.05, 0.3, -0.3])[None, :, None]
  actual = clipping.hard_clip(audio, 20.0, **options)[0, :, 0]
  np.testing.assert_allclose(actual, expected, rtol=1e-6)


@jax.jit
def clip_and_threshold(audio, levels_db):
  return (
    clipping.clip_to_sdr(audio, levels_db),
    clipping.sdr_clip_threshold(audio, levels_db),
  )


@pytest.mark.parametrize("name", SIGNALS)
def test_clip_to_sdr_meets_every_level(name):
  levels_db = np.arange(1, 21)
  audio = np.repeat(np.float32(SIGNALS[name])[None], 20, axis=0)
  clipped, thresholds = clip_and_threshold(audio, levels_db)
  assert np.all(np.diff(thresholds) > 0)
  for item, level_db in enumerate(levels_db):
    measured_db = measured_sdr_db(audio[0], clipped[item])
    assert abs(measured_db - level_db) <= 1e-3
    np.testing.assert_allclose(
      thresholds[item],
      exact_threshold(np.abs(np.float64(audio[0])), level_db),
      rtol=1e-4,
    )
    assert np.abs(clipped[item]).max() == thresholds[item]


@jax.jit
@functools.partial(jax.grad, argnums=(0, 1))
def threshold_gradient(audio, sdr_db):
  return clipping.sdr_clip_threshold(audio[None], sdr_db)[0]


@pytest.mark.parametrize("sdr_db", [2.0, 15.0])
def test_threshold_gradient_equals_finite_differences(sdr_db):
  audio = np.float64(np.float32(SIGNALS["stereo"][:50]))
  by_audio, by_level = threshold_gradient(jnp.float32(audio), sdr_db)
  step = 1e-6
  for index in [(0, 0), (17, 0), (17, 1), np.unravel_index(99, (50, 2))]:
    moved = np.zeros_like(audio)
    moved[index] = step
    above = exact_threshold(np.abs(audio + moved), sdr_db)
    below = exact_threshold(np.abs(audio - moved), sdr_db)
    expected = (above - below) / (2 * step)
    np.testing.assert_allclose(by_audio[index], expected, rtol=1e-3, atol=1e-6)
  above = exact_threshold(np.abs(audio), sdr_db + step)
  below = exact_threshold(np.abs(audio), sdr_db - step)
  np.testing.assert_allclose(by_level, (above - below) / (2 * step), rtol=1e-3)


def test_silence_passes_unchanged_beside_audio():
  audio = jnp.stack([jnp.zeros((TIME, 1)), jnp.float32(SIGNALS["noise"])])
  clipped, thresholds = clip_and_threshold(audio, 5.0)
  assert not np.any(clipped[0])
  assert abs(measured_sdr_db(audio[1], clipped[1]) - 5) < 1e-3
  assert np.isinf(thresholds[0])
  assert np.isfinite(thresholds[1])


def test_gradient_through_silence_is_that_of_the_identity():
  weights = jnp.arange(10.0)[:, None]

  def loss(audio, sdr_db):
    return jnp.sum(weights * clipping.clip_to_sdr(audio, sdr_db))

  gradient = jax.jit(jax.grad(loss, (0, 1)))
  by_audio, by_level = gradient(jnp.zeros((1, 10, 1)), 5.0)
  np.testing.assert_array_equal(by_audio[0], weights)
  assert by_level == 0
