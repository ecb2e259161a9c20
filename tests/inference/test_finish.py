"""How much of a restoration is taken, and peaks that a format cannot hold."""

import dataclasses
import functools

import numpy as np
import pytest
import soundfile

from distortion_removal import config as run_config
from distortion_removal import declipping
from distortion_removal.audio import files
from distortion_removal.common.errors import UserError
from distortion_removal.declipping.clip_level import Rails
from distortion_removal.inference import blind, inversion, network, output
from distortion_removal.inference.declip import declip_file
from distortion_removal.inference.finish import AS_IT_IS, Finish
from distortion_removal.inference.restoration import restore_file

RATE = 8_000
# More than a block of the reader.
TIME = np.arange(10 * RATE) / RATE
CLEAN = np.stack(
  [np.sin(2 * np.pi * 220.0 * TIME), 0.5 * np.sin(2 * np.pi * 330.0 * TIME)], 1
)
CLIPPED = np.clip(CLEAN, [-0.5, -0.5], [0.375, 0.5])


@pytest.fixture
def paths(tmp_path):
  """A clipped source, and a target."""
  soundfile.write(tmp_path / "in.wav", CLIPPED, RATE, "PCM_24")
  return tmp_path / "in.wav", tmp_path / "out.wav"


def _blocks(audio, size=1_000):
  return (audio[k : k + size] for k in range(0, len(audio), size))


def _finished(source, restored, finish, rails=None):
  """What a restored array becomes, given in blocks unlike the reader's."""
  return np.concatenate(list(finish.apply(_blocks(restored), source, rails)))


def test_strength_is_the_weight_of_a_mean(paths):
  source, _ = soundfile.read(paths[0])
  for strength in (0.0, 0.3, 1.0):
    found = _finished(paths[0], CLEAN, Finish(strength))
    expected = (1 - strength) * source + strength * CLEAN
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-15)
    same = source == CLEAN
    np.testing.assert_array_equal(found[same], source[same])
    change = _finished(paths[0], CLEAN, Finish(strength, is_delta=True))
    np.testing.assert_allclose(source + change, expected, atol=1e-15)


@pytest.mark.parametrize("strength", [1.0, 0.5])
def test_largest_gain_above_the_clip_level(paths, strength):
  """6.02 dB: a factor of 2; in the second channel it limits nothing."""
  source, _ = soundfile.read(paths[0])
  found = _finished(
    paths[0], 1.5 * CLEAN, Finish(strength, max_gain_db=20 * np.log10(2))
  )
  limited = np.clip(1.5 * CLEAN, [-1.0, -1.0], [0.75, 1.0])
  expected = source + strength * (limited - source)
  np.testing.assert_allclose(found, expected, atol=1e-12)
  # With rails that are known, that of another side is the peak; what the
  # recording itself holds beyond the limit stays.
  rails = Rails(np.array([[-0.0625, -np.inf]]), np.array([[np.inf, 0.25]]))
  found = _finished(paths[0], 1.5 * CLEAN, Finish(max_gain_db=0.0), rails)
  low = np.minimum([-0.0625, -0.5], source)
  high = np.maximum([0.375, 0.25], source)
  np.testing.assert_allclose(found, np.clip(1.5 * CLEAN, low, high), atol=1e-12)


@pytest.mark.parametrize("finish", [AS_IT_IS, Finish(on_overflow="limit")])
def test_without_a_change_nothing_is_read_along(finish):
  assert _finished("none.wav", CLEAN, finish).shape == CLEAN.shape


def _write(paths, audio, subtype="PCM_16", **how):
  with files.open_reader(paths[0]) as reader:
    overflow = output.write(
      paths[1],
      _blocks(audio),
      reader,
      subtype=subtype,
      peak=float(np.abs(audio).max()),
      **how,
    )
  return overflow, soundfile.read(paths[1])[0], soundfile.info(paths[1]).subtype


def test_peaks_beyond_full_scale(paths):
  audio = 1.6 * CLEAN  # 4.1 dB
  step = 2.0**-15
  overflow, found, subtype = _write(paths, audio, on_overflow="attenuate")
  assert overflow.startswith("4.1 dB quieter")
  np.testing.assert_allclose(found, audio / np.abs(audio).max(), atol=step)
  overflow, found, subtype = _write(paths, audio, on_overflow="limit")
  count = np.sum(np.abs(audio) > 1.0)
  assert overflow.startswith(f"{count} samples are limited")
  assert "4.1 dB" in overflow
  np.testing.assert_allclose(found, np.clip(audio, -1, 1 - step), atol=step)
  assert subtype == "PCM_16"
  overflow, found, subtype = _write(
    paths, audio, on_overflow="float", dither=True
  )
  assert "4.1 dB" in overflow
  assert subtype == "FLOAT"
  np.testing.assert_array_equal(found, np.float32(audio))


