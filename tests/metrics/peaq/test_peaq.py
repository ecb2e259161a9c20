"""PEAQ against PQevalAudio and published values, and its stated rules."""

import os
from pathlib import Path

import numpy as np
import pytest
import soundfile

from distortion_removal.audio import resampling
from distortion_removal.metrics.peaq import analyse, ear_model, peaq
from distortion_removal.metrics.peaq.grade import MOVS

RATE = 48_000

# Reference, test, grade and variables of PQevalAudio (Kabal, 2004) under GNU
# Octave, on 16-bit files at 48 kHz.
# fmt: off
ORACLE = [
  ("take_a_reference", "take_a_overdrive_20db", -3.91146606119,
   [451.62, 451.62, 26.5802359073, 61.7631345132, 3.38474877007, 0.125736262007,
    62.4993320383, 837.25077297, 2.76419259143, 0.999999997224, 1.0]),
  ("take_a_reference", "take_a_clip_sdr_20db", -3.77358192747,
   [608.191082803, 608.184713376, 5.90763127769, 28.5453093786, 2.37138835475,
    0.502787266893, 23.3370977724, 183.752307993, 1.52651657337, 0.725439717824,
    0.272727272727]),
  ("take_a_reference", "take_a_clip_sdr_3db", -3.90886878448,
   [367.0, 366.833333333, 18.6022378777, 42.9382781497, 2.96095269596,
    1.13912736515, 42.7494543941, 429.204807944, 2.76362803137, 0.999999997224,
    1.0]),
  ("take_a_reference", "take_a_noise_minus_60_dbfs", -2.32607150771,
   [382.125, 382.125, -1.42138542793, 5.53790852372, 1.18080448186,
    0.7122873501, 5.27524399948, 61.7661094664, 0.0596903479164, 0.984586123784,
    0.989304812834]),
  ("piano_reference", "piano_lowpass_8khz", -0.246856611098,
   [854.489247312, 381.650537634, -13.9563380728, 2.79087622852, 1.51654368715,
    0.499764320642, 3.05856689859, 2.5958986739, 0.0753969491646, 0.68591392567,
    0.262032085561]),
  ("piano_reference", "piano_clip_sdr_10db", -3.79259487924,
   [523.902173913, 523.782608696, 1.35736304135, 22.1442627019, 2.32943611626,
    0.198115000911, 22.5682998567, 173.687658402, 0.521507386369,
    0.928769939125, 0.347593582888]),
  ("stereo_reference", "stereo_tanh", -3.8413223195,
   [589.028651163, 589.028651163, 7.12239484447, 29.5574234175, 2.80949760956,
    0.32218634273, 33.5319751548, 116.026131352, 1.02951368201, 0.999999974634,
    1.0]),
  ("take_a_reference", "take_a_reference", 0.204064766502,
   [671.043010753, 671.043010753, -121.92057388, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0,
    0.0, 0.0]),
]
# fmt: on


@pytest.mark.parametrize(("reference", "test", "odg", "movs"), ORACLE)
def test_equals_pqevalaudio_on_recordings(reference, test, odg, movs):
  """Needs the files, in the folder `METRIC_ORACLES`."""
  folder = os.environ.get("METRIC_ORACLES")
  if not folder:
    pytest.skip(
      "set METRIC_ORACLES to a folder with peaq/take_a_reference.flac, "
      "peaq/take_a_overdrive_20db.flac, ... (48 kHz, 16 bit)"
    )
  target, estimate = (
    soundfile.read(Path(folder) / "peaq" / f"{name}.flac", always_2d=True)[0]
    for name in (reference, test)
  )
  result = analyse(estimate[None], target[None], sample_rate=RATE)
  np.testing.assert_allclose(result.odg, odg, atol=1e-6)
  actual = [result.movs[name][0] for name in MOVS]
  np.testing.assert_allclose(actual, movs, rtol=1e-5, atol=1e-9)


def chord(seconds=1.5, channels=1):
  """Plucked partials and noise up to 24 kHz: `[1, time, channels]`."""
  time = np.arange(round(seconds * RATE)) / RATE
  noise = np.random.RandomState(0).standard_normal((len(time), channels))
  audio = 0.01 * noise * np.exp(-6 * time)[:, None]
  for k, hz in enumerate((220.0, 277.2, 329.6, 1320.0, 5000.0, 15_000.0)):
    tone = np.sin(2 * np.pi * hz * time + k) * np.exp(-(k + 1) * (time % 0.5))
    for channel in range(channels):
      audio[:, channel] += 0.3 / (1 + k + 2 * channel) * tone
  return audio[None]


def clipped(audio, level=0.25):
  return np.clip(audio, -level, level)


def noisy(audio):
  noise = np.random.RandomState(1).standard_normal(audio.shape)
  return 0.98 * audio + 1e-4 * noise


@pytest.mark.parametrize("channels", [1, 2])
def test_identical_signals_get_the_most(channels):
  target = chord(channels=channels)
  best = peaq(target, target, sample_rate=RATE)
  assert 0.1 < best[0] < 0.22
  assert peaq(noisy(target), target, sample_rate=RATE) < best
  # It does not hear polarity.
  assert peaq(-target, target, sample_rate=RATE) == best


@pytest.mark.parametrize("rate", [16_000, 44_100])
def test_other_rates_are_resampled(rate):
  target = resampling.resample(chord(0.8)[0], RATE, rate)[None]
  estimate = clipped(target)
  expected = peaq(
    *(resampling.resample(x[0], rate, RATE)[None] for x in (estimate, target)),
    sample_rate=RATE,
  )
  actual = peaq(estimate, target, sample_rate=rate)
  np.testing.assert_array_equal(actual, expected)
  assert actual[0] < -1


def test_at_16_khz_the_band_above_8_khz_is_rounding_noise():
  """Tones alone do not stand out of it: then the bandwidth is 0, not NaN."""
  time = np.arange(16_000) / 16_000
  target = 0.3 * np.sin(2 * np.pi * 440 * time)[None, :, None]
  scores = analyse(clipped(target), target, sample_rate=16_000)
  assert scores.movs["BandwidthRefB"] == 0
  assert np.isfinite(scores.odg)


def test_all_is_rounded_to_16_bit_without_clipping():
  target = chord(0.8)
  score = peaq(clipped(target), target, sample_rate=RATE)
  rounded = (np.round(x * 32_768) / 32_768 for x in (clipped(target), target))
  np.testing.assert_array_equal(peaq(*rounded, sample_rate=RATE), score)
  loud = peaq(clipped(4 * target, 2.0), 4 * target, sample_rate=RATE)
  assert loud != peaq(clipped(4 * target, 1.0), 4 * target, sample_rate=RATE)


@pytest.mark.parametrize(("length", "scored"), [(1, 0), (1023, 0), (1024, 1)])
def test_half_a_frame_is_the_least(length, scored):
  target = chord()[:, :length]
  score = peaq(target, target, sample_rate=RATE)
  assert np.isfinite(score[0]) == scored
  # Never 200 in five samples.
  assert np.isnan(peaq(target, 1e-4 * target, sample_rate=RATE))


@pytest.mark.parametrize(("peak", "level_db"), [(1.0, 92.0), (0.1, 72.0)])
def test_full_scale_is_92_db(peak, level_db):
  phase = 2 * np.pi * 1019.5 * np.arange(2048) / RATE
  frame = peak * 32_768 * np.sin(phase)
  spectrum_db = 20 * np.log10(ear_model.magnitudes(frame[None])[0])
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
