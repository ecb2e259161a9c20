"""Descriptions against counts by hand."""

import functools
import json
from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import pytest

from distortion_removal.models.crafx import CRAFx
from distortion_removal.models.demucs import Demucs
from distortion_removal.models.describe import describe, layer_table

RATE = 1_000  # Hz
HALF_DENSE = functools.partial(nn.Dense, dtype="bfloat16")


class Network(nn.Module):
  """The interface of a network around `layers(audio, train)`."""

  layers: Callable[[jax.Array, bool], jax.Array]
  audio_channels: int = 1
  sample_rate: int = RATE
  hop: int = 1
  context: Any = None

  @nn.nowrap
  def valid_length(self, length: int) -> int:
    return length + 5

  @nn.compact
  def __call__(self, audio, train=False):
    return self.layers(audio, train)


def test_demucs_by_hand():
  """Two layers of 4 and 8 features; all but the rates is the default."""
  model = Demucs(
    channels=4, depth=2, lstm_layers=1, resample=False, normalize=False
  )
  found = describe(model, name="small demucs")
  assert json.loads(json.dumps(found)) == found
  frames, deep = 16_000 // 4, 16_000 // 16  # per second
  expected = frames * (8 * 1 * 4 + 4 * 8)  # encoder: convolution, rewrite
  expected += deep * (8 * 4 * 8 + 8 * 16)
  expected += deep * 2 * (8 + 8) * (4 * 8)  # two directions, four gates
  expected += deep * 16 * 8
  expected += deep * (3 * 8 * 16 + 8 * 8 * 4)  # decoder: rewrite, transposed
  expected += frames * (3 * 4 * 8 + 8 * 4 * 1)
  assert found["multiply_adds_per_second"] == expected
  assert found["hop_samples"] == 16
  assert found["receptive_field_samples"] is found["latency_seconds"] is None


def test_context_and_latency():
  network = Network(lambda x, _: x, context=(20, 30), hop=4)
  found = describe(network, name="none")
  assert found == {
    "network": "none",
    "parameters": 0,
    "sample_rate": RATE,
    "hop_samples": 4,
    "valid_lengths": {"1 s": 1_005, "2 s": 2_005, "10 s": 10_005},
    "receptive_field_samples": 51,
    "latency_seconds": 0.03,
    "multiply_adds_per_second": 0,
    "activation_bytes_per_second": 0,
  }


def choose(x, _):
  """Seven multiply-adds a sample, or none."""
  wide = jnp.ones((1, 7))
  return jax.lax.cond(
    x.sum() > 0,
    lambda x: x @ wide,
    lambda x: jnp.broadcast_to(x, (*x.shape[:2], 7)),
    x,
  )


@pytest.mark.parametrize(
  ("layers", "hop", "expected"),
  [
    (lambda x, _: nn.RNN(nn.SimpleCell(3))(x), 1, RATE * (1 * 3 + 3 * 3)),
    (
      lambda x, _: nn.Conv(8, (5,), 2, feature_group_count=2)(nn.Dense(4)(x)),
      2,
      RATE * 4 + RATE // 2 * 8 * (4 // 2) * 5,
    ),
    (
      lambda x, _: nn.ConvTranspose(6, (4,), (2,))(x),
      1,
      RATE * 4 * 6,  # taps that meet inserted zeros multiply nothing
    ),
    (jax.jit(lambda x, _: x @ jnp.ones((1, 9))), 1, RATE * 9),
    (choose, 1, RATE * 7),
    # Frames of 7 samples: the remainder at the end must not count.
    (lambda x, _: nn.Conv(7, (7,), 7, padding="VALID")(x), 7, RATE * 7),
    (lambda x, _: jnp.abs(jnp.fft.fft(x)), 1, 0),
  ],
  ids=["scan", "grouped", "transposed", "jit", "cond", "frames", "fft"],
)
def test_multiply_adds(layers, hop, expected):
  found = describe(Network(layers, hop=hop), name="")
  assert found["multiply_adds_per_second"] == expected


@pytest.mark.parametrize(
  ("layers", "bytes_per_sample"),
  [
    # The hidden layer in float32, for the gradient of the second kernel. The
    # audio itself is no activation.
    (lambda x, _: nn.Dense(1)(nn.Dense(5)(x)), 5 * 4),
    # Of a rectifier, the signs besides; zeros that replace are a constant.
    (lambda x, _: nn.Dense(1)(nn.relu(nn.Dense(5)(x))), 5 * 4 + 5),
    # Two bytes each, the audio's copy as well.
    (lambda x, _: HALF_DENSE(1)(HALF_DENSE(5)(x)), 5 * 2 + 1 * 2),
    # In training, which entries were dropped.
    (
      lambda x, train: nn.Dense(1)(
        nn.Dropout(0.5, deterministic=not train)(nn.Dense(5)(x))
      ),
      5 * 4 + 5,
    ),
  ],
  ids=["linear", "relu", "bfloat16", "dropout"],
)
def test_activation_bytes(layers, bytes_per_sample):
  found = describe(Network(layers), name="")
  assert found["activation_bytes_per_second"] == RATE * bytes_per_sample


def test_statistics_are_no_parameters():
  def normalised(x, train):
    return nn.BatchNorm(use_running_average=not train)(nn.Dense(3)(x))

  found = describe(Network(normalised), name="")
  assert found["parameters"] == (3 + 3) + (3 + 3)


def test_layer_table():
  """Paths, shapes for 1 s and numbers of parameters; nothing is cut short."""
  table = layer_table(CRAFx())
  texts = ("lstm_1/layer_0_backward", "float32[1,9,4096,16]", "275,073")
  assert all(text in table for text in texts)
  assert "…" not in table
