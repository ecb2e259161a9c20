"""Filters against SciPy's recursion on the cookbook's digital coefficients."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import signal

from distortion_removal.effects import tone
from distortion_removal.effects.tone import Section


def cookbook(kind, corner, q, gain_db):
  """The coefficients [b0 b1 b2 a0 a1 a2] as the Audio EQ Cookbook has them."""
  w0 = 2 * np.pi * corner
  cos, alpha = np.cos(w0), np.sin(w0) / (2 * q)
  a = 10 ** (gain_db / 40)
  b = {
    "low_pass": [(1 - cos) / 2, 1 - cos, (1 - cos) / 2],
    "high_pass": [(1 + cos) / 2, -(1 + cos), (1 + cos) / 2],
    "peaking": [1 + alpha * a, -2 * cos, 1 - alpha * a],
  }
  if kind in b:
    alpha = alpha / a if kind == "peaking" else alpha
    return np.array([[*b[kind], 1 + alpha, -2 * cos, 1 - alpha]])
  # A high shelf is a low shelf with cos and the middle signs turned.
  side = 1 if kind == "low_shelf" else -1
  turn, root, cos = 2 * side, 2 * np.sqrt(a) * alpha, side * cos
  more, less = a + 1, (a - 1) * cos
  b = [a * (more - less + root), a * turn * (a - 1 - more * cos)]
  b.append(a * (more - less - root))
  rest = [more + less + root, -turn * (a - 1 + more * cos)]
  return np.array([[*b, *rest, more + less - root]])


def by_scipy(audio, sections):
  for section in sections:
    sos = cookbook(section.kind, section.corner, section.q, section.gain_db)
    audio = signal.sosfilt(sos / sos[0, 3], audio, axis=-2)
  return audio


def noise(*shape):
  return np.float32(np.random.default_rng(0).uniform(-1, 1, shape))


def residual_db(actual, expected):
  error = np.linalg.norm(np.float64(actual) - expected)
  return 20 * np.log10(error / np.linalg.norm(expected))


@pytest.mark.parametrize("kind", tone.KINDS)
@pytest.mark.parametrize(
  ("corner", "q", "gain_db"),
  [(0.01, 0.7071, 9.0), (0.2, 2.0, -12.0), (0.45, 0.5, 6.0), (0.001, 1.0, 3.0)],
)
def test_equals_the_recursion(kind, corner, q, gain_db):
  section = Section(kind, corner, q, gain_db)
  audio = noise(1, 3000, 2)
  actual = jax.jit(lambda audio: tone.equalise(audio, [section]))(audio)
  assert actual.dtype == jnp.float32
  assert residual_db(actual, by_scipy(audio, [section])) <= -100


def test_sections_follow_each_other_and_none_is_none():
  sections = [
    Section("high_pass", 0.01),
    Section("peaking", 0.1, 1.5, 12.0),
    Section("low_pass", 0.2),
  ]
  audio = noise(1, 1000, 1)
  actual = tone.equalise(audio, sections)
  assert residual_db(actual, by_scipy(audio, sections)) <= -100
  np.testing.assert_array_equal(tone.equalise(audio, []), audio)


def test_gains_where_the_docstrings_say():
  # A shelf has half its gain at the corner, a Butterworth filter -3 dB.
  size, at = 1024, 128

  def gain_db(section):
    response = np.abs(tone.response(section, size))[:, 0]
    return 20 * np.log10(np.maximum(response, 1e-9))[[0, at, size // 2]]

  corner = at / size
  for kind, expected in {
    "low_shelf": (10, 5, 0),
    "high_shelf": (0, 5, 10),
    "peaking": (0, 10, 0),
    "low_pass": (0, -3.0103, -180),
    "high_pass": (-180, -3.0103, 0),
  }.items():
    actual = gain_db(Section(kind, corner, gain_db=10.0))
    np.testing.assert_allclose(actual, expected, atol=1e-4)


def test_numbers_of_each_item():
  audio = noise(3, 400, 2)
  numbers = np.float32([[0.01, 0.1, 0.3], [0.5, 1.0, 2.0], [-6.0, 0.0, 9.0]])

  @jax.jit
  def together(audio, numbers):
    return tone.equalise(audio, [Section("low_shelf", *numbers)])

  actual = together(audio, numbers)
  for item in range(3):
    section = Section("low_shelf", *np.float64(numbers[:, item]))
    expected = by_scipy(audio[item], [section])
    assert residual_db(actual[item], expected) <= -100
  together(audio, numbers / 2)
  assert together._cache_size() == 1
  vmapped = jax.vmap(together)(audio, numbers.T)
  np.testing.assert_allclose(vmapped, actual, atol=1e-5)


def test_zeros_after_change_nothing():
  section = Section("low_shelf", 0.01, gain_db=9.0)
  audio = noise(1, 1000, 1)
  longer = tone.equalise(np.pad(audio, ((0, 0), (0, 999), (0, 0))), [section])
  same = tone.equalise(audio, [section])
  np.testing.assert_allclose(longer[:, :1000], same, atol=2e-6)
