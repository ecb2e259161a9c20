"""PEAQ's basic version, one frame and one channel after the other.

An oracle for the tests: what PQevalAudio does, written down from Kabal, "An
Examination and Interpretation of ITU-R BS.1387", 2002, in the order of its text
and with its loops. Nothing comes from the package. `ref` is the reference
signal, `test` the one under test.
"""

import math

import frame_by_frame_ear as ear
import numpy as np
from frame_by_frame_ear import BANDS, INTERNAL_NOISE


def find_frames(ref):
  """The first and the last frame that count, of a reference loud enough.

  In buffers of the file, from either side: of two channels that start in one
  buffer the later start counts, of two that end in one the later end.
  """
  for start in range(0, len(ref), 2044):
    found = max(_first_loud(x) for x in ref[start : start + 2048].T)
    if found >= 0:
      break
  first = (start + found) // ear.ADVANCE
  for stop in range(len(ref), 0, -2044):
    buffer = ref[max(stop - 2048, 0) : stop]
    ends = [_first_loud(x) for x in buffer[::-1].T]
    if max(ends) >= 0:
      break
  end = stop - min(x for x in ends if x >= 0)
  return first, (end - ear.ADVANCE) // ear.ADVANCE


def _first_loud(samples):
  """The first of five whose magnitudes sum to more than 200, else -1."""
  for k in range(len(samples) - 4):
    if sum(abs(x) for x in samples[k : k + 5]) > 200:
      return k
  return -1


def bandwidths(ref, test):
  """Finds those of both signals, in bins; -1 for none."""
  floor = max(test.magnitude[921:1024] ** 2)
  width_ref = width_test = -1
  for k in range(347, 921):
    if ref.magnitude[k] ** 2 >= 10 * floor:
      width_ref = k + 1
  for k in range(width_ref):
    if test.magnitude[k] ** 2 >= math.sqrt(10) * floor:
      width_test = k + 1
  return width_ref, width_test


def noise_to_mask(ref, test):
  """The mean over the bands and the largest."""
  noise = ear.WEIGHTS @ (ref.magnitude - test.magnitude) ** 2
  ratios = []
  for k in range(BANDS):
    offset_db = 3 if 0.25 * k <= 12 else 0.25 * 0.25 * k
    mask = ref.excitation[k] / 10 ** (offset_db / 10)
    ratios.append(max(noise[k], 1e-12) / mask)
  return sum(ratios) / BANDS, max(ratios)


def modulation_differences(ref, test):
  """The first, the second and the weight of the frame in their averages."""
  first = second = weight = 0.0
  for k in range(BANDS):
    difference = abs(ref.modulation[k] - test.modulation[k])
    first += difference / (1 + ref.modulation[k])
    loss = 0.1 if test.modulation[k] < ref.modulation[k] else 1
    second += loss * difference / (0.01 + ref.modulation[k])
    floor = 100 * INTERNAL_NOISE[k] ** 0.3
    weight += ref.envelope[k] / (ref.envelope[k] + floor)
  return 100 / BANDS * first, 100 / BANDS * second, weight


def noise_loudness(ref, test, e_ref, e_test):
  """Partial loudness of what `test` adds."""
  total = 0.0
  for k in range(BANDS):
    s_ref = 0.15 * ref.modulation[k] + 0.5
    s_test = 0.15 * test.modulation[k] + 0.5
    beta = math.exp(-1.5 * (e_test[k] - e_ref[k]) / e_ref[k])
    added = max(s_test * e_test[k] - s_ref * e_ref[k], 0)
    ratio = added / (INTERNAL_NOISE[k] + s_ref * e_ref[k] * beta)
    total += (INTERNAL_NOISE[k] / s_test) ** 0.23 * ((1 + ratio) ** 0.23 - 1)
  return max(24 / BANDS * total, 0)


def error_harmonics(ref, test):
  """The peak of the cepstrum of the error; -1 in silent frames."""
  if all(np.sum(x.samples[ear.ADVANCE :] ** 2) < 8000 for x in (ref, test)):
    return -1.0
  power_ref, power_test = ref.magnitude[:511] ** 2, test.magnitude[:511] ** 2
  if not (power_ref.all() and power_test.all()):
    return 0.0  # Infinities make every comparison of PQevalAudio's fail.
  error = np.log(power_test / power_ref)
  normalised = np.ones(256)
  for lag in range(1, 256):
    here, there = error[:256], error[lag : lag + 256]
    energies = np.sum(here**2) * np.sum(there**2)
    if energies > 0:
      normalised[lag] = np.sum(here * there) / math.sqrt(energies)
  window = math.sqrt(8 / 3) / 256 * np.hanning(256)
  spectrum = np.fft.rfft(window * (normalised - normalised.mean()))
  first, *others = np.abs(spectrum) ** 2
  return max((x for x in others if x > first), default=0.0)


def detection(ref, test):
  """Probabilities of detection and steps above threshold, per band."""
  probability, steps = np.empty((2, BANDS))
  for k in range(BANDS):
    ref_db = 10 * math.log10(ref.excitation[k])
    test_db = 10 * math.log10(test.excitation[k])
    if ref_db > test_db:
      power, L = 4, 0.3 * ref_db + 0.7 * test_db
    else:
      power, L = 6, test_db
    step_db = 1e30
    if L > 0:
      step_db = 5.95072 * (6.39468 / L) ** 1.71332 - 0.198719 + 0.0550197 * L
      step_db += -0.00102438 * L**2 + 5.05622e-6 * L**3 + 9.01033e-11 * L**4
    probability[k] = 1 - 0.5 ** (abs(ref_db - test_db) / step_db) ** power
    steps[k] = math.floor(abs(ref_db - test_db)) / step_db
  return probability, steps


