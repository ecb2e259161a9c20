"""Test sounds: the same for the same index, and of the stated kinds."""

import collections

import numpy as np
import pytest
from scipy import signal, stats

from distortion_removal.datasets.sources import signaltrain_sounds as sounds

RATE = 16_000
TIME_S = np.arange(RATE) / RATE
# Of each kind, inner products with two cosines.
PINNED = [
  [-1.3742428, -13.5213383],
  [1.1394535, 1.2114037],
  [0.4996247, 0.0545350],
  [28.8566132, -26.8755547],
  [2.1412957, 2.1674339],
]


def make(kind, seed, time_s=TIME_S):
  return sounds.KINDS[kind](np.random.default_rng(seed), time_s)


def render(index, **options):
  options = {"seed": 0, "sample_rate": RATE, "seconds": 3.0} | options
  return sounds.SignalTrainSounds.render(index, **options)


def spectrum(sound):
  return np.abs(np.fft.rfft(sound * np.hanning(len(sound)))) ** 2


def test_pinned_sounds():
  found = [
    [np.vdot(np.cos(0.1 * np.arange(RATE) + i), make(kind, 5)) for i in (0, 1)]
    for kind in ("tones", "pluck", "sweep", "noise_burst", "mixture")
  ]
  np.testing.assert_allclose(found, PINNED, rtol=0, atol=1e-6)


def test_kinds_are_alike_in_number_and_lengths_in_octaves():
  excerpts = [sounds.compose(i, seed=3, seconds=10.0) for i in range(300)]
  drawn = [sound for excerpt in excerpts for sound in excerpt]
  counts = collections.Counter(sound.kind for sound in drawn)
  assert set(counts) == set(sounds.KINDS)
  assert stats.chisquare(list(counts.values())).pvalue > 0.01
  octaves = np.log2([sound.length_s / 0.1 for sound in drawn])
  uniform = stats.uniform(0.0, np.log2(20.0))
  assert stats.kstest(octaves, uniform.cdf).pvalue > 0.01


def test_sounds_follow_each_other_and_fill_the_excerpt():
  drawn = sounds.compose(0, seed=0, seconds=10.0)
  ends = [sound.start_s + sound.length_s for sound in drawn]
  assert drawn[0].start_s == 0.0
  assert [sound.start_s for sound in drawn[1:]] == ends[:-1]
  assert ends[-2] < 10.0 <= ends[-1]
  # A longer excerpt begins the same.
  longer = sounds.compose(0, seed=0, seconds=20.0)
  assert longer[: len(drawn)] == drawn


def test_another_sample_rate_is_the_same_signal():
  """Of a pluck, whose pitches lie below both limits, at common samples."""
  low = make("pluck", 11)
  high = make("pluck", 11, np.arange(3 * RATE) / (3 * RATE))
  np.testing.assert_allclose(high[::3], low, rtol=0, atol=1e-3)


def test_tones_are_lines_of_the_stated_level_and_number():
  for seed in range(30):
    sound = make("tones", seed)
    power = spectrum(sound)
    peaks = signal.find_peaks(power, height=power.max() / 100, distance=4)[0]
    near = np.abs(np.arange(len(power))[:, None] - peaks).min(axis=1) <= 3
    assert 1 <= len(peaks) <= 2
    assert peaks.min() >= 18
    assert peaks.max() <= 0.45 * RATE + 1
    assert power[near].sum() > 0.999 * power.sum()
    # The mean square of sines, each 0.2 to 0.9; twice that if they coincide.
    assert 0.2**2 / 2.1 < np.mean(sound**2) < 0.9**2 * 1.1


def test_a_sweep_spans_its_band_and_rises():
  for seed in range(10):
    sound = make("sweep", seed)
    rng = np.random.default_rng(seed)
    amplitude = rng.uniform(0.1, 0.9)
    low_hz, high_hz = rng.uniform(20.0, 1000.0), rng.uniform(1000.0, 20000.0)
    high_hz = min(high_hz, 0.45 * RATE)
    phase = np.unwrap(np.angle(signal.hilbert(sound)))
    hz = np.diff(phase) * RATE / (2.0 * np.pi)
    expected = low_hz * (high_hz / low_hz) ** TIME_S[1:]
    inner = slice(RATE // 4, -RATE // 50)  # not the transform's ends
    assert np.median((hz / expected)[inner]) == pytest.approx(1.0, rel=0.01)
    assert np.abs(sound).max() == pytest.approx(amplitude, rel=0.02)


def test_a_box_steps_up_and_down():
  for seed in range(20):
    box = make("box", seed)
    high = box > 0.5
    assert box[high].max() <= 0.95
    assert box[0] <= 0.15
    assert 0.1 <= box[-1] <= 0.3
    assert np.abs(np.diff(high.astype(int))).sum() in (1, 2)
    assert 0.29 <= high.mean() <= 0.68


def test_level_steps_are_of_one_decibel():
  parts = np.array_split(make("level_steps", 0), 30)
  level_db = [20.0 * np.log10(np.abs(part[9:-9]).max()) for part in parts]
  np.testing.assert_allclose(level_db, np.arange(-30.0, 0.0), atol=0.1)


def test_spikes_are_three_samples_wide():
  tall = np.abs(make("spikes", 2)) > 0.45
  runs = np.split(tall, np.flatnonzero(np.diff(tall)) + 1)
  widths = [len(run) for run in runs if run[0]]
  assert max(widths) <= 2
  assert 5 <= len(widths) <= 50


def test_pink_noise_falls_by_three_decibels_an_octave():
  power = sum(
    np.abs(np.fft.rfft(sounds.pink_noise(np.random.default_rng(i), RATE))) ** 2
    for i in range(20)
  )
  octaves = [power[2**k : 2 ** (k + 1)].mean() for k in range(4, 12)]
  slope = np.polyfit(np.arange(8), 10.0 * np.log10(octaves), 1)[0]
  assert slope == pytest.approx(-3.01, abs=0.15)


def test_a_low_sample_rate_folds_nothing():
  time_s = np.arange(2_000) / 2_000
  for kind in ("tones", "pluck", "sweep", "level_steps"):
    for seed in range(10):
      power = spectrum(make(kind, seed, time_s))
      assert power[925:].sum() < 1e-2 * power.sum()


def test_an_index_is_a_sound_within_full_scale():
  found = [render(index) for index in range(40)]
  peaks = [np.abs(sound).max() for sound in found]
  assert max(peaks) == 1.0  # some were scaled down to it
  assert min(peaks) > 0.3
  np.testing.assert_array_equal(render(7), found[7])
  for other in (found[8], render(7, seed=1)):
    assert abs(np.corrcoef(found[7][:, 0], other[:, 0])[0, 1]) < 0.3
