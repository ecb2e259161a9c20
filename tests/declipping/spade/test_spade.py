"""A-SPADE and S-SPADE against plain NumPy versions, and at their edges."""

import functools
import os
from pathlib import Path
from types import SimpleNamespace

import jax.numpy as jnp
import numpy as np
import pytest
from frame_after_frame import FRAME, HOP, frame_after_frame, spade_frame

from distortion_removal.common.errors import UserError
from distortion_removal.declipping.spade import (
  Termination,
  aspade,
  solver,
  sspade,
)
from distortion_removal.declipping.spade.iteration import Spade
from experiments.benchmarks.peers.aspade import frame_by_frame

LEVEL = 0.4
SMALL = {"frame": FRAME, "hop": HOP}


@pytest.fixture(autouse=True)
def _small_set(monkeypatch):
  """Four frames at a time compile in a third of the time of 128."""
  monkeypatch.setattr(solver, "_CPU", (0, 4, 4))


@pytest.fixture
def whole_set(monkeypatch, _small_set):
  monkeypatch.undo()


def recording(length=700, seed=0):
  """Two decaying partials, some noise and silence at the end."""
  rng = np.random.default_rng(seed)
  time = np.arange(length)
  clean = 0.8 * np.sin(0.21 * time) + 0.4 * np.sin(0.5 * time + 1.0)
  clean = clean * np.exp(-time / 400) + 0.003 * rng.standard_normal(length)
  return (clean * (time < 600))[None, :, None]


def clipped(length=700, seed=0, level=LEVEL, dtype=np.float32):
  return np.clip(recording(length, seed).astype(dtype), -level, level)


def snr_db(estimate, target):
  noise = np.sum((estimate - target) ** 2) + 1e-300
  return 10 * np.log10(np.sum(target**2) / noise)


@pytest.mark.e2e
@pytest.mark.usefixtures("whole_set")
@pytest.mark.parametrize(
  "options",
  [
    {**SMALL, "redundancy": 2, "s": 1, "r": 1, "epsilon": 0.1},
    {"frame": 64, "hop": 32, "redundancy": 1, "s": 2, "r": 3, "epsilon": 0.01},
    # Too few steps to get there: the best one seen counts.
    {"frame": 48, "hop": 16, "redundancy": 2, "s": 7, "r": 1, "epsilon": 1e-6},
  ],
)
def test_aspade_equals_the_plain_version_in_float64(options):
  for level in (0.1, LEVEL, 0.9):
    audio = clipped(level=level, dtype=np.float64)
    restored, info = aspade(audio, level, precision="float64", **options)
    expected, iterations = frame_by_frame(audio[0, :, 0], level, **options)
    np.testing.assert_array_equal(info.iterations[0, 0], iterations)
    assert snr_db(restored[0, :, 0], expected) > 200


