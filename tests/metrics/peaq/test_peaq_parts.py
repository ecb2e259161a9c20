"""PEAQ's ear, measures and grade at published values and by hand.

All else of them is compared in `test_peaq_frame_by_frame`.
"""

import math

import numpy as np
import pytest

from distortion_removal.metrics.peaq import ear_model, grade, measures, patterns
from distortion_removal.metrics.peaq.comparison import Measures


def sine(frequency_hz, peak=1.0):
  time = np.arange(ear_model.FRAME) / ear_model.RATE
  samples = peak * np.sin(2 * np.pi * frequency_hz * time)
  return ear_model.FULL_SCALE * samples[None]


@pytest.mark.parametrize(("peak", "level_db"), [(1.0, 92.0), (0.1, 72.0)])
def test_full_scale_is_92_db(peak, level_db):
  spectrum_db = 20 * np.log10(ear_model.magnitudes(sine(1019.5, peak))[0])
  assert abs(spectrum_db.max() - level_db) < 1e-3
  assert np.argmax(spectrum_db) == round(1019.5 * 2048 / 48_000)


def test_critical_bands_are_those_of_the_standard():
  """Rows of its table, to the mHz it prints, its misprints included."""
  bands = ear_model.critical_bands()
  table = {
    0: (80.0, 91.708, 103.445),
    1: (103.445, 115.216, 127.023),
    28: (893.091, 912.959, 933.113),
    29: (933.119, 953.576, 974.336),
    66: (3853.817, 3923.748, 3995.399),
    70: (4452.890, 4533.963, 4643.482),
    71: (4616.482, 4700.473, 4785.962),
    100: (13_061.229, 13_294.850, 13_536.710),
    108: (17_385.420, 17_690.045, 18_000.0),
  }
  assert ear_model.BANDS == 109
  for band, row in table.items():
    actual = [bands[edge][band] for edge in ("lower", "centre", "upper")]
    np.testing.assert_allclose(actual, row, atol=0.003)


def test_total_loudness_of_a_band():
  """All bands but one below their threshold, where loudness is 0."""
  excitation = np.zeros((109, 1))
  excitation[36] = 1e6
  khz = ear_model.CENTRES_HZ[36] / 1000
  threshold = 10 ** (0.364 * khz**-0.8)
  index_db = -2 - 2.05 * np.arctan(khz / 4) - 0.75 * np.arctan((khz / 1.6) ** 2)
  s = 10 ** (index_db / 10)
  specific = 1.07664 * (threshold / s / 1e4) ** 0.23
  specific *= (1 - s + s * 1e6 / threshold) ** 0.23 - 1
  actual = patterns.total_loudness(excitation)
  np.testing.assert_allclose(actual, 24 / 109 * specific, rtol=1e-12)


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
