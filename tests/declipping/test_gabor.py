"""The Gabor frame against its matrix, written out, and Parseval's equation."""

import jax
import numpy as np
import pytest

from distortion_removal.declipping.gabor import Gabor

FRAMES = [Gabor(16, 4, 2), Gabor(12, 6, 1), Gabor(8, 2, 3)]
TIME = 48


def rows_of_the_matrix(gabor, time):
  """D*, one coefficient of the whole spectrum after the other, in float64."""
  frame, hop, size = gabor.frame, gabor.hop, gabor.frame * gabor.redundancy
  window = [np.sin(np.pi * n / frame) ** 2 for n in range(frame)]
  for start in range(hop - frame, time, hop):
    for k in range(size):
      row = np.zeros(time, complex)
      for n in range(frame):
        if 0 <= start + n < time:
          shifted = sum(window[m] ** 2 for m in range(n % hop, frame, hop))
          turn = np.exp(-2j * np.pi * k * n / size)
          row[start + n] = window[n] / np.sqrt(shifted * size) * turn
      yield row


@pytest.mark.parametrize("gabor", FRAMES)
def test_analysis_and_synthesis_are_the_matrix(gabor):
  matrix = np.array(list(rows_of_the_matrix(gabor, TIME)))
  np.testing.assert_allclose(matrix.conj().T @ matrix, np.eye(TIME), atol=1e-12)
  size = gabor.frame * gabor.redundancy
  signal = np.random.default_rng(0).standard_normal(TIME)
  spectrum = (matrix @ signal).reshape(-1, size)
  half = spectrum[:, : size // 2 + 1]
  with jax.enable_x64(True):
    found = jax.jit(gabor.analysis)(signal)
    np.testing.assert_allclose(found, half, atol=1e-12)
    synthesis = jax.jit(gabor.synthesis)
    np.testing.assert_allclose(synthesis(half), signal, atol=1e-12)
    # Not of the frame's range: synthesis as the adjoint.
    whole = np.fft.fft(np.random.default_rng(1).normal(size=spectrum.shape))
    expected = (matrix.conj().T @ whole.ravel()).real
    found = synthesis(whole[:, : size // 2 + 1])
    np.testing.assert_allclose(found, expected, atol=1e-12)
