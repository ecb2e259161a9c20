"""Losses against closed forms, float64 differences and auraloss."""

import functools
import pathlib
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.signal

from distortion_removal.common import errors
from distortion_removal.training import losses

STORED = pathlib.Path(__file__).with_name("auraloss_vectors.npz")


def signals(shape=(3, 200, 2), seed=0):
  generator = np.random.default_rng(seed)
  target = 0.2 * generator.standard_normal(shape)
  estimate = 0.7 * target + 0.05 * generator.standard_normal(shape)
  return np.float32(estimate), np.float32(target)


def make_stored():
  """The contents of `auraloss_vectors.npz`, from auraloss itself.

  `python -m tests.training.test_losses` writes the file. It was made by
  auraloss 0.4.0 (installed without its dependencies) and torch 2.13.0 on an
  x86-64 CPU, in float64. The second estimate lies under the floor, the end of
  the first target partly. The first estimate has no bin near zero, where the
  gradient, 1 / magnitude, would measure the rounding of float32.
  """
  import torch
  from auraloss.freq import MultiResolutionSTFTLoss

  estimate, target = signals((2, 1026, 1), seed=92)
  estimate[1] *= 1e-7
  target[0, 600:] *= 1e-5
  loss = MultiResolutionSTFTLoss()
  for part in loss.stft_losses:
    part.window = torch.hann_window(part.win_length, dtype=torch.float64)
  tensors = [
    torch.from_numpy(np.float64(x)).swapaxes(1, 2) for x in (estimate, target)
  ]
  tensors[0].requires_grad_()
  value = loss(*tensors)
  value.backward()
  gradient = tensors[0].grad.numpy().swapaxes(1, 2)
  return {
    "estimate": estimate,
    "target": target,
    "value": value.detach().numpy(),
    "gradient": np.float32(gradient),
  }


