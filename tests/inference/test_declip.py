"""Declipping files: exact cuts, samples that stay, formats, rails."""

import re
import tracemalloc

import numpy as np
import pytest
import soundfile

from distortion_removal import declipping
from distortion_removal.declipping import gabor
from distortion_removal.declipping.clip_level import clip_signs, resolve_rails
from distortion_removal.declipping.spade import solver
from distortion_removal.inference import declip
from distortion_removal.inference.declip import declip_file, survey

RATE = 8_000
SMALL = {"frame": 64, "hop": 16}
GAIN = 2.25 + 1e-12  # more than float32 knows


def _tones(seconds=0.5, channels=1, peak=0.9):
  """Two partials of another pitch in each channel, `[time, channels]`."""
  time = np.arange(round(seconds * RATE))[:, None] / RATE
  pitch_hz = 440.0 * (1.0 + 0.3 * np.arange(channels))
  phase = 2 * np.pi * pitch_hz * time
  return peak * (0.8 * np.sin(phase) + 0.2 * np.sin(3.1 * phase))


def _snr_db(estimate, target):
  noise = np.sum(np.square(estimate - target, dtype=np.float64))
  return 10 * np.log10(np.sum(np.square(target)) / noise)


@pytest.fixture(autouse=True)
def _small_set(monkeypatch):
  """Four frames at a time compile in a third of the time of 128."""
  monkeypatch.setattr(solver, "_CPU", (0, 4, 4))


@pytest.fixture
def paths(tmp_path):
  """A source and a target."""
  return tmp_path / "in.wav", tmp_path / "out.wav"


@pytest.fixture
def calls(monkeypatch):
  """Makes every declipper a gain on clipped samples; lists what it is given."""
  calls = []

  def scale(audio, clip_level=None, *, frame=64, hop=16, **_):
    assert audio.dtype == np.float64
    calls.append((frame, hop, clip_level))
    is_clipped = clip_signs(audio, resolve_rails(audio, clip_level)) != 0
    return np.where(is_clipped, GAIN * audio, audio), None

  monkeypatch.setattr(declipping, "declipper", lambda name: scale)
  monkeypatch.setattr(declipping, "check_options", lambda *_: None)
  return calls


@pytest.mark.e2e
@pytest.mark.parametrize("method", ["aspade", "sspade", "janssen"])
def test_a_file_equals_its_audio_at_once(paths, monkeypatch, method):
  """Chunks are cut where they are exact, whatever their number."""
  monkeypatch.setattr(declip, "_CHUNK", 1)
  clean = _tones(channels=2)
  audio = np.clip(clean, -0.6, 0.5)
  soundfile.write(paths[0], audio, RATE, subtype="DOUBLE")
  options = {"frame": 128, "hop": 32}
  options |= {"order": 16} if method == "janssen" else {"precision": "float64"}
  line = declip_file(*paths, method, **options).line
  expected, _ = declipping.declipper(method)(audio[None], **options)
  restored, _ = soundfile.read(paths[1])
  assert soundfile.info(paths[1]).subtype == "DOUBLE"
  np.testing.assert_allclose(restored, expected[0], atol=1e-12)
  assert _snr_db(restored, clean) > _snr_db(audio, clean) + 6.0
  is_clipped = (audio == -0.6) | (audio == 0.5)
  np.testing.assert_array_equal(restored[~is_clipped], audio[~is_clipped])
  share = f"{100 * np.mean(is_clipped):.3g} % of the samples"
  expected = f"clipped at -0.6 and 0.5: {share}"
  if method != "janssen":
    expected += "; 100 % of the clipped frames converged"
  assert line == expected


def test_social_sparsity_fades_between_chunks(paths, monkeypatch):
  monkeypatch.setattr(declip, "_CHUNK", 1)
  clean = _tones()
  audio = np.clip(clean, -0.5, 0.5)
  soundfile.write(paths[0], audio, RATE, subtype="FLOAT")
  options = SMALL | {"lambdas": (0.1, 0.01, 0.001), "iterations": 100}
  declip_file(*paths, "social_sparsity", **options)
  restored, _ = soundfile.read(paths[1], always_2d=True)
  assert _snr_db(restored, clean) > _snr_db(audio, clean) + 6.0