def measure(ref, test, count):
  """Everything measured in each of the frames of one channel."""
  heard_ref, heard_test = ear.hear(ref, count), ear.hear(test, count)
  frames = []
  adapted = ear.adapt(heard_ref, heard_test)
  for ref, test, pair in zip(heard_ref, heard_test, adapted, strict=True):
    frame = {"loud": ref.loudness > 0.1 and test.loudness > 0.1}
    frame["width ref"], frame["width test"] = bandwidths(ref, test)
    frame["mean NMR"], frame["largest NMR"] = noise_to_mask(ref, test)
    difference = modulation_differences(ref, test)
    frame["first"], frame["second"], frame["weight"] = difference
    frame["noise loudness"] = noise_loudness(ref, test, *pair)
    frame["harmonics"] = error_harmonics(ref, test)
    frame["probability"], frame["steps"] = detection(ref, test)
    frames.append(frame)
  return frames


def mean(values):
  """0 where there is nothing to average."""
  return sum(values) / len(values) if len(values) else 0.0


def average(frames, delay, loud_delay):
  """The variables of one channel but the two of detection."""

  def weighted(name):
    weight = sum(x["weight"] for x in frames[delay:])
    total = sum(x[name] * x["weight"] for x in frames[delay:])
    return total / weight if frames[delay:] else 0.0

  def defined(name):
    return mean([x[name] for x in frames if x[name] >= 0])

  windows = []
  for n in range(delay, len(frames) - 3):
    windows.append(mean([math.sqrt(x["first"]) for x in frames[n : n + 4]]))
  squares = [x["noise loudness"] ** 2 for x in frames[loud_delay:]]
  return {
    "BandwidthRefB": defined("width ref"),
    "BandwidthTestB": defined("width test"),
    "Total NMRB": 10 * math.log10(mean([x["mean NMR"] for x in frames])),
    "WinModDiff1B": math.sqrt(mean([x**4 for x in windows])),
    "EHSB": 1000 * defined("harmonics"),
    "AvgModDiff1B": weighted("first"),
    "AvgModDiff2B": weighted("second"),
    "RmsNoiseLoudB": math.sqrt(mean(squares)),
    "RelDistFramesB": mean([x["largest NMR"] > 10**0.15 for x in frames]),
  }


def detect(channels):
  """The two variables of detection, from the worst channel in each band."""
  most = filtered = 0.0
  steps = []  # of the frames in which a difference is more likely heard
  for frames in zip(*channels, strict=True):
    undetected = 1 - np.max([x["probability"] for x in frames], axis=0)
    probability = 1 - np.prod(undetected)
    filtered = 0.9 * filtered + 0.1 * probability
    most = max(most, filtered)
    if probability > 0.5:
      steps.append(np.max([x["steps"] for x in frames], axis=0).sum())
  distance = 0.0
  if steps:
    distance = math.log10(mean(steps)) if sum(steps) > 0 else -0.5
  return {"ADBB": distance, "MFPDB": most}


# What becomes 0, what becomes 1, and the weights to the three hidden nodes.
NETWORK = {
  "BandwidthRefB": (393.916656, 921, -0.502657, 0.436333, 1.219602),
  "BandwidthTestB": (361.965332, 881.131226, 4.307481, 3.246017, 1.123743),
  "Total NMRB": (-24.045116, 16.212030, 4.984241, -2.211189, -0.192096),
  "WinModDiff1B": (1.110661, 107.137772, 0.051056, -1.762424, 4.331315),
  "ADBB": (-0.206623, 2.886017, 2.321580, 1.789971, -0.754560),
  "EHSB": (0.074318, 13.933351, -5.303901, -3.452257, -10.814982),
  "AvgModDiff1B": (1.113683, 63.257874, 2.730991, -6.111805, 1.519223),
  "AvgModDiff2B": (0.950345, 1145.018555, 0.624950, -1.331523, -5.955151),
  "RmsNoiseLoudB": (0.029985, 14.819740, 3.102889, 0.871260, -5.922878),
  "MFPDB": (0.000101, 1, -1.051468, -0.939882, -0.142913),
  "RelDistFramesB": (0, 1, -1.804679, -0.503610, -0.620456),
}


def grade(variables):
  """The network's output as a grade."""
  nodes = [-2.518254, 0.654841, -2.207228]
  for name, (low, high, *weights) in NETWORK.items():
    for node, weight in enumerate(weights):
      nodes[node] += weight * (variables[name] - low) / (high - low)
  index = -0.307594
  for node, weight in zip(nodes, (-3.817048, 4.107138, 4.629582), strict=True):
    index += weight / (1 + math.exp(-node))
  return -3.98 + 4.2 / (1 + math.exp(-index))


def peaq(ref, test):
  """The eleven variables by name and the grade of `[time, channels]`.

  Samples are at the scale of 16-bit integers, at 48 kHz.
  """
  first, last = find_frames(ref)
  padding = max(last * ear.ADVANCE + ear.FRAME - len(ref), 0)
  ref, test = (np.pad(x, ((0, padding), (0, 0))) for x in (ref, test))
  channels = []
  for pair in zip(ref.T, test.T, strict=True):
    channels.append(measure(*pair, last + 1)[first:])
  delay = max(math.ceil(0.5 * ear.FRAMES_PER_SECOND) - first, 0)
  loud_from = 0
  for frames in zip(*channels, strict=True):
    if any(x["loud"] for x in frames):
      break
    loud_from += 1
  loud_delay = max(delay, loud_from + math.ceil(0.05 * ear.FRAMES_PER_SECOND))
  averages = [average(frames, delay, loud_delay) for frames in channels]
  variables = {name: mean([x[name] for x in averages]) for name in averages[0]}
  variables |= detect(channels)
  return variables, grade(variables)
