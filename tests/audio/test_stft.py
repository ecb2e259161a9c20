"""The transform against SciPy's, its inverse, and frames."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.signal

from distortion_removal.audio.framing import overlap_add, split_frames
from distortion_removal.audio.stft import frame_count, istft, stft

RNG = np.random.default_rng(0)


@pytest.mark.parametrize(
  ("time", "size", "hop", "window_length"),
  [
    (4_000, 1024, 256, None),
    (4_096, 1024, 256, None),
    (3_001, 512, 50, 240),
    (5_000, 2048, 240, 1200),
    (300, 1024, 256, None),  # shorter than half a frame
  ],
)
def test_equals_scipy(time, size, hop, window_length):
  audio = RNG.standard_normal((2, time, 2)).astype(np.float32)
  found = stft(audio, size=size, hop=hop, window_length=window_length)
  hann = scipy.signal.get_window("hann", window_length or size)
  margin = (size - len(hann)) // 2
  hann = np.pad(hann, (margin, size - len(hann) - margin))
  padded = np.pad(audio, ((0, 0), (size // 2,) * 2, (0, 0)), "reflect")
  _, _, expected = scipy.signal.stft(
    padded.astype(np.float64),
    window=hann,
    nperseg=size,
    noverlap=size - hop,
    boundary=None,
    padded=False,
    axis=1,
  )
  expected = expected * hann.sum()  # SciPy's is normalised
  expected = np.moveaxis(expected, (1, 2, 3), (3, 1, 2))
  assert found.shape[2] == frame_count(time, hop) == expected.shape[2]
  np.testing.assert_allclose(found, expected, atol=1e-6 * hann.sum())


@pytest.mark.parametrize("time", [1, 255, 256, 1_024, 4_321])
def test_inverse_undoes_the_transform(time):
  @jax.jit
  def there_and_back(audio):
    return istft(stft(audio, size=512, hop=128), hop=128, length=time)

  audio = RNG.standard_normal((2, time, 2)).astype(np.float32)
  np.testing.assert_allclose(there_and_back(audio), audio, atol=1e-5)


def test_inverse_is_the_least_squares_one():
  """Its transform is the closest, in the sum of squares over all frames."""
  parts = RNG.standard_normal((2, 1, 1, 9, 33))
  spectrum = parts[0] + 1j * parts[1]
  spectrum[..., [0, -1]] = spectrum[..., [0, -1]].real
  spectrum = spectrum.astype(np.complex64)

  def distance(audio):
    # Inside, where no frame sees the reflected ends.
    frames = jnp.fft.irfft(stft(audio, size=64, hop=16) - spectrum)
    return jnp.sum(frames[:, :, 3:-3] ** 2)

  nearest = istft(spectrum, hop=16, length=128)
  gradient = jax.jit(jax.grad(distance))(nearest)
  # Samples that only those frames cover.
  np.testing.assert_allclose(gradient[:, 64:65], 0.0, atol=1e-4)


@pytest.mark.parametrize(
  ("size", "hop"), [(6, 6), (8, 4), (7, 3), (3, 5), (36, 1)]
)
def test_frames_are_slices_and_add_up(size, hop):
  signal = RNG.standard_normal((2, 3, 36)).astype(np.float32)
  slices = [slice(k, k + size) for k in range(0, 36 - size + 1, hop)]
  frames = np.stack([signal[..., part] for part in slices], -2)
  np.testing.assert_array_equal(split_frames(signal, size, hop), frames)
  expected = np.zeros((2, 3, slices[-1].stop))
  for i, part in enumerate(slices):
    expected[..., part] += frames[..., i, :]
  added = overlap_add(frames, hop)
  assert isinstance(added, np.ndarray)
  np.testing.assert_allclose(added, expected, atol=1e-5)
  added = jax.jit(overlap_add, static_argnums=1)(frames, hop)
  np.testing.assert_allclose(added, expected, atol=1e-5)