@pytest.mark.parametrize("method", ["nmf", "parabola"])
def test_methods_that_need_no_option(paths, method):
  clean = _tones(channels=2)
  audio = np.clip(clean, -0.5, 0.5)
  soundfile.write(paths[0], audio, RATE, subtype="DOUBLE")
  declip_file(*paths, method, iterations=40)
  restored, _ = soundfile.read(paths[1])
  is_clipped = abs(audio) == 0.5
  np.testing.assert_array_equal(restored[~is_clipped], audio[~is_clipped])
  assert np.all(abs(restored[is_clipped]) >= 0.5)
  assert _snr_db(restored, clean) > _snr_db(audio, clean) + 6.0


@pytest.mark.parametrize("subtype", ["PCM_16", "PCM_32", "FLOAT", "DOUBLE"])
def test_reliable_samples_stay_to_the_bit(paths, subtype):
  """At the default precision, below that of two of the formats."""
  clean = _tones(channels=2, peak=0.7)
  audio = np.clip(clean, [-0.5, -1], [0.6, 1])
  soundfile.write(paths[0], audio, RATE, subtype=subtype)
  declip_file(*paths, "aspade", **SMALL)
  before, after = (soundfile.read(path)[0] for path in paths)
  info = soundfile.info(paths[1])
  assert (info.samplerate, info.subtype) == (RATE, subtype)
  is_clipped = (before == before.min(axis=0)) | (before == before.max(axis=0))
  is_clipped[:, 1] = False
  np.testing.assert_array_equal(after[~is_clipped], before[~is_clipped])
  assert _snr_db(after, clean) > _snr_db(before, clean) + 6.0


@pytest.mark.parametrize("subtype", ["PCM_16", "PCM_24", "DOUBLE"])
def test_a_recording_that_is_not_clipped_stays_to_the_bit(paths, subtype):
  soundfile.write(paths[0], _tones(channels=2), RATE, subtype=subtype)
  line = declip_file(*paths, "aspade").line
  before, after = (soundfile.read(path)[0] for path in paths)
  np.testing.assert_array_equal(after, before)
  assert soundfile.info(paths[1]).subtype == subtype
  report = "nothing is clipped, the result is the input; the peak is"
  assert line.startswith(f"{report} {np.abs(before).max():.6g}: ")
  # A level that nothing reaches is no other case; nor is silence.
  assert declip_file(*paths, "aspade", 0.95).line == line
  soundfile.write(paths[0], np.zeros((1_000, 1)), RATE, subtype=subtype)
  assert declip_file(*paths, "aspade").line.startswith(f"{report} 0: ")
  assert not soundfile.read(paths[1])[0].any()


@pytest.mark.usefixtures("calls")
def test_dither_is_for_all_samples_that_are_rounded(paths):
  """Those of an unclipped recording are not, if the format has room for them.

  Triangular noise of ±1 code changes a rounded sample with probability 1/4.
  """
  soundfile.write(paths[0], np.clip(0.4 * _tones(), -0.3, 0.3), RATE)
  for dither, share in ((False, 0.0), (True, 0.25)):
    declip_file(*paths, "aspade", 0.3, dither=dither)
    before, after = (soundfile.read(p, dtype="int16")[0] for p in paths)
    reliable = np.abs(before) < before.max()
    change = after[reliable] - before[reliable]
    assert np.abs(change).max(initial=0) <= bool(dither)
    np.testing.assert_allclose(np.mean(change != 0), share, atol=0.03)
  for subtype, is_same in (("PCM_16", True), ("PCM_24", True), ("PCM_U8", 0)):
    declip_file(*paths, "aspade", 0.9, dither=True, subtype=subtype)
    before, after = (soundfile.read(path)[0] for path in paths)
    assert np.array_equal(before, after) == is_same


