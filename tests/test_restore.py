"""Restoring a file: with a network that changes nothing, nothing changes."""

import logging
import subprocess
import sys
import tracemalloc

import numpy as np
import pytest
import soundfile
from conftest import ROOT, files_of

from distortion_removal import config as run_config
from distortion_removal import restore
from distortion_removal.audio import files
from distortion_removal.common.errors import UserError
from distortion_removal.inference import network


def _tones(rate, channels, seconds, peak=0.4):
  """Another tone below 3 kHz in each channel, `[time, channels]` float32.

  Faded in and out, for a resampler rings where a recording is cut off.
  """
  time = np.arange(round(seconds * rate)) / rate
  pitch_hz = 300.0 + 330.0 * np.arange(channels)
  fade = np.minimum(1.0, 20 * np.minimum(time, time[-1] - time))
  fade = np.sin(np.pi / 2 * fade) ** 2
  tones = np.sin(2 * np.pi * time[:, None] * pitch_hz)
  return np.float32(peak * fade[:, None] * tones)


def _rms(audio):
  return np.sqrt(np.mean(np.square(audio, dtype=np.float64)))


@pytest.fixture
def use(tiny_config, tmp_path, monkeypatch):
  """Makes a run whose network is the function given; returns its folder."""

  def make(function, **data):
    tiny_config.data.update(data)
    workdir = tmp_path / "run"
    workdir.mkdir()
    run_config.save(tiny_config, workdir)
    monkeypatch.setattr(network, "load_network", lambda w, c: function)
    return workdir

  return make


def _identity(chunk):
  return chunk


@pytest.mark.parametrize("rate", [8_000, 16_000, 44_100, 192_000])
@pytest.mark.parametrize("channels", [1, 2, 8])
def test_identity_gives_the_file_back(use, tmp_path, rate, channels):
  workdir = use(_identity, channels=2)
  audio = _tones(rate, channels, seconds=2.3)
  source, target = tmp_path / "in.wav", tmp_path / "out.wav"
  soundfile.write(source, audio, rate, subtype="FLOAT")
  restore.restore(source, target, workdir)
  info = soundfile.info(target)
  assert (info.samplerate, info.channels) == (rate, channels)
  assert (info.frames, info.subtype) == (len(audio), "FLOAT")
  output, _ = soundfile.read(target, dtype="float32", always_2d=True)
  assert np.abs(output - audio).max() <= 1e-4
  assert {path.name for path in tmp_path.iterdir()} == {
    "run",
    "in.wav",
    "out.wav",
  }


@pytest.mark.parametrize(
  ("source", "target", "expected", "error"),
  [
    ("PCM_16 in.wav", "out.wav", "PCM_16", 1e-4),
    ("PCM_24 in.wav", "out.flac", "PCM_24", 1e-4),
    ("PCM_24 in.flac", "out.aiff", "PCM_24", 1e-4),
    ("FLOAT in.wav", "out.flac", "PCM_24", 1e-6),
    ("FLOAT in.wav", "out.W64", "FLOAT", 1e-4),
    ("VORBIS in.ogg", "out.ogg", "VORBIS", 0.1),
    ("VORBIS in.ogg", "out.wav", "PCM_16", 0.1),
    ("MPEG_LAYER_III in.mp3", "out.wav", "PCM_16", 0.1),
  ],
)
def test_formats(use, tmp_path, source, target, expected, error):
  workdir = use(_identity)
  audio = _tones(44_100, 2, seconds=1.3)
  subtype, name = source.split()
  soundfile.write(tmp_path / name, audio, 44_100, subtype=subtype)
  frames = soundfile.info(tmp_path / name).frames
  restore.restore(tmp_path / name, tmp_path / target, workdir)
  info = soundfile.info(tmp_path / target)
  assert (info.samplerate, info.channels) == (44_100, 2)
  assert (info.frames, info.subtype) == (frames, expected)
  output, _ = soundfile.read(tmp_path / target, dtype="float32")
  assert np.abs(output[: len(audio)] - audio).max() <= error


def test_a_subtype_that_is_asked_for(use, tmp_path):
  workdir = use(_identity)
  source, target = tmp_path / "in.wav", tmp_path / "out.wav"
  soundfile.write(source, _tones(8_000, 1, 1.0), 8_000)
  restore.restore(source, target, workdir, subtype="PCM_24")
  assert soundfile.info(target).subtype == "PCM_24"


