"""Restoring a file: with a network that changes nothing, nothing changes."""

import tracemalloc

import numpy as np
import pytest
import soundfile
from conftest import pluck

from distortion_removal.common.errors import UserError
from distortion_removal.effects.overdrive import overdrive
from distortion_removal.inference import network
from distortion_removal.inference.finish import Finish
from distortion_removal.inference.restoration import input_gain, restore_file
from distortion_removal.models.demucs import Demucs
from distortion_removal.models.umx import UMX


def _tones(rate, channels, seconds, peak=0.4):
  """Another tone below 3 kHz in each channel, faded as a resampler rings."""
  time = np.arange(round(seconds * rate)) / rate
  pitch_hz = 300.0 + 330.0 * np.arange(channels)
  fade = np.minimum(1.0, 20 * np.minimum(time, time[-1] - time))
  fade = np.sin(np.pi / 2 * fade) ** 2
  tones = np.sin(2 * np.pi * time[:, None] * pitch_hz)
  return np.float32(peak * fade[:, None] * tones)


def _rms(audio):
  return np.sqrt(np.mean(np.square(audio, dtype=np.float64)))


@pytest.mark.parametrize(
  ("rate", "channels"),
  [(8_000, 1), (16_000, 2), (44_100, 8), (192_000, 3)],
)
def test_identity_gives_the_file_back(
  use_network, tmp_path, paths, rate, channels
):
  workdir = use_network(lambda chunk: chunk, channels=2)
  audio = _tones(rate, channels, seconds=2.3)
  soundfile.write(paths[0], audio, rate, subtype="FLOAT")
  restore_file(*paths, workdir)
  output, found_rate = soundfile.read(paths[1], always_2d=True)
  assert (found_rate, soundfile.info(paths[1]).subtype) == (rate, "FLOAT")
  np.testing.assert_allclose(output, audio, rtol=0, atol=1e-4)
  assert set(tmp_path.iterdir()) == {workdir, *paths}


@pytest.mark.parametrize(
  ("source", "target", "expected", "error"),
  [
    ("PCM_24 in.flac", "out.aiff", "PCM_24", 1e-4),
    ("FLOAT in.wav", "out.flac", "PCM_24", 1e-6),
    ("FLOAT in.wav", "out.W64", "FLOAT", 1e-4),
    ("VORBIS in.ogg", "out.ogg", "VORBIS", 0.1),
    ("MPEG_LAYER_III in.mp3", "out.wav", "PCM_16", 0.1),
  ],
)
def test_formats(use_network, tmp_path, source, target, expected, error):
  workdir = use_network(lambda chunk: chunk)
  audio = _tones(44_100, 2, seconds=1.3)
  subtype, name = source.split()
  soundfile.write(tmp_path / name, audio, 44_100, subtype=subtype)
  frames = soundfile.info(tmp_path / name).frames
  restore_file(tmp_path / name, tmp_path / target, workdir)
  output, rate = soundfile.read(tmp_path / target)
  assert (rate, output.shape) == (44_100, (frames, 2))
  assert soundfile.info(tmp_path / target).subtype == expected
  assert np.abs(output[: len(audio)] - audio).max() <= error


@pytest.mark.parametrize("factor", [0.01, 30.0])
def test_the_level_stays_whatever_the_network_does_to_it(
  use_network, paths, factor
):
  audio = _tones(16_000, 2, 1.5)
  audio[:, 1] *= 0.1
  soundfile.write(paths[0], audio, 16_000, subtype="FLOAT")
  restore_file(*paths, use_network(lambda chunk: factor * chunk))
  output, _ = soundfile.read(paths[1])
  assert _rms(output) == pytest.approx(_rms(audio), rel=1e-5)
  # One gain for all channels: their balance is the network's.
  balance = _rms(output[:, 1]) / _rms(output[:, 0])
  assert balance == pytest.approx(0.1, rel=1e-3)


@pytest.mark.parametrize("subtype", ["PCM_16", "FLOAT"])
def test_integer_formats_are_kept_from_clipping(use_network, paths, subtype):
  """A network that makes peaks: cubing leaves tones at 1/√10 of their RMS."""
  audio = _tones(8_000, 1, 2.0, peak=0.9)
  soundfile.write(paths[0], audio, 8_000, subtype=subtype)
  line = restore_file(*paths, use_network(lambda chunk: chunk**3)).line
  output, _ = soundfile.read(paths[1], always_2d=True)
  peak = _rms(audio) / _rms(audio**3) * 0.9**3
  assert (f"{20 * np.log10(peak):.1f} dB" in line) == (subtype == "PCM_16")
  # Scaled as a whole: still the cube of the input.
  expected = (1.0 if subtype == "PCM_16" else peak) * (audio / 0.9) ** 3
  np.testing.assert_allclose(output, expected, atol=2e-3)