@pytest.mark.parametrize(
  ("subtype", "name", "changes"),
  [
    ("DOUBLE", "out.wav", ""),
    ("FLOAT", "out.wav", ", as FLOAT"),
    ("PCM_16", "out.wav", ", 3.5 dB quieter so .*, as PCM_16"),
    (None, "out.mp3", ", 3.5 dB quieter so .*, as MPEG_LAYER_III"),
  ],
)
def test_changes_of_the_input_are_reported(paths, subtype, name, changes):
  audio = _tones()
  soundfile.write(paths[0], 1.5 / audio.max() * audio, RATE, subtype="DOUBLE")
  target = paths[1].with_name(name)
  line = declip_file(paths[0], target, "aspade", subtype=subtype).line
  assert re.search(f", the result is the input{changes}; the peak is 1.5", line)


@pytest.mark.parametrize(
  ("level", "low", "high"),
  [(None, -0.5, 0.5), (0.3, -0.3, 0.3), ((-0.2, np.inf), -0.2, np.inf)],
)
@pytest.mark.parametrize("subtype", ["PCM_16", "FLOAT", "DOUBLE"])
@pytest.mark.usefixtures("calls")
def test_found_and_given_levels(paths, level, low, high, subtype):
  """Integers are kept from clipping; double keeps what float32 would not."""
  audio = np.clip(_tones(channels=2), -0.5, 0.5)
  soundfile.write(paths[0], audio, RATE, subtype="DOUBLE")
  line = declip_file(*paths, "aspade", level, subtype=subtype).line
  restored, _ = soundfile.read(paths[1], always_2d=True)
  expected = np.where((audio <= low) | (audio >= high), GAIN * audio, audio)
  assert ("1.0 dB quieter" in line) == (subtype == "PCM_16")
  if subtype == "PCM_16":
    expected /= GAIN * 0.5
  error = {"PCM_16": 2.0**-15, "FLOAT": 1e-7, "DOUBLE": 0}[subtype]
  np.testing.assert_allclose(restored, expected, atol=error, rtol=0)


def test_a_level_that_rounding_moved(paths):
  """0.3 is 9830.4 steps of 16 bit; the file's plateau above is at 9830.

  The file is longer than a block, and the plateau in its first one only.
  """
  tones = _tones(seconds=10.0)
  for low in (-0.3, -np.inf):
    audio = np.clip(tones, low, 0.3)
    audio[RATE:] *= 0.5
    soundfile.write(paths[0], audio, RATE)
    clipping = survey(paths[0], (low, 0.3))
    assert clipping.rails[:2] == (low, 9830 / 32768)
    assert clipping.count == np.sum((audio == 0.3) | (audio == low))


def test_rails_of_each_channel_are_found_and_named(calls, paths):
  audio = _tones(channels=3)
  audio[:, 0] = np.clip(audio[:, 0], -0.4, 0.4)
  audio[:, 2] = np.minimum(audio[:, 2], 0.25)
  soundfile.write(paths[0], audio, RATE, subtype="DOUBLE")
  line = declip_file(*paths, "aspade").line
  levels = "-0.4 and 0.4 (channel 1); no level (channel 2); 0.25 (channel 3)"
  assert line.startswith(f"clipped at {levels}: ")
  low, high, _ = calls[0][2]
  assert low.tolist() == [[-0.4, -np.inf, -np.inf]]
  assert high.tolist() == [[0.4, np.inf, 0.25]]
  is_clipped = np.stack([abs(audio[:, 0]) == 0.4, audio[:, 2] == 0.25])
  assert survey(paths[0]).count == np.sum(is_clipped)
  assert survey(paths[0]).peak == np.abs(audio).max()


@pytest.mark.usefixtures("calls")
def test_blurred_rails_are_declipped_chunk_by_chunk(paths, monkeypatch):
  """The marks are those of the whole, and the line says how they were found."""
  monkeypatch.setattr(declip, "_CHUNK", 1)
  rng = np.random.default_rng(0)
  tones = np.cumsum(_tones(seconds=4.0, channels=2), axis=0)
  tones *= (1 + 0.5 * np.sin(np.arange(len(tones)) / 900))[:, None]
  tones[:, 0] = np.clip(tones[:, 0], -1.5, 1.5)
  audio = 0.2 * tones + 2e-5 * rng.standard_normal(tones.shape)
  soundfile.write(paths[0], audio, RATE, subtype="DOUBLE")
  line = declip_file(*paths, "aspade", subtype="DOUBLE").line
  restored, _ = soundfile.read(paths[1])
  rails = resolve_rails(audio[None])
  is_clipped = clip_signs(audio[None], rails)[0] != 0
  truly = abs(tones[:, 0]) == 1.5
  assert np.mean(is_clipped[:, 0] == truly) > 0.98
  assert not is_clipped[:, 1].any()
  expected = np.where(is_clipped, GAIN * audio, audio)
  np.testing.assert_allclose(restored, expected, rtol=1e-6)
  assert re.match("clipped at about 0.3 .*channel 1.*no level .channel 2", line)