@pytest.mark.parametrize("factor", [0.01, 30.0])
def test_the_level_stays_whatever_the_network_does_to_it(use, tmp_path, factor):
  workdir = use(lambda chunk: factor * chunk)
  audio = _tones(16_000, 2, 1.5)
  audio[:, 1] *= 0.1
  source, target = tmp_path / "in.wav", tmp_path / "out.wav"
  soundfile.write(source, audio, 16_000, subtype="FLOAT")
  restore.restore(source, target, workdir)
  output, _ = soundfile.read(target)
  assert _rms(output) == pytest.approx(_rms(audio), rel=1e-5)
  # One gain for all channels: their balance is the network's.
  ratio = _rms(output[:, 1]) / _rms(output[:, 0])
  assert ratio == pytest.approx(0.1, rel=1e-3)


@pytest.mark.parametrize(
  ("subtype", "peak"), [("PCM_16", 1.0), ("FLOAT", None)]
)
def test_integer_formats_are_kept_from_clipping(
  use, tmp_path, caplog, monkeypatch, subtype, peak
):
  """A network that makes peaks: cubing leaves tones at 1/√10 of their RMS."""
  monkeypatch.setattr(restore.logger, "propagate", True)
  workdir = use(lambda chunk: chunk**3)
  audio = _tones(8_000, 1, 2.0, peak=0.9)
  source, target = tmp_path / "in.wav", tmp_path / "out.wav"
  soundfile.write(source, audio, 8_000, subtype=subtype)
  restore.restore(source, target, workdir)
  output, _ = soundfile.read(target)
  gain = _rms(audio) / _rms(audio**3)
  wanted = gain * 0.9**3
  if peak is None:
    assert np.abs(output).max() == pytest.approx(wanted, rel=1e-3)
    assert not caplog.messages
    return
  assert np.abs(output).max() == pytest.approx(1.0, abs=1e-3)
  # Scaled as a whole: still the cube of the input.
  np.testing.assert_allclose(output, (audio[:, 0] / 0.9) ** 3, atol=2e-3)
  (message,) = caplog.messages
  assert f"is {20 * np.log10(wanted):.1f} dB quieter" in message
  assert "--subtype=FLOAT" in message
  assert caplog.records[0].levelno == logging.WARNING


def test_input_scale(tiny_config):
  """A peak of 0.25 is brought to what the task's degraded audio has."""
  fields = tiny_config.model.fields
  cases = [
    ("hard_clip", False, 4.0),
    ("overdrive", False, 0.84 / 0.25),
    ("hard_clip_sdr", False, 1.0),
    ("hard_clip", True, 1.0),
  ]
  for task, normalize, expected in cases:
    tiny_config.data.task = task
    fields.normalize = normalize
    scale = restore.input_scale(tiny_config, 0.25)
    assert scale == np.float32(expected)
  fields.normalize = False
  tiny_config.data.effect.rail = 0.5  # Who knows what peak then?
  assert restore.input_scale(tiny_config, 0.25) == 1.0


def test_a_network_without_normalisation_sees_the_tasks_level(
  use, tiny_config, tmp_path
):
  tiny_config.model.fields.normalize = False
  seen = []

  def network(chunk):
    seen.append(np.abs(chunk).max())
    return chunk

  workdir = use(network)
  audio = _tones(8_000, 1, 1.5, peak=0.1)
  source, target = tmp_path / "in.wav", tmp_path / "out.wav"
  soundfile.write(source, audio, 8_000, subtype="FLOAT")
  restore.restore(source, target, workdir)
  assert max(seen) == pytest.approx(1.0, rel=1e-3)
  output, _ = soundfile.read(target, always_2d=True)
  np.testing.assert_allclose(output, audio, atol=1e-5)


def test_channels_are_grouped_as_the_network_takes_them():
  block = np.arange(15.0).reshape(5, 3)
  grouped = restore.group_channels(block, 2)
  np.testing.assert_array_equal(grouped[0], block[:, :2])
  np.testing.assert_array_equal(grouped[1], block[:, [2, 2]])
  np.testing.assert_array_equal(restore.ungroup_channels(grouped, 3), block)


def test_memory_does_not_grow_with_the_length(use, tmp_path):
  """Five minutes of stereo are 106 MB as float32; a few are used."""
  workdir = use(_identity)
  source, target = tmp_path / "in.wav", tmp_path / "out.wav"
  block = np.int16(3_000 * np.sin(np.arange(44_100) / 10))
  with soundfile.SoundFile(source, "w", 44_100, 2) as file:
    for _ in range(300):
      file.write(np.stack([block, block], axis=1))
  tracemalloc.start()
  restore.restore(source, target, workdir)
  _, most = tracemalloc.get_traced_memory()
  tracemalloc.stop()
  assert soundfile.info(target).frames == 300 * 44_100
  assert most < 12e6