def magnitudes_in_float64(signal, size, hop, length):
  """SciPy's transform in the form that losses take; bins along axis 1."""
  hann = scipy.signal.get_window("hann", length)
  hann = np.pad(hann, (size - length) // 2)
  spectrum = scipy.signal.stft(
    np.pad(signal, ((0, 0), (size // 2,) * 2, (0, 0)), "reflect"),
    window=hann,
    nperseg=size,
    noverlap=size - hop,
    boundary=None,
    padded=False,
    axis=1,
  )[2]
  return np.abs(spectrum) * hann.sum()


@functools.cache
def value_and_grad(name):
  """Compiled once for all tests that have signals of one shape."""
  return jax.jit(jax.value_and_grad(losses.parse(name)))


def in_float64(name, estimate, target):
  """The definitions; without a floor where signals are far above it."""
  if name == "magnitude_l2":
    e, t = (
      magnitudes_in_float64(x, 1024, 256, 1024) for x in (estimate, target)
    )
    return np.mean((e - t) ** 2)
  if name == "multi_resolution_stft":
    terms = []
    for sizes in [(1024, 120, 600), (2048, 240, 1200), (512, 50, 240)]:
      e, t = (magnitudes_in_float64(x, *sizes) for x in (estimate, target))
      e, t = np.maximum(e, 1e-4), np.maximum(t, 1e-4)
      terms.append(np.linalg.norm(e - t) / np.linalg.norm(t))
      terms.append(np.mean(np.abs(np.log(e / t))))
    return np.sum(terms) / 3
  if name == "l1":
    return np.mean(np.abs(estimate - target))
  if name == "l2":
    return np.mean((estimate - target) ** 2)
  ratios = []
  for e, t in zip(estimate, target, strict=True):
    if "si_sdr" in name:
      t = np.sum(e * t) / np.sum(t**2) * t
    error = np.sum((e - t) ** 2) / np.sum(t**2)
    bound = 1e-3 if name == "bounded_si_sdr" else 0
    ratios.append(10 * np.log10(error + bound))
  return np.mean(ratios)


def _slow(name):
  return pytest.param(name, marks=pytest.mark.e2e)


@pytest.mark.parametrize(
  "name",
  [
    _slow(name) if name == "multi_resolution_stft" else name
    for name in losses.LOSSES
  ],
)
def test_value_and_gradient_equal_float64(name):
  estimate, target = signals()
  value, gradient = value_and_grad(name)(estimate, target)
  estimate, target = np.float64(estimate), np.float64(target)
  np.testing.assert_allclose(
    value, in_float64(name, estimate, target), rtol=1e-5
  )
  # Here a logarithm's gradient, 1 / magnitude, magnifies float32's rounding;
  # auraloss' vectors, below, are more exact.
  tolerance = 1e-2 if name == "multi_resolution_stft" else 1e-3
  for index in [(0, 0, 0), (1, 7, 1), (2, 199, 0)]:
    step = np.zeros_like(estimate)
    step[index] = 1e-6
    above = in_float64(name, estimate + step, target)
    below = in_float64(name, estimate - step, target)
    expected = (above - below) / 2e-6
    np.testing.assert_allclose(gradient[index], expected, rtol=tolerance)


@pytest.mark.parametrize("name", ["neg_sdr", "neg_si_sdr"])
def test_log_losses_on_silence(name):
  loss = jax.value_and_grad(losses.parse(name))
  silence, sound = jnp.zeros((1, 100, 1)), jnp.full((1, 100, 1), 0.1)

  value, gradient = loss(silence, silence)
  assert value == 0
  np.testing.assert_array_equal(gradient, 0)

  # Silent target: the error, -20 dB, is 80 dB over the floor, and falls by
  # 10 / ln 10 x 2 / (100 x 0.1) dB for a sample's unit.
  value, gradient = loss(sound, silence)
  np.testing.assert_allclose(value, 80, rtol=1e-5)
  np.testing.assert_allclose(gradient, 0.2 * 10 / np.log(10), rtol=1e-5)

  # A perfect estimate: the target is 80 dB over the floor; nothing to mend.
  value, gradient = loss(sound, sound)
  np.testing.assert_allclose(value, -80, rtol=1e-3)
  assert np.all(np.isfinite(gradient))

  # A silent estimate: towards the target, -10 / ln 10 x 2 / (100 x 0.1) dB a
  # unit; but for the scale-invariant one, every direction is as good.
  value, gradient = loss(silence, sound)
  assert value == 0
  slope = {"neg_sdr": -0.2 * 10 / np.log(10), "neg_si_sdr": 0.0}[name]
  np.testing.assert_allclose(gradient, slope, rtol=1e-5)


def test_a_bounded_si_sdr_has_no_reward_beyond_30_db():
  """An error of 30 dB is at the bend: half of a perfect estimate's gain."""
  target = np.float32(signals()[1])
  error = np.float32(signals(seed=1)[1])
  error -= (
    np.sum(error * target, (1, 2), keepdims=True)
    * target
    / np.sum(target**2, (1, 2), keepdims=True)
  )
  error *= np.sqrt(
    np.sum(target**2, (1, 2), keepdims=True)
    / np.sum(error**2, (1, 2), keepdims=True)
  )
  loss = losses.parse("bounded_si_sdr")
  for si_sdr_db, expected in (
    (100, -30),
    (30, -26.990),
    (10, -9.957),
    (-20, 20),
  ):
    estimate = 3.0 * (target + 10 ** (-si_sdr_db / 20) * error)
    np.testing.assert_allclose(loss(estimate, target), expected, atol=1e-3)
  assert loss(0.0 * target, target) == loss(0.0 * target, 0.0 * target) == 0


def test_bfloat16_is_computed_in_float32():
  estimate, target = (jnp.bfloat16(signal) for signal in signals())
  value = losses.parse("l2")(estimate, target)
  assert value.dtype == jnp.float32
  same = [np.asarray(signal, np.float64) for signal in (estimate, target)]
  np.testing.assert_allclose(value, in_float64("l2", *same), rtol=1e-5)


def test_shapes_that_would_broadcast_are_refused():
  with pytest.raises(ValueError, match=r"\(2, 5, 1\).*\(2, 5, 2\)"):
    losses.parse("l1")(jnp.ones((2, 5, 1)), jnp.ones((2, 5, 2)))


@pytest.fixture(scope="module")
def stored():
  with np.load(STORED) as arrays:
    return dict(arrays)


@pytest.mark.e2e
def test_multi_resolution_stft_equals_auraloss(stored):
  loss = value_and_grad("multi_resolution_stft")
  value, gradient = loss(stored["estimate"], stored["target"])
  np.testing.assert_allclose(value, stored["value"], rtol=1e-5)
  # auraloss' own gradient in float32 is 1e-5 of the largest off, ours 0.8e-5.
  scale = np.abs(stored["gradient"]).max()
  np.testing.assert_allclose(gradient, stored["gradient"], atol=3e-5 * scale)


def test_stored_vectors_are_what_auraloss_gives(stored):
  pytest.importorskip("auraloss.freq", reason="auraloss is not installed")
  live = make_stored()
  assert live.keys() == stored.keys()
  for key, value in live.items():
    np.testing.assert_allclose(value, stored[key], rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize(
  "name", ["magnitude_l2", _slow("multi_resolution_stft")]
)
def test_spectral_losses_of_silent_and_perfect_estimates(name):
  """Silence: the target's energy, or its level over the floor; no way out."""
  sound = signals()[1]
  silence = np.zeros_like(sound)
  value, gradient = value_and_grad(name)(silence, sound)
  expected = in_float64(name, silence, sound)
  np.testing.assert_allclose(value, expected, rtol=1e-5)
  np.testing.assert_array_equal(gradient, 0)
  value, gradient = value_and_grad(name)(silence, silence)
  np.testing.assert_allclose(value, 0, atol=1e-6)
  np.testing.assert_array_equal(gradient, 0)
  # A perfect estimate.
  value, gradient = value_and_grad(name)(sound, sound)
  np.testing.assert_allclose(value, 0, atol=1e-6)
  # L1 has a kink here: any subgradient will do, but for one that is NaN.
  assert np.all(np.isfinite(gradient))


@pytest.mark.parametrize(
  ("text", "weights"),
  [
    ("l1 + 0.5 * neg_sdr", {"l1": 1, "neg_sdr": 0.5}),
    (".5 * l1 + 1e-3*l2+l1", {"l1": 1.5, "l2": 1e-3}),
  ],
)
def test_weighted_sums(text, weights):
  estimate, target = signals()
  value = losses.parse(text)(estimate, target)
  terms = (w * losses.LOSSES[n](estimate, target) for n, w in weights.items())
  np.testing.assert_allclose(value, sum(terms), rtol=1e-5)


@pytest.mark.parametrize(
  ("text", "term"),
  [
    ("", ""),
    ("l2 + -1 * l1", "-1 * l1"),
    ("1e999 * l1", "1e999 * l1"),
    ("0.5 l1", "0.5 l1"),
  ],
)
def test_a_sum_that_cannot_be_read_is_quoted(text, term):
  message = re.escape(f"config.loss {text!r}: cannot read {term!r}")
  with pytest.raises(errors.UserError, match=message):
    losses.parse(text)


if __name__ == "__main__":
  np.savez_compressed(STORED, **make_stored())