@pytest.mark.parametrize(
  ("task", "options", "normalize", "expected", "warning"),
  [
    ("hard_clip", {}, False, 4.0, "guessed from the peak"),
    ("tanh", {}, False, 4.0, "guessed from the peak"),
    ("hard_clip_sdr", {}, False, 1.0, None),
    ("hard_clip", {}, True, 1.0, None),
    # Of another rail nobody knows the peak.
    ("hard_clip", {"rail": 0.5}, False, 1.0, "is not known"),
  ],
)
def test_input_gain(
  tiny_config, caplog, task, options, normalize, expected, warning
):
  """A peak of 0.25 is brought to that of the task's degraded audio."""
  tiny_config.data.task = task
  tiny_config.model.fields.normalize = normalize
  tiny_config.data.effect.update(options)
  assert input_gain(tiny_config, 0.25, "in.wav") == np.float32(expected)
  assert len(caplog.messages) == (warning is not None)
  assert all(warning in message for message in caplog.messages)


@pytest.mark.e2e
@pytest.mark.parametrize("level", [0.04, 1.1])
def test_an_overdrives_scale_is_found(tiny_config, paths, level):
  """So that a network that knows the level restores recordings of any."""
  tiny_config.data.task = "overdrive"
  tiny_config.model.fields.normalize = False
  clean = pluck(6.0, 110.0, 16_000) + pluck(6.0, 166.0, 16_000)
  driven = overdrive(0.5 / np.abs(clean).max() * clean[None], 30.0)[0]
  soundfile.write(paths[0], level * driven, 16_000, subtype="FLOAT")
  gain = input_gain(tiny_config, np.abs(driven).max(), paths[0])
  assert gain == pytest.approx(1 / level, rel=2e-3)


@pytest.mark.e2e
def test_where_there_is_no_overdrive_its_level_is_guessed(
  tiny_config, paths, caplog
):
  tiny_config.data.task = "overdrive"
  tiny_config.model.fields.normalize = False
  soundfile.write(paths[0], _tones(16_000, 1, 2.0, peak=0.25), 16_000)
  gain = input_gain(tiny_config, 0.25, paths[0])
  assert gain == np.float32(0.84 / 0.25)
  assert "guessed from the peak" in caplog.text


def test_a_network_without_normalisation_sees_the_tasks_level(
  use_network, tiny_config, paths
):
  tiny_config.model.fields.normalize = False
  peaks = []
  workdir = use_network(lambda x: peaks.append(abs(x).max()) or x)
  audio = _tones(8_000, 1, 1.5, peak=0.1)
  soundfile.write(paths[0], audio, 8_000, subtype="FLOAT")
  restore_file(*paths, workdir)
  assert max(peaks) == pytest.approx(1.0, rel=1e-3)
  output, _ = soundfile.read(paths[1], always_2d=True)
  np.testing.assert_allclose(output, audio, atol=1e-5)


_DC = {"none": 0.0, "small": 0.02, "above the music": -0.7}


@pytest.mark.parametrize("dc", _DC.values(), ids=_DC)
@pytest.mark.parametrize("rate", [8_000, 11_025])
def test_a_dc_offset_is_left_out_and_changes_nothing_else(
  use_network, paths, caplog, rate, dc
):
  """Not even for a network that is not linear, and makes a DC of its own."""
  caplog.set_level("INFO")
  workdir = use_network(lambda x: 2.0 * x + 10.0 * x**3 + 0.01)
  audio = _tones(rate, 2, 1.5, peak=0.2)
  audio[:, 1] *= 0.5
  audio -= audio.mean(axis=0)
  offset = np.array([dc, dc / 2])
  soundfile.write(paths[0], audio + offset, rate, subtype="DOUBLE")
  restore_file(*paths, workdir)
  output, _ = soundfile.read(paths[1])
  expected = 2.0 * audio + 10.0 * audio**3 + 0.01
  expected *= _rms(audio) / np.sqrt(np.var(expected, axis=0).mean())
  # But for the ringing where the network's own DC begins and ends.
  inside = slice(200, -200) if rate != 8_000 else slice(None)
  np.testing.assert_allclose(output[inside], expected[inside], atol=2e-5)
  logged = [x for x in caplog.messages if "DC offset is left out" in x]
  assert len(logged) == (dc != 0.0)
  for message in logged:
    assert f"{dc:.3g} (channel 1), {dc / 2:.3g} (channel 2)" in message