@pytest.mark.parametrize("on_overflow", ["attenuate", "float", "limit"])
def test_peaks_that_the_format_holds_are_let_be(paths, on_overflow):
  for subtype, gain in (("PCM_16", 0.999), ("FLOAT", 1.6), ("DOUBLE", 1.6)):
    overflow, found, kept = _write(
      paths, gain * CLEAN, subtype, on_overflow=on_overflow
    )
    assert (overflow, kept) == ("", subtype)
    np.testing.assert_allclose(found, gain * CLEAN, atol=2.0**-16)


def test_a_format_without_floats_is_refused_before_any_work(paths):
  finish = Finish(on_overflow="float")
  for name in ("out.flac", "out.mp3"):
    with pytest.raises(UserError, match=rf"{name}: .*--on-overflow=float"):
      output.choose_subtype(
        paths[1].with_name(name), files.info(paths[0]), None, finish=finish
      )


@pytest.fixture(params=["network", "declipper", "inversion"])
def restore(request, paths, tiny_config, tmp_path, monkeypatch):
  """Restores with the work of each kind replaced: a gain of 3, or a cube."""
  loud = 1.8 * CLIPPED
  soundfile.write(paths[0], loud, RATE, "PCM_24")
  if request.param == "network":
    run_config.save(tiny_config, tmp_path)
    monkeypatch.setattr(network, "load_network", lambda *_: lambda x: x**3)
    return functools.partial(restore_file, *paths, tmp_path), None
  if request.param == "declipper":

    def declipper(audio, clip_level=None, *, frame=64, hop=16, r=1, **_):
      return 3.0 * audio, None

    monkeypatch.setattr(declipping, "declipper", lambda name: declipper)
    return functools.partial(declip_file, *paths, "aspade"), 3.0 * loud

  @dataclasses.dataclass
  class Any:
    effect = "tanh"
    sample_rate = RATE

    def as_json(self):
      return self.effect

  monkeypatch.setattr(inversion, "describe", lambda *_: "an effect")
  monkeypatch.setattr(blind.Choice, "chosen", lambda _, found: found)
  monkeypatch.setattr(
    inversion, "undo", lambda _, blocks: (3.0 * block for block in blocks)
  )
  work = functools.partial(inversion.invert_file, *paths, found=[Any(), Any()])
  return work, 3.0 * loud


def test_each_kind_of_method_is_finished_alike(restore, paths):
  work, expected = restore
  source, _ = soundfile.read(paths[0])
  work(subtype="DOUBLE")
  whole, _ = soundfile.read(paths[1])
  if expected is not None:
    np.testing.assert_allclose(whole, expected, atol=1e-6)
  assert np.abs(whole - source).max() > 0.1
  results = {}
  for name, finish in {
    "none": Finish(0.0),
    "half": Finish(0.5),
    "delta": Finish(is_delta=True),
    "gain": Finish(max_gain_db=2.0),
  }.items():
    work(subtype="DOUBLE", finish=finish)
    results[name], _ = soundfile.read(paths[1])
  np.testing.assert_array_equal(results["none"], source)
  half = (source + whole) / 2
  np.testing.assert_allclose(results["half"], half, rtol=0, atol=1e-7)
  change = whole - source
  np.testing.assert_allclose(results["delta"], change, rtol=0, atol=1e-7)
  most = 10 ** (2.0 / 20) * source.max(axis=0)
  assert np.all(results["gain"].max(axis=0) <= most * (1 + 1e-7))
  assert "dB quieter" in work(finish=Finish(0.9)).line
  assert "are limited" in work(finish=Finish(on_overflow="limit")).line


def test_a_difference_to_what_stays_as_it_is_is_silence(paths):
  soundfile.write(paths[0], 0.5 * CLEAN, RATE)
  line = declip_file(*paths, "aspade", finish=Finish(is_delta=True)).line
  assert "the difference is silence" in line
  assert not soundfile.read(paths[1])[0].any()
