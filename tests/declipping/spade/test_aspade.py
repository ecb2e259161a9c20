"""A-SPADE against the benchmark's plain NumPy version, and at its edges."""

import os
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest
from distortion_removal.declipping.spade.aspade import aspade
from distortion_removal.declipping.spade.framewise import Termination

from distortion_removal.common.errors import UserError
from distortion_removal.declipping.clip_level import Rails
from distortion_removal.declipping.spade import calls, iteration
from distortion_removal.metrics.si_sdr import sdr
from experiments.benchmarks.peers.aspade import frame_by_frame

LEVEL = 0.4
SMALL = {"frame": 64, "hop": 16}


def recording(length=700, seed=0):
  """Two decaying partials, some noise and silence at the end."""
  rng = np.random.default_rng(seed)
  time = np.arange(length)
  clean = 0.8 * np.sin(0.21 * time) + 0.4 * np.sin(0.5 * time + 1.0)
  clean = clean * np.exp(-time / 400) + 0.003 * rng.standard_normal(length)
  return clean * (time < 600)


def clipped(length=700, seed=0, level=LEVEL):
  return np.clip(recording(length, seed), -level, level)[None, :, None]


def snr_db(estimate, target):
  noise = np.sum((estimate - target) ** 2)
  return 10 * np.log10(np.sum(target**2) / max(noise, 1e-300))


@pytest.mark.parametrize(
  "options",
  [
    {**SMALL, "redundancy": 2, "s": 1, "r": 1, "epsilon": 0.1},
    {"frame": 64, "hop": 32, "redundancy": 1, "s": 2, "r": 3, "epsilon": 0.01},
    # Too few steps to get there: the best one seen counts.
    {"frame": 48, "hop": 16, "redundancy": 2, "s": 7, "r": 1, "epsilon": 1e-6},
  ],
)
def test_equals_the_plain_version_in_float64(options):
  for level in (0.1, LEVEL, 0.9):
    audio = clipped(level=level)
    restored, info = aspade(audio, level, precision="float64", **options)
    expected, iterations = frame_by_frame(audio[0, :, 0], level, **options)
    early = (options["frame"] // 2 - 1) // options["hop"]
    np.testing.assert_array_equal(
      info.iterations[0, 0], np.roll(iterations, -early)
    )
    assert restored.dtype == np.float64
    assert snr_db(restored[0, :, 0], expected) > 200


@pytest.mark.parametrize("case", ["guitar_16k_paper", "trumpet_44k_survey"])
@pytest.mark.slow
def test_equals_reference_results_on_recordings(case):
  """Where `DECLIPPING_ORACLES` has the stored results; see its message."""
  folder = os.environ.get("DECLIPPING_ORACLES")
  if not folder:
    pytest.skip(
      "set DECLIPPING_ORACLES to a folder with guitar_16k_paper.npz and "
      "trumpet_44k_survey.npz (clean, clip_level_7db, restored_7db, ...)"
    )
  stored = np.load(Path(folder) / f"{case}.npz", allow_pickle=False)
  names = ("frame", "hop", "redundancy", "s", "r")
  options = {name: int(stored[name]) for name in names}
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
      stored[f"iterations_{level_db}db"][worked_on],
    )


def test_float32_is_as_good():
  audio, clean = clipped(4000), recording(4000)[None, :, None]
  before = sdr(audio, clean, sample_rate=1)
  single, _ = aspade(audio.astype(np.float32), LEVEL, **SMALL)
  double, _ = aspade(audio, LEVEL, precision="float64", **SMALL)
  assert single.dtype == np.float32
  gain_db = sdr(double, clean, sample_rate=1) - before
  assert gain_db > 8
  np.testing.assert_allclose(
    sdr(single, clean, sample_rate=1) - before, gain_db, atol=0.1
  )


def test_items_and_channels_do_not_know_of_each_other():
  audio = np.concatenate([clipped(seed=seed) for seed in range(4)], axis=2)
  audio = np.stack([audio[0, :, :2], audio[0, :, 2:]]).astype(np.float32)
  together, info = aspade(audio, LEVEL, **SMALL)
  for item in range(2):
    for channel in range(2):
      alone, alone_info = aspade(
        audio[item : item + 1, :, channel : channel + 1], LEVEL, **SMALL
      )
      np.testing.assert_allclose(
        together[item, :, channel], alone[0, :, 0], atol=1e-5
      )
      np.testing.assert_array_equal(
        info.iterations[item, channel], alone_info.iterations[0, 0]
      )


