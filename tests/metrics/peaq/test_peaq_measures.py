"""PEAQ's measures, averages and grade at values worked out by hand."""

import dataclasses
import math

import numpy as np
import pytest

from distortion_removal.metrics.peaq import framing, grade, measures, movs
from distortion_removal.metrics.peaq.comparison import Measures
from distortion_removal.metrics.peaq.patterns import patterns


@pytest.fixture(autouse=True)
def as_in_the_package():
  """Which silences NumPy where it is entered: infinities are dealt with."""
  with np.errstate(all="ignore"):
    yield


def test_bandwidth():
  target, estimate = np.full((2, 5, 1025), 1e-3)
  estimate[:, 1000] = 1.0  # the floor
  target[0, [500, 800]] = 10.0, 9.9
  target[1, 900] = estimate[1, 920] = estimate[1, 700] = 20.0
  target[2, 347] = 10.0  # the lowest that counts
  estimate[2, 20] = 3.2
  target[3, 346] = 1e6
  estimate[4] = 0.0  # digital silence: everything stands out
  of_target, of_estimate = measures.bandwidth(target, estimate)
  np.testing.assert_array_equal(of_target, [501, 901, 348, -1, 921])
  np.testing.assert_array_equal(of_estimate, [-1, 701, 21, -1, 921])


def test_error_harmonics_of_a_cosine_over_frequency():
  """Written out: correlation, its norm, window and transform as sums."""
  bins = np.arange(511)
  ratio = np.cos(2 * np.pi * bins / 16) + 0.3 * np.sin(bins**1.5)
  target = np.ones((2, 1025))
  estimate = np.ones((2, 1025))
  estimate[0, :511] = np.exp(ratio)
  correlation = np.array([ratio[:256] @ ratio[k : k + 256] for k in range(256)])
  energy = np.array([np.sum(ratio[k : k + 256] ** 2) for k in range(256)])
  normalised = correlation / np.sqrt(energy[0] * energy)
  normalised -= normalised.mean()
  hann = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(256) / 255)
  windowed = math.sqrt(8 / 3) / 256 * hann * normalised
  lines = np.exp(-2j * np.pi * np.outer(np.arange(129), np.arange(256)) / 256)
  power = abs(lines @ windowed) ** 2
  actual = measures.error_harmonics(target, estimate)
  assert power.argmax() == 16
  np.testing.assert_allclose(actual[0], power.max(), rtol=1e-9)
  assert actual[1] == 0.0


def test_error_harmonics_of_digital_silence_are_none():
  estimate = np.ones((1, 1025))
  estimate[0, 5] = 0.0
  assert measures.error_harmonics(np.ones((1, 1025)), estimate) == 0.0


def test_audible_is_of_the_second_half():
  frames = np.zeros((3, 2048))
  frames[0, :1024] = 1e4
  frames[1, 1024] = math.sqrt(8000.0) + 1e-9
  frames[2, 2047] = math.sqrt(7999.0)
  np.testing.assert_array_equal(measures.audible(frames), [False, True, False])


def test_noise_to_mask_offsets():
  """3 dB up to 12 Bark, which is band 48, then 0.25 dB per Bark."""
  target = patterns(np.full((109, 1), 100.0))
  ratio_db = 10 * np.log10(measures.noise_to_mask(np.ones((109, 1)), target))
  expected = [-17.0, -17.0, -20 + 0.25 * 12.25, -20 + 0.25 * 27]
  np.testing.assert_allclose(ratio_db[[0, 48, 49, 108], 0], expected)


def test_modulation_difference():
  """One band of 109 differs: once the estimate has more, once it has less."""
  target = np.ones((109, 2))
  estimate = np.ones((109, 2))
  estimate[7] = 1.5, 0.5
  first, second = measures.modulation_difference(target, estimate)
  np.testing.assert_allclose(first, 100 / 109 * 0.25)
  np.testing.assert_allclose(
    second, 100 / 109 * 0.5 / 1.01 * np.array([1, 0.1])
  )


def test_noise_loudness_without_a_masker():
  """Then its ratio is s E / threshold with s = 0.5 and no modulation."""
  khz = measures.ear_model.CENTRES_HZ / 1000
  threshold = 10 ** (0.1456 * khz**-0.8)
  target, estimate = np.full((2, 109, 1), 1e-9)
  estimate[60] = 1e4
  still = np.zeros((109, 1))
  ratio = 1 + 0.5 * 1e4 / threshold[60]
  expected = 24 / 109 * (2 * threshold[60]) ** 0.23 * (ratio**0.23 - 1)
  actual = measures.noise_loudness(target, estimate, still, still)
  np.testing.assert_allclose(actual, expected, rtol=1e-6)