def _bad_inputs(folder):
  audio = _tones(8_000, 1, 1.0)
  soundfile.write(folder / "cut.wav", audio, 8_000)
  data = (folder / "cut.wav").read_bytes()
  (folder / "cut.wav").write_bytes(data[: len(data) // 2])
  soundfile.write(folder / "cut.flac", audio, 8_000)
  data = (folder / "cut.flac").read_bytes()
  (folder / "cut.flac").write_bytes(data[: len(data) // 2])
  (folder / "empty.wav").write_bytes(b"")
  (folder / "text.wav").write_text("not music")
  soundfile.write(folder / "silent.wav", 0 * audio, 8_000)
  audio[1_000] = np.nan
  soundfile.write(folder / "nan.wav", audio, 8_000, subtype="FLOAT")
  (folder / "folder.wav").mkdir()


@pytest.mark.parametrize(
  ("name", "message"),
  [
    ("cut.wav", "truncated"),
    ("cut.flac", "truncated"),
    ("empty.wav", "empty file"),
    ("text.wav", "not audio in a known format"),
    ("silent.wav", "only silence"),
    ("nan.wav", "NaN"),
    ("missing.wav", "no such file"),
    ("folder.wav", "is a directory"),
  ],
)
def test_bad_input_leaves_the_old_output(use, tmp_path, name, message):
  workdir = use(_identity)
  _bad_inputs(tmp_path)
  (tmp_path / "out.wav").write_text("what was there before")
  before = files_of(tmp_path)
  with pytest.raises(UserError) as caught:
    restore.restore(tmp_path / name, tmp_path / "out.wav", workdir)
  assert str(caught.value).startswith(str(tmp_path / name))
  assert message in str(caught.value)
  assert "\n" not in str(caught.value)
  assert files_of(tmp_path) == before


@pytest.mark.parametrize(
  ("name", "subtype", "message"),
  [
    ("out.xyz", None, "unknown audio format"),
    ("out.flac", "FLOAT", "the format cannot hold 8 channels"),
    ("out.mp3", None, "the format cannot hold 8 channels at 8000 Hz"),
    ("missing/out.wav", None, "the folder to write to does not exist"),
  ],
)
def test_an_output_that_cannot_be_is_told_before_any_work(
  use, tmp_path, name, subtype, message
):
  def never(chunk):
    raise AssertionError("the network was asked")

  workdir = use(never)
  source = tmp_path / "in.wav"
  soundfile.write(source, _tones(8_000, 8, 1.0), 8_000)
  before = files_of(tmp_path)
  with pytest.raises(files.AudioFileError, match=message):
    restore.restore(source, tmp_path / name, workdir, subtype=subtype)
  assert files_of(tmp_path) == before


def test_a_failing_network_leaves_nothing(use, tmp_path):
  calls = []

  def network(chunk):
    calls.append(1)
    if len(calls) == 3:
      raise RuntimeError("out of memory")
    return chunk

  workdir = use(network)
  source = tmp_path / "in.wav"
  soundfile.write(source, _tones(8_000, 1, 5.0), 8_000)
  before = files_of(tmp_path)
  with pytest.raises(RuntimeError, match="out of memory"):
    restore.restore(source, tmp_path / "out.wav", workdir)
  assert files_of(tmp_path) == before


def test_output_over_the_input_replaces_it_whole(use, tmp_path):
  workdir = use(_identity)
  audio = _tones(8_000, 1, 1.0)
  soundfile.write(tmp_path / "a.wav", audio, 8_000, subtype="FLOAT")
  restore.restore(tmp_path / "a.wav", tmp_path / "a.wav", workdir)
  output, _ = soundfile.read(tmp_path / "a.wav", always_2d=True)
  np.testing.assert_allclose(output, audio, atol=1e-6)


def _command(*arguments):
  return subprocess.run(
    [sys.executable, "-m", "distortion_removal.restore", *map(str, arguments)],
    cwd=ROOT,
    capture_output=True,
    text=True,
    check=False,
  )


def test_the_command_restores_with_a_trained_run(tiny_run, tmp_path):
  audio = _tones(11_025, 3, 1.7)
  source, target = tmp_path / "in.flac", tmp_path / "out.flac"
  soundfile.write(source, audio, 11_025)
  result = _command(source, "-o", target, "--checkpoint", tiny_run)
  assert result.returncode == 0, result.stderr
  assert result.stdout == f"restored: {target}\n"
  info = soundfile.info(target)
  assert (info.frames, info.samplerate) == (len(audio), 11_025)
  assert (info.channels, info.subtype) == (3, "PCM_16")


def test_the_commands_errors_are_one_line(tmp_path):
  (tmp_path / "text.wav").write_text("not music")
  result = _command(
    tmp_path / "text.wav", "-o", tmp_path / "o.wav", "--checkpoint", tmp_path
  )
  assert result.returncode == 1
  assert result.stderr.count("\n") == 1
  assert result.stderr.startswith("error: ")
  assert not (tmp_path / "o.wav").exists()