def test_what_is_reliable_comes_back_to_the_bit():
  audio = clipped().astype(np.float32)
  restored, info = aspade(audio, LEVEL, **SMALL)
  reliable = np.abs(audio) < np.float32(LEVEL)
  assert 0.5 < reliable.mean() < 1.0
  np.testing.assert_array_equal(restored[reliable], audio[reliable])
  beyond = np.abs(restored[~reliable]) >= np.float32(LEVEL)
  assert beyond.all()
  assert np.all(np.sign(restored[~reliable]) == np.sign(audio[~reliable]))
  untouched = info.termination == Termination.UNTOUCHED
  assert 0 < untouched.sum() < untouched.size
  assert np.all(info.iterations[untouched] == 0)


def test_rails_are_found_and_may_differ():
  clean = recording()[None, :, None].astype(np.float32)
  audio = np.clip(clean, -0.3, 0.5)
  restored, info = aspade(audio, **SMALL)
  np.testing.assert_allclose(info.rails.low, -0.3, rtol=1e-6)
  np.testing.assert_allclose(info.rails.high, 0.5, rtol=1e-6)
  given, _ = aspade(audio, (-0.3, 0.5), **SMALL)
  np.testing.assert_array_equal(restored, given)
  one_sided, info = aspade(audio, (-np.inf, 0.5), **SMALL)
  assert info.rails.low == -np.inf
  at_low = audio == np.float32(-0.3)
  np.testing.assert_array_equal(one_sided[at_low], audio[at_low])


def test_a_relative_epsilon_scales_with_the_input():
  audio = clipped().astype(np.float32)
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


@pytest.mark.parametrize("length", [1, 5, 63, 64, 65, 700])
def test_what_is_not_clipped_is_untouched(length):
  audio = recording(length)[None, :, None].astype(np.float32)
  restored, info = aspade(audio, **SMALL)
  np.testing.assert_array_equal(restored, audio)
  assert np.all(info.termination == Termination.UNTOUCHED)
  assert info.rails.high == np.inf
  assert info.rails.low == -np.inf


def test_silence_and_nothing_at_all():
  for shape in ((1, 500, 1), (2, 0, 1), (0, 100, 2)):
    silence = np.zeros(shape, np.float32)
    np.testing.assert_array_equal(aspade(silence, **SMALL)[0], silence)
    np.testing.assert_array_equal(aspade(silence, 0.5, **SMALL)[0], silence)


@pytest.mark.parametrize("length", [1, 10, 300])
def test_constant_at_the_rail_stays(length):
  audio = np.full((1, length, 1), 0.5, np.float32)
  restored, info = aspade(audio, 0.5, **SMALL)
  assert np.all(restored >= 0.5)
  assert np.all(info.termination == Termination.CONVERGED)
  inside = restored[:, 64:-64]
  np.testing.assert_allclose(inside, 0.5, atol=0.1)


def test_fully_clipped_becomes_a_sine():
  time = np.arange(1024)
  sine = np.sin(2 * np.pi * time / 32 + 0.1)[None, :, None]
  square = np.where(sine > 0, 1.0, -1.0).astype(np.float32)
  restored, info = aspade(square, 1.0, **SMALL)
  assert np.all(np.abs(restored) >= 1.0)
  assert np.all(info.termination == Termination.CONVERGED)
  sine, square, restored = (x[:, 64:-64] for x in (sine, square, restored))
  spectrum = np.abs(np.fft.rfft(restored[0, :, 0]))
  share = np.max(spectrum) ** 2 / np.sum(spectrum**2)
  squares = np.abs(np.fft.rfft(square[0, :, 0]))
  assert share > np.max(squares) ** 2 / np.sum(squares**2)


def test_one_program_for_all_lengths():
  aspade(clipped(), LEVEL, **SMALL)
  compiled = calls._compiled.cache_info().misses
  for length in (65, 300, 9001):
    aspade(clipped(length).astype(np.float32), LEVEL, **SMALL)
  assert calls._compiled.cache_info().misses == compiled