def test_detection():
  """A difference of one step is found half the time, x = 1."""

  def step_db(level):
    return (
      5.95072 * (6.39468 / level) ** 1.71332
      - 0.198719
      + 0.0550197 * level
      - 0.00102438 * level**2
      + 5.05622e-6 * level**3
      + 9.01033e-11 * level**4
    )

  target_db = np.array([60.0, 60.0, 60.0, -5.0])
  estimate_db = np.array([60.0 + 2.5, 60.0 - 1.5, 60.0, -9.0])
  exponent, steps = measures.detection(
    10 ** (target_db / 10), 10 ** (estimate_db / 10)
  )
  louder, softer = step_db(62.5), step_db(0.3 * 60 + 0.7 * 58.5)
  expected = [(2.5 / louder) ** 6, (1.5 / softer) ** 4, 0.0, 0.0]
  np.testing.assert_allclose(exponent, expected, rtol=1e-9, atol=1e-30)
  expected = [2 / louder, 1 / softer, 0.0, 4e-30]
  np.testing.assert_allclose(steps, expected, rtol=1e-9)


def measured(frames, **values):
  """Measures of one channel in which nothing happens, save `values`."""
  quiet = {f.name: np.zeros(frames) for f in dataclasses.fields(Measures)}
  quiet |= {
    "bandwidth": np.zeros((2, frames)),
    "detection": np.zeros((2, 2, frames)),
  }
  quiet |= {
    "modulation": np.zeros((2, frames)),
    "noise_to_mask": np.ones(frames),
  }
  return Measures(**(quiet | {"loud": np.ones(frames, bool)} | values))


def variables(*channels, warm_up=0):
  values = movs.variables(list(channels), warm_up)
  return dict(zip(movs.MOVS, values, strict=True))


def test_averages_leave_half_a_second_out():
  """24 frames, less those before the first that counts."""
  first = np.where(np.arange(40) < 24, 1e9, 4.0)
  weight = np.where(np.arange(40) < 30, 1.0, 3.0)
  x = measured(
    40, modulation=np.stack([first, 2 * first]), modulation_weight=weight
  )
  values = variables(x)
  np.testing.assert_allclose(values["AvgModDiff1B"], 4.0)
  np.testing.assert_allclose(values["AvgModDiff2B"], 8.0)
  np.testing.assert_allclose(values["WinModDiff1B"], 4.0)
  assert variables(x, warm_up=1)["AvgModDiff1B"] > 1e6
  short = measured(
    20,
    modulation=np.stack([first, first])[:, :20],
    modulation_weight=weight[:20],
  )
  assert variables(short)["AvgModDiff1B"] == 0.0
  assert variables(short)["WinModDiff1B"] == 0.0


def test_windowed_and_weighted_means():
  modulation = np.zeros((2, 30))
  modulation[0, 24:] = 16.0, 0.0, 0.0, 0.0, 0.0, 16.0
  weight = np.ones(30)
  weight[24] = 3.0
  values = variables(
    measured(30, modulation=modulation, modulation_weight=weight)
  )
  # Windows of four hold one root of 16, none, one: means 1, 0, 1.
  np.testing.assert_allclose(values["WinModDiff1B"], math.sqrt(2 / 3))
  np.testing.assert_allclose(values["AvgModDiff1B"], (3 * 16 + 16) / 8)


@pytest.mark.parametrize(("loud_from", "first"), [(0, 24), (30, 33), (40, 40)])
def test_noise_loudness_counts_from_where_both_are_loud(loud_from, first):
  """Three frames after, in the channel that is loud first."""
  noise = np.arange(40.0)
  loud = np.arange(40) >= loud_from
  quiet = measured(40, noise_loudness=noise, loud=np.zeros(40, bool))
  values = variables(measured(40, noise_loudness=noise, loud=loud), quiet)
  counted = noise[first:]
  expected = math.sqrt(np.mean(counted**2)) if len(counted) else 0.0
  np.testing.assert_allclose(values["RmsNoiseLoudB"], expected)


