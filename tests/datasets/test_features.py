"""The int16 feature: exact to half a step, through files and JSON alike."""

import json

import numpy as np
import pytest
import tensorflow_datasets as tfds

from distortion_removal.datasets import features


@pytest.fixture
def feature():
  return features.Int16Audio((None, 2))


def test_round_trip_is_within_half_a_step(feature):
  audio = np.random.default_rng(0).uniform(-1, 1, (1000, 2))
  audio = audio.astype(np.float32)
  result = feature.decode_example_np(feature.encode_example(audio))
  assert result.dtype == np.float32
  np.testing.assert_allclose(result, audio, rtol=0, atol=0.5001 / 32767)


def test_full_scale_is_exact(feature):
  audio = np.array([[1.0, -1.0], [0.0, 1.0]], np.float32)
  stored = feature.encode_example(audio)
  assert stored == np.array([32767, -32767, 0, 32767], "<i2").tobytes()
  np.testing.assert_array_equal(feature.decode_example_np(stored), audio)


@pytest.mark.parametrize("bad", [1.0001, -1.0001, np.nan, np.inf])
def test_what_would_wrap_is_refused(feature, bad):
  with pytest.raises(ValueError, match="outside"):
    feature.encode_example(np.array([[0.0, bad]]))


def test_json_round_trip(feature):
  content = json.loads(json.dumps(feature.to_json()))
  restored = tfds.features.FeatureConnector.from_json(content)
  assert type(restored) is features.Int16Audio
  assert restored.shape == (None, 2)
