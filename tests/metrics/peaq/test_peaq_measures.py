"""PEAQ's measures, averages and grade at values worked out by hand."""

import math

import numpy as np
import pytest

from distortion_removal.metrics.peaq import comparison, grade, measures
from distortion_removal.metrics.peaq.comparison import Measures


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


def measured(frames, **values):
  """Measures of one channel in which nothing happens, save `values`."""
  quiet = dict.fromkeys(Measures._fields, np.zeros(frames))
  quiet["bandwidth"] = quiet["modulation"] = np.zeros((2, frames))
  quiet["detection"] = np.zeros((2, 2, frames))
  quiet["noise_to_mask"], quiet["loud"] = np.ones((2, frames))
  return Measures(**(quiet | values))


def variables(*channels, warm_up=0):
  values = grade.model_output_variables(list(channels), warm_up)
  return dict(zip(grade.MOVS, values, strict=True))


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
  span = comparison.find_span(audio[:, :1])
  # The last frame has half of its samples before sample 9000.
  assert (span.first, span.count) == (3000 // 1024, (9000 - 1024) // 1024 + 1)
  audio[4000:9500, 1] = 41.0
  later = comparison.find_span(audio)  # both start in one buffer: the later
  assert (later.first, later.count) == (4000 // 1024, (9500 - 1024) // 1024 + 1)
  audio[3000:6000, 1] = 0.0
  assert comparison.find_span(audio).first == 3000 // 1024  # another buffer
  nothing = comparison.find_span(40.0 * np.sign(audio))
  assert nothing.count <= nothing.first


# fmt: off
LOW = [393.916656, 361.965332, -24.045116, 1.110661, -0.206623, 0.074318,
       1.113683, 0.950345, 0.029985, 0.000101, 0.0]
HIGH = [921.0, 881.131226, 16.212030, 107.137772, 2.886017, 13.933351,
        63.257874, 1145.018555, 14.819740, 1.0, 1.0]
# fmt: on


def test_network_at_the_ends_of_its_inputs():
  """All inputs 0 leave the biases; all 1 add every node's weights."""

  def output(nodes):
    weights = (-3.817048, 4.107138, 4.629582)
    hidden = [1 / (1 + math.exp(-node)) for node in nodes]
    return -0.307594 + sum(w * h for w, h in zip(weights, hidden, strict=True))

  sums = np.array([9.460483, -9.969109, -16.209153])  # of the table's columns
  bias = np.array([-2.518254, 0.654841, -2.207228])
  expected = np.array([output(bias), output(bias + sums)])
  index = grade.distortion_index(np.array([LOW, HIGH]))
  np.testing.assert_allclose(index, expected)
  odg = grade.objective_difference_grade(np.array([LOW, HIGH]))
  np.testing.assert_allclose(odg, -3.98 + 4.2 / (1 + np.exp(-expected)))