def test_means_over_defined_frames_and_channels():
  bandwidth = np.array([[400.0, -1.0, 500.0, -1.0], [-1.0] * 4])
  harmonics = np.array([-1.0, 0.002, 0.0, -1.0])
  ratio = np.array([1.0, 10.0, 9.0, 20.0])
  worst = np.array([1.0, 1.41, 1.42, 3.0])
  left = measured(
    4,
    bandwidth=bandwidth,
    harmonics=harmonics,
    noise_to_mask=ratio,
    worst_noise_to_mask=worst,
  )
  values = variables(left, measured(4))
  expected = {
    "BandwidthRefB": 225.0,
    "BandwidthTestB": 0.0,
    "EHSB": 0.5,
    "Total NMRB": 5.0,
    "RelDistFramesB": 0.25,
  }
  for name, value in expected.items():
    np.testing.assert_allclose(values[name], value)


def test_average_distance_and_probability_of_detection():
  """Frames found with probability 0.75, 0.5 (not more), 0.75 and 0."""
  exponent = np.array([[1.0, 1.0, 0.0, 0.0], [1.0, 0.0, 2.0, 0.0]])
  steps = np.array([[10.0, 99.0, 1.0, 0.0], [5.0, 99.0, 4.0, 0.0]])
  values = variables(measured(4, detection=np.stack([exponent, steps])))
  np.testing.assert_allclose(values["ADBB"], math.log10((15 + 5) / 2))
  fading = [0.075, 0.9 * 0.075 + 0.05]
  fading.append(0.9 * fading[-1] + 0.075)
  np.testing.assert_allclose(values["MFPDB"], fading[-1])
  without_steps = np.stack([exponent, 0 * steps])
  assert variables(measured(4, detection=without_steps))["ADBB"] == -0.5


def test_span_of_the_target():
  audio = np.zeros((20_000, 2))
  audio[3000:9000, 0] = 41.0  # five sum to 205
  span = framing.find_span(audio[:, :1])
  # The last frame has half of its samples before sample 9000.
  assert (span.first, span.count) == (3000 // 1024, (9000 - 1024) // 1024 + 1)
  audio[4000:9500, 1] = 41.0
  later = framing.find_span(audio)  # both start in one buffer: the later
  assert (later.first, later.count) == (4000 // 1024, (9500 - 1024) // 1024 + 1)
  audio[3000:6000, 1] = 0.0
  assert framing.find_span(audio).first == 3000 // 1024  # another buffer
  nothing = framing.find_span(40.0 * np.sign(audio))
  assert nothing.count <= nothing.first


def test_frames_are_completed_with_zeros():
  channel = np.arange(1.0, 3001.0)
  frames = framing.frames_of(channel, framing.Span(first=0, count=2))
  np.testing.assert_array_equal(frames[0], channel[:2048])
  np.testing.assert_array_equal(frames[1, :1976], channel[1024:])
  np.testing.assert_array_equal(frames[1, 1976:], 0.0)


LOW = [
  393.916656,
  361.965332,
  -24.045116,
  1.110661,
  -0.206623,
  0.074318,
  1.113683,
  0.950345,
  0.029985,
  0.000101,
  0.0,
]
HIGH = [
  921.0,
  881.131226,
  16.212030,
  107.137772,
  2.886017,
  13.933351,
  63.257874,
  1145.018555,
  14.819740,
  1.0,
  1.0,
]


def test_network_at_the_ends_of_its_inputs():
  """All inputs 0 leave the biases; all 1 add every node's weights."""

  def output(nodes):
    weights = (-3.817048, 4.107138, 4.629582)
    hidden = [1 / (1 + math.exp(-node)) for node in nodes]
    return -0.307594 + sum(w * h for w, h in zip(weights, hidden, strict=True))

  sums = np.array([9.460483, -9.969109, -16.209153])  # of the table's columns
  bias = np.array([-2.518254, 0.654841, -2.207228])
  index = grade.distortion_index(np.array([LOW, HIGH]))
  np.testing.assert_allclose(index, [output(bias), output(bias + sums)])
  odg = grade.objective_difference_grade(np.array([0.0, 1.0, 99.0, -99.0]))
  middle = -3.98 + 4.2 / (1 + math.exp(-1.0))
  np.testing.assert_allclose(odg, [-1.88, middle, 0.22, -3.98])