def test_the_level_that_a_network_expects_is_that_without_dc(
  use_network, tiny_config, paths
):
  """A hard clipper's audio has a peak of 1."""
  tiny_config.model.fields.normalize = False
  seen = []
  workdir = use_network(lambda x: seen.append(x) or x)
  audio = _tones(8_000, 1, 1.5, peak=0.1)
  soundfile.write(paths[0], audio + 0.6, 8_000, subtype="FLOAT")
  restore_file(*paths, workdir)
  assert max(abs(x).max() for x in seen) == pytest.approx(1.0, rel=1e-3)


@pytest.mark.parametrize("size", [1, 2])
@pytest.mark.parametrize("constant", [0.0, 0.25, -0.9])
@pytest.mark.parametrize("silent", [[1], [0], [0, 2]])
def test_a_constant_channel_stays_and_the_others_are_as_without_it(
  use_network, tmp_path, size, constant, silent
):
  """Whether the network takes them one by one, or in pairs."""

  def work(chunk):  # The channels of a pair depend on each other.
    return chunk * (1.0 + chunk**2) + 0.3 * chunk.mean(-1, keepdims=True) + 0.01

  workdir = use_network(work, channels=size)
  audio = np.repeat(_tones(8_000, 2, 1.5)[:, 1:], 2 * len(silent), axis=1)
  music = [k for k in range(audio.shape[1]) if k not in silent]
  audio[:, silent] = constant
  for name, sound in (("all", audio), ("music", audio[:, music])):
    soundfile.write(tmp_path / f"{name}.wav", sound, 8_000, subtype="FLOAT")
    restore_file(tmp_path / f"{name}.wav", tmp_path / f"{name}_.wav", workdir)
  output, _ = soundfile.read(tmp_path / "all_.wav")
  expected, _ = soundfile.read(tmp_path / "music_.wav", always_2d=True)
  assert np.all(output[:, silent] == np.float32(constant))
  np.testing.assert_allclose(output[:, music], expected, rtol=0, atol=1e-7)
  assert _rms(expected) > 0.1


@pytest.mark.e2e
@pytest.mark.parametrize(("band", "most_mb"), [("model", 20.0), ("full", 90.0)])
def test_memory_does_not_grow_with_the_length(
  use_network, paths, band, most_mb
):
  """Five minutes of stereo are 212 MB as float64; a few are used.

  Whether it is clipped is looked for in 60 MB.
  """
  block = np.int16(3_000 * np.sin(np.arange(44_100) / 10))
  with soundfile.SoundFile(paths[0], "w", 44_100, 2) as file:
    for _ in range(300):
      file.write(np.stack([block, block], axis=1))
  workdir = use_network(lambda chunk: chunk)
  # The input is read along, and once more for its peak.
  finish = Finish(strength=0.5, max_gain_db=3.0)
  tracemalloc.start()
  restore_file(*paths, workdir, band=band, finish=finish)
  _, most = tracemalloc.get_traced_memory()
  tracemalloc.stop()
  assert soundfile.info(paths[1]).frames == 300 * 44_100
  assert most < 1e6 * most_mb


@pytest.mark.parametrize("constant", [0.0, 0.5])
def test_silence_is_refused(use_network, paths, constant):
  soundfile.write(paths[0], np.full((8_000, 1), constant), 8_000)
  with pytest.raises(UserError, match=r"in\.wav: only silence"):
    restore_file(*paths, use_network(lambda chunk: chunk))


def test_output_over_the_input_replaces_it_whole(use_network, paths):
  audio = _tones(8_000, 1, 1.0)
  soundfile.write(paths[0], audio, 8_000, subtype="FLOAT")
  restore_file(paths[0], paths[0], use_network(lambda chunk: chunk))
  output, _ = soundfile.read(paths[0], always_2d=True)
  np.testing.assert_allclose(output, audio, atol=1e-6)


@pytest.mark.parametrize(
  ("model", "groups", "together"),
  [
    (UMX(), 1, 4),
    (UMX(), 2, 2),
    (UMX(), 6, 1),
    # No recurrence, or one that stays in the cache.
    (Demucs(channels=64, depth=6), 1, 4),
    (Demucs(channels=64, depth=6, lstm_layers=0), 1, 1),
    (Demucs(channels=8, depth=3), 1, 1),
  ],
)
def test_networks_that_read_much_at_every_step_get_more(
  monkeypatch, model, groups, together
):
  monkeypatch.setattr(network.models, "from_config", lambda _: model)
  assert network.chunks_together(None, groups) == together
