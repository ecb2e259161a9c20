"""The int16 feature: exact to half a step."""

import numpy as np
import pytest

from distortion_removal.datasets import features

FEATURE = features.Int16Audio((None, 2))


def test_round_trip_is_within_half_a_step_and_full_scale_exact():
  audio = np.float32(np.random.default_rng(0).uniform(-1, 1, (1000, 2)))
  audio[:2] = [[1.0, -1.0], [0.0, 1.0]]
  stored = FEATURE.encode_example(audio)
  assert stored[:8] == np.array([32767, -32767, 0, 32767], "<i2").tobytes()
  result = FEATURE.decode_example_np(stored)
  assert result.dtype == np.float32
  np.testing.assert_array_equal(result[:2], audio[:2])
  np.testing.assert_allclose(result, audio, rtol=0, atol=0.5001 / 32767)


@pytest.mark.parametrize("bad", [1.0001, -1.0001, np.nan])
def test_what_would_wrap_is_refused(bad):
  with pytest.raises(ValueError, match="outside"):
    FEATURE.encode_example(np.array([[0.0, bad]]))