@pytest.mark.parametrize(
  ("level", "is_low"),
  [(0.8, 1), ((-0.8, np.inf), 1), ((-np.inf, 0.8), 1), (0.8995, 0), (0.95, 0)],
)
def test_a_level_clearly_below_the_peak_causes_a_warning(
  paths, caplog, level, is_low
):
  audio = _tones(channels=2)
  audio *= 0.9 / np.abs(audio).max(axis=0) * [1, -1]
  soundfile.write(paths[0], audio, RATE, subtype="DOUBLE")
  survey(paths[0], level)
  assert len(caplog.messages) == is_low
  assert all(text.endswith("the peak is 0.9") for text in caplog.messages)


def test_frame_and_hop_follow_the_sample_rate_unless_given(calls, paths):
  soundfile.write(paths[0], np.clip(_tones(), -0.5, 0.5), 44_100)
  for options in ({}, {"frame": 128}, {"frame": 128, "hop": 64}, {"hop": 8}):
    declip_file(*paths, "aspade", **options)
  found = [call[:2] for call in calls]
  assert found == [(8192, 2048), (128, 32), (128, 64), (8192, 8)]


@pytest.mark.parametrize("channels", [1, 2])
def test_a_low_rank_model_is_given_equal_chunks(monkeypatch, paths, channels):
  """They share the largest coefficient of the file, which is in the first."""
  monkeypatch.setattr(declip, "_SEGMENTS", 2)
  given = []

  def double(audio, clip_level, *, frame=8, hop=2, largest=None, **_):
    given.append((audio.shape, largest))
    return np.array(audio), None

  monkeypatch.setattr(declipping, "declipper", lambda name: double)
  monkeypatch.setattr(declipping, "check_options", lambda *_: None)
  audio = np.clip(_tones(0.5, channels), -0.5, 0.5)
  audio[1000:] *= 0.1
  soundfile.write(paths[0], audio, RATE, subtype="DOUBLE")
  declip_file(*paths, "nmf", frame=8, hop=2)
  restored, _ = soundfile.read(paths[1], always_2d=True)
  np.testing.assert_array_equal(restored, audio)
  # Of at most 208 and 112 frames of 8, with 16 in common.
  (length,) = {shape[1] for shape, _ in given}
  count = {1: 3, 2: 6}[channels]
  assert (len(given), length % 2) == (count, 0)
  assert 0 <= count * length - (count - 1) * 16 * 8 - len(audio) < 2 * count
  rails = resolve_rails(audio[None])
  expected = gabor.largest_coefficient([audio], rails, 8, 2)
  found = [largest[8] for _, largest in given]
  np.testing.assert_allclose(found, expected, rtol=1e-12)


@pytest.mark.e2e
@pytest.mark.usefixtures("calls")
@pytest.mark.parametrize(
  ("method", "options"), [("aspade", {}), ("nmf", {"frame": 1024})]
)
def test_memory_does_not_grow_with_the_length(paths, method, options):
  block = np.clip(np.sin(np.arange(44_100) / 10), -0.5, 0.5)
  most = {}
  for seconds in (36, 75):  # several chunks of about the same length
    with soundfile.SoundFile(paths[0], "w", 44_100, 2) as file:
      for _ in range(seconds):
        file.write(0.3 * np.stack([block, block], axis=1))
    tracemalloc.start()
    declip_file(*paths, method, **options)
    _, most[seconds] = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert soundfile.info(paths[1]).frames == seconds * 44_100
  assert most[75] < 1.1 * most[36]
