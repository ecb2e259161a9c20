"""Overdrive against the SoX program and a float64 loop over samples.

`overdrive_vectors.npz` holds the output of SoX 14.4.2 for `input`, mono, under
the names `GAIN_COLOUR`; each was made from raw float32 samples by

    sox -D -r 16000 -c 1 -t f32 INPUT -t f32 OUTPUT overdrive GAIN COLOUR

`python tests/effects/test_overdrive.py` makes the file again.
"""

import functools
import pathlib
import shutil
import subprocess

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from distortion_removal.effects.overdrive import overdrive as effect

VECTORS = pathlib.Path(__file__).with_name("overdrive_vectors.npz")
overdrive = jax.jit(effect)
STORED = [(0, 20), (20, 0), (35, 0), (50, 0), (35, 20), (20, 100)]


def plucks(time, channels=1, seed=0):
  """Decaying harmonic notes on a little noise, peak 0.5, as float32."""
  generator = np.random.default_rng(seed)
  seconds = np.arange(time)[:, None] / 16000
  audio = 1e-3 * generator.standard_normal((time, channels))
  for onset in np.arange(0, time, 6000) / 16000:
    since = np.maximum(seconds - onset, 0)
    pitch = generator.uniform(80, 500, channels)
    for partial in range(1, 6):
      phase = 2 * np.pi * partial * pitch * since
      audio += np.sin(phase) * np.exp(-4 * partial * since) / partial
  return (0.5 * audio / np.abs(audio).max()).astype(np.float32)


def by_sox(audio, gain_db, colour):
  """SoX's overdrive of `[time, channels]` float32 samples."""
  raw = ["-t", "f32", "-r", "16000", "-c", str(audio.shape[1])]
  effect = ["overdrive", str(gain_db), str(colour)]
  command = ["sox", "-D", *raw, "-", *raw, "-", *effect]
  output = subprocess.run(
    command, input=audio.tobytes(), capture_output=True, check=True
  ).stdout
  return np.frombuffer(output, np.float32).reshape(audio.shape)


def by_loop(audio, gain_db, colour):
  """The formula, one sample after the other, in float64; `[time]`."""
  output = np.zeros(len(audio))
  last_distorted = blocked = 0.0
  for n, x in enumerate(np.float64(audio)):
    driven = max(-1, min(10 ** (gain_db / 20) * x + colour / 200, 1))
    distorted = driven - driven**3 / 3
    blocked = distorted - last_distorted + 0.995 * blocked
    last_distorted = distorted
    output[n] = 0.5 * x + 0.75 * blocked
  return output


def assert_near(actual, expected, residual_db):
  error = np.linalg.norm(np.float64(actual) - expected)
  assert error <= 10 ** (residual_db / 20) * np.linalg.norm(expected)


@pytest.mark.skipif(not shutil.which("sox"), reason="needs the program sox")
@pytest.mark.parametrize("colour", [0, 20, 50, 100])
@pytest.mark.parametrize("gain_db", [0, 10, 20, 35, 50, 60])
def test_equals_the_sox_program(gain_db, colour):
  audio = 0.5 * plucks(40000, channels=2)
  expected = by_sox(audio, gain_db, colour)
  assert np.abs(expected).max() < 1  # else the program has clipped
  actual = overdrive(audio[None], float(gain_db), colour=float(colour))[0]
  assert_near(actual, expected, -90)


@pytest.mark.parametrize(("gain_db", "colour"), STORED)
def test_equals_stored_output_of_sox(gain_db, colour):
  with np.load(VECTORS) as vectors:
    audio, expected = vectors["input"], vectors[f"{gain_db}_{colour}"]
  actual = overdrive(audio[None, :, None], float(gain_db), colour=float(colour))
  assert_near(actual[0, :, 0], expected, -90)


@pytest.mark.parametrize("time", [1, 127, 128, 129, 16385])
@pytest.mark.parametrize(("gain_db", "colour"), [(35, 0), (50, 30)])
def test_equals_loop_at_lengths_around_the_blocks(time, gain_db, colour):
  audio = plucks(16385)[-time:, 0]
  actual = overdrive(audio[None, :, None], float(gain_db), colour=float(colour))
  expected = by_loop(audio, gain_db, colour)
  assert_near(actual[0, :, 0], expected, -110)


def test_a_gain_of_zero_passes_the_audio_as_the_program_does():
  audio = np.stack([plucks(300)] * 2)
  actual = overdrive(audio, jnp.array([0.0, 0.001]), colour=50.0)
  np.testing.assert_array_equal(actual[0], audio[0])
  expected = by_loop(audio[1, :, 0], 0.001, 50)
  assert_near(actual[1, :, 0], expected, -110)


def test_accelerators_are_asked_for_full_float32_products():
  """Two in the DC blocker, one in either filter of the oversampling."""
  oversampled = functools.partial(effect, oversample=2)
  program = str(jax.make_jaxpr(oversampled)(jnp.ones((1, 999, 1)), 9.0))
  assert program.count("= dot_general") == 4
  assert program.count("precision=(Precision.HIGHEST") == 4


def test_gradient_equals_finite_differences_of_the_loop():
  audio = plucks(300)[:, 0]
  gain_db, step = 12.0, 1e-5
  weights = np.random.default_rng(1).standard_normal(300)

  def loss(audio, gain_db):
    output = overdrive(audio[None, :, None], gain_db)[0, :, 0]
    return jnp.sum(output * jnp.float32(weights))

  def difference(direction, gain_step):
    ends = [
      by_loop(audio + sign * step * direction, gain_db + sign * gain_step, 0)
      for sign in (-1, 1)
    ]
    return weights @ (ends[1] - ends[0]) / (2 * step)

  by_audio, by_gain = jax.jit(jax.grad(loss, (0, 1)))(audio, gain_db)
  for sample in (0, 1, 130, 299):
    expected = difference(np.eye(300)[sample], 0)
    np.testing.assert_allclose(by_audio[sample], expected, rtol=1e-3, atol=1e-3)
  np.testing.assert_allclose(by_gain, difference(0, step), rtol=1e-3)


if __name__ == "__main__":
  note = plucks(2000)
  outputs = {f"{g}_{c}": by_sox(note, g, c)[:, 0] for g, c in STORED}
  np.savez_compressed(VECTORS, input=note[:, 0], **outputs)