@pytest.mark.e2e
@pytest.mark.usefixtures("whole_set")
@pytest.mark.parametrize("case", ["guitar_16k_paper", "trumpet_44k_survey"])
def test_aspade_equals_reference_results_on_recordings(case):
  """Stored: clean, clip_level_7db, restored_7db, iterations_7db, ..."""
  folder = os.environ.get("DECLIPPING_ORACLES")
  if not folder:
    pytest.skip(f"set DECLIPPING_ORACLES to a folder with {case}.npz")
  stored = np.load(Path(folder) / f"{case}.npz", allow_pickle=False)
  names = ("frame", "hop", "redundancy", "s", "r")
  options = {name: int(stored[name]) for name in names}
  # The stored frames before that centred on the first sample are at the end.
  early = (options["frame"] // 2 - 1) // options["hop"]
  for level_db in (1, 7, 20):
    clip_level = float(stored[f"clip_level_{level_db}db"])
    # The stored results were made of audio clipped in float32.
    audio = np.clip(stored["clean"], -clip_level, np.float32(clip_level))
    restored, info = aspade(
      audio.astype(np.float32)[None, :, None],
      clip_level,
      epsilon=float(stored["epsilon"]),
      precision="float64",
      **options,
    )
    assert snr_db(restored[0, :, 0], stored[f"restored_{level_db}db"]) > 100
    # The stored counts include frames without a clipped sample.
    worked_on = info.termination[0, 0] != Termination.UNTOUCHED
    np.testing.assert_array_equal(
      info.iterations[0, 0][worked_on],
      np.roll(stored[f"iterations_{level_db}db"], early)[worked_on],
    )


@pytest.mark.e2e
def test_sspade_equals_the_steps_written_out():
  """With redundancy it is another method than A-SPADE, without it is not."""
  audio = clipped(400, dtype=np.float64)
  definition = functools.partial(spade_frame, "synthesis")
  expected, counts = frame_after_frame(audio[0, :, 0], LEVEL, definition)
  restored, info = sspade(audio, LEVEL, precision="float64", **SMALL)
  np.testing.assert_allclose(restored[0, :, 0], expected, atol=1e-11)
  np.testing.assert_array_equal(info.iterations[0, 0], counts)
  assert max(counts) > 5
  analysis, _ = aspade(audio, LEVEL, precision="float64", **SMALL)
  assert np.max(np.abs(restored - analysis)) > 0.01
  options = {**SMALL, "redundancy": 1, "precision": "float64"}
  synthesis, _ = sspade(audio, LEVEL, **options)
  analysis, _ = aspade(audio, LEVEL, **options)
  np.testing.assert_allclose(synthesis, analysis, atol=1e-12)


@pytest.mark.e2e
def test_float32_is_as_good():
  clean, audio = recording(4000), clipped(4000, dtype=np.float64)
  single, _ = aspade(audio.astype(np.float32), LEVEL, **SMALL)
  double, _ = aspade(audio, LEVEL, precision="float64", **SMALL)
  assert single.dtype == np.float32
  assert snr_db(double, clean) > snr_db(audio, clean) + 8
  assert abs(snr_db(single, clean) - snr_db(double, clean)) < 0.1


def test_items_and_channels_do_not_know_of_each_other():
  audio = np.concatenate([clipped(seed=seed) for seed in range(4)], axis=2)
  audio = np.stack([audio[0, :, :2], audio[0, :, 2:]])
  together, info = aspade(audio, LEVEL, **SMALL)
  for item, channel in np.ndindex(2, 2):
    one = audio[item : item + 1, :, channel : channel + 1]
    alone, alone_info = aspade(one, LEVEL, **SMALL)
    found, count = together[item, :, channel], info.iterations[item, channel]
    np.testing.assert_allclose(found, alone[0, :, 0], atol=1e-5)
    np.testing.assert_array_equal(count, alone_info.iterations[0, 0])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_reliable_samples_come_back_to_the_bit(dtype):
  """Whatever the precision; the others stay beyond the rail."""
  audio = clipped(dtype=dtype)
  audio[0, 650] = -0.0
  restored, info = aspade(audio, LEVEL, **SMALL)
  assert restored.dtype == dtype
  reliable = np.abs(audio) < dtype(LEVEL)
  assert 0.5 < reliable.mean() < 1.0
  assert restored[reliable].tobytes() == audio[reliable].tobytes()
  assert np.all((restored * np.sign(audio))[~reliable] >= dtype(LEVEL))
  untouched = info.termination == Termination.UNTOUCHED
  assert 0 < untouched.sum() < untouched.size
  assert np.all(info.iterations[untouched] == 0)


def test_rails_are_found_and_may_differ():
  audio = np.clip(recording().astype(np.float32), -0.3, 0.5)
  restored, info = aspade(audio, **SMALL)
  np.testing.assert_allclose(info.rails.low, -0.3, rtol=1e-6)
  np.testing.assert_allclose(info.rails.high, 0.5, rtol=1e-6)
  given, _ = aspade(audio, (-0.3, 0.5), **SMALL)
  np.testing.assert_array_equal(given, restored)
  one_sided, info = aspade(audio, (-np.inf, 0.5), **SMALL)
  assert info.rails.low == -np.inf
  at_low = audio == np.float32(-0.3)
  np.testing.assert_array_equal(one_sided[at_low], audio[at_low])


def test_a_relative_epsilon_scales_with_the_input():
  audio = clipped()
  options = {**SMALL, "relative": True, "epsilon": 0.25}
  loud, loud_info = aspade(audio, LEVEL, **options)
  quiet, quiet_info = aspade(audio / 8, LEVEL / 8, **options)
  np.testing.assert_array_equal(quiet * 8, loud)
  np.testing.assert_array_equal(quiet_info.iterations, loud_info.iterations)
  # 0.25 of a rail of 0.4.
  absolute, _ = aspade(audio, LEVEL, **SMALL, epsilon=0.1)
  np.testing.assert_allclose(loud, absolute, atol=1e-5)
  fewer = aspade(audio / 8, LEVEL / 8, **SMALL)[1].iterations
  assert fewer.sum() < quiet_info.iterations.sum()
  # Without a rail to measure it in, it is absolute.
  audio = np.maximum(audio, 0.0)
  options = {**SMALL, "epsilon": 0.5}
  relative, _ = aspade(audio, (0.0, np.inf), relative=True, **options)
  absolute, _ = aspade(audio, (0.0, np.inf), **options)
  np.testing.assert_array_equal(relative, absolute)


def test_audio_that_is_not_clipped_is_untouched():
  for length in (1, 64, 65, 700):
    audio = recording(length).astype(np.float32)
    restored, info = aspade(audio, **SMALL)
    np.testing.assert_array_equal(restored, audio)
    assert np.all(info.termination == Termination.UNTOUCHED)
    assert info.rails[:2] == (-np.inf, np.inf)
  for shape in ((1, 500, 1), (2, 0, 1), (0, 100, 2)):
    silence = np.zeros(shape, np.float32)
    np.testing.assert_array_equal(aspade(silence, **SMALL)[0], silence)
    np.testing.assert_array_equal(aspade(silence, 0.5, **SMALL)[0], silence)


@pytest.mark.parametrize("length", [1, 10, 300])
def test_a_constant_at_the_rail_stays(length):
  restored, info = aspade(np.full((1, length, 1), 0.5), 0.5, **SMALL)
  assert np.all(restored >= 0.5)
  assert np.all(info.termination == Termination.CONVERGED)
  np.testing.assert_allclose(restored[:, 64:-64], 0.5, atol=0.1)


def test_one_program_for_all_lengths():
  aspade(clipped(), LEVEL, **SMALL)
  compiled = solver._compiled.cache_info().misses
  for length in (65, 300, 9001):
    aspade(clipped(length), LEVEL, **SMALL)
  assert solver._compiled.cache_info().misses == compiled


def test_frames_of_many_calls_are_the_same():
  many = np.tile(clipped(700), (1, 15, 1))
  _, info = aspade(many, LEVEL, **SMALL, epsilon=0.5)
  counts = info.iterations[0, 0]
  # Four frames at a time, eight times, is a call.
  assert len(counts) > 10 * 32
  # A period in the middle is surrounded as any other is.
  np.testing.assert_array_equal(counts[100:275], counts[275:450])


def test_a_level_below_the_peak_is_where_the_audio_is_clipped():
  audio = recording().astype(np.float32)
  restored, _ = aspade(audio, 0.4, **SMALL)
  # How far beyond is not used: the result is that of the clipped audio.
  expected, _ = aspade(np.clip(audio, -0.4, 0.4), 0.4, **SMALL)
  np.testing.assert_allclose(restored, expected, atol=1e-6)


def test_other_arrays_become_numpy():
  audio = clipped()
  expected, _ = aspade(audio, LEVEL, **SMALL)
  restored, _ = aspade(jnp.asarray(audio), LEVEL, **SMALL)
  np.testing.assert_array_equal(restored, expected)
  double, _ = aspade(jnp.asarray(audio), LEVEL, precision="float64", **SMALL)
  assert double.dtype == np.float64
  with pytest.raises(ValueError, match="time"):
    aspade(audio[0, :, 0], LEVEL)


def test_the_iteration_limit_of_the_survey():
  """Twice the 8193 bins of 8192 samples: s = 1, r = 2."""
  method = Spade("analysis", 8192, 2048, redundancy=2, s=1, r=2)
  counts = np.array([16_385, 16_386])
  state = SimpleNamespace(iterations=counts, converged=counts < 0)
  assert method.is_done(state).tolist() == [False, True]


@pytest.mark.parametrize(
  ("options", "message"),
  [
    ({"frame": 63, "hop": 21}, "even"),
    ({"frame": 64, "hop": 64}, "hop 64"),
    ({"s": 0}, "s must"),
    ({"r": 0}, "r must"),
    ({"redundancy": 1.5}, "redundancy must"),
    ({"epsilon": float("nan")}, "epsilon"),
    ({"precision": "float16"}, "float32 or float64"),
    ({"clip_level": -1.0}, "clip level"),
  ],
)
def test_options_that_cannot_work(options, message):
  with pytest.raises(UserError, match=message):
    aspade(np.zeros((1, 0, 1), np.float32), **options)