def test_frames_beyond_one_call_are_the_same():
  settings = {**SMALL, "epsilon": 0.5}
  one = clipped(700).astype(np.float32)
  many = np.tile(one, (1, 40, 1))
  _, info = aspade(many, LEVEL, **settings)
  assert info.iterations.size > 1024
  # A period in the middle is surrounded as any other is.
  period = info.iterations[0, 0, 700 : 700 + 175].reshape(-1)
  later = info.iterations[0, 0, 700 + 175 : 700 + 350].reshape(-1)
  np.testing.assert_array_equal(period, later)


@pytest.mark.parametrize(
  ("options", "message"),
  [
    ({"frame": 63, "hop": 21}, "even"),
    ({"frame": 64, "hop": 24}, "hop 24"),
    ({"frame": 64, "hop": 64}, "hop 64"),
    ({"s": 0}, "s must"),
    ({"r": -1}, "r must"),
    ({"redundancy": 1.5}, "redundancy must"),
    ({"frame": 64.0, "hop": 16}, "frame must"),
    ({"s": 3_000_000_000}, "s must"),
    ({"epsilon": 0.0}, "epsilon"),
    ({"epsilon": float("nan")}, "epsilon"),
    ({"precision": "float16"}, "float32 or float64"),
  ],
)
def test_options_that_cannot_work(options, message):
  with pytest.raises(UserError, match=message):
    aspade(np.zeros((1, 0, 1), np.float32), **options)


def test_audio_that_cannot_be_used():
  audio = clipped().astype(np.float32)
  audio[0, 7] = np.nan
  with pytest.raises(UserError, match="NaN"):
    aspade(audio, LEVEL)
  with pytest.raises(UserError, match="clip level"):
    aspade(clipped(), -1.0)


def test_reliable_samples_of_float64_stay_whatever_the_precision():
  audio = clipped()
  audio[0, 650] = -0.0
  restored, _ = aspade(audio, LEVEL, **SMALL)
  assert restored.dtype == np.float64
  reliable = np.abs(audio) < LEVEL
  assert restored[reliable].tobytes() == audio[reliable].tobytes()
  single, _ = aspade(audio.astype(np.float32), LEVEL, **SMALL)
  np.testing.assert_allclose(restored, single, atol=1e-5)


def test_a_level_below_the_peak_is_where_it_is_clipped():
  audio = recording()[None, :, None].astype(np.float32)
  restored, info = aspade(audio, 0.4, **SMALL)
  beyond = np.abs(audio) >= np.float32(0.4)
  assert info.rails.high == 0.4
  assert np.all(np.abs(restored[beyond]) >= np.float32(0.4))
  # What is beyond is not used: the result is that of the clipped audio.
  expected, _ = aspade(np.clip(audio, -0.4, 0.4), 0.4, **SMALL)
  np.testing.assert_allclose(restored, expected, atol=1e-6)


def test_a_relative_epsilon_without_a_height_is_absolute():
  audio = np.maximum(clipped(), 0.0).astype(np.float32)
  options = {**SMALL, "epsilon": 0.5}
  relative, info = aspade(audio, (0.0, np.inf), relative=True, **options)
  absolute, _ = aspade(audio, (0.0, np.inf), **options)
  np.testing.assert_array_equal(relative, absolute)
  assert np.all(info.termination != Termination.ITERATION_LIMIT)


def test_other_arrays_become_float32():
  audio = clipped().astype(np.float32)
  expected, _ = aspade(audio, LEVEL, **SMALL)
  restored, _ = aspade(jnp.asarray(audio), LEVEL, **SMALL)
  np.testing.assert_array_equal(restored, expected)
  double, _ = aspade(jnp.asarray(audio), LEVEL, precision="float64", **SMALL)
  assert double.dtype == np.float64
  with pytest.raises(ValueError, match="time"):
    aspade(audio[0, :, 0], LEVEL)


def test_settings_that_the_papers_have_can_work():
  iteration.Settings().check()
  iteration.Settings(8192, 2048, 2, 1, 2).check()
  assert iteration.Settings(8192, 2048, 2, 1, 2).iteration_limit == 16386


def test_rails_may_be_given_as_found():
  audio = clipped().astype(np.float32)
  rails = Rails(np.full((1, 1), -LEVEL), np.full((1, 1), LEVEL))
  np.testing.assert_array_equal(
    aspade(audio, rails, **SMALL)[0], aspade(audio, LEVEL, **SMALL)[0]
  )
