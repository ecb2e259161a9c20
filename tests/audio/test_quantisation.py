"""Integer formats hold rounded samples, and their own codes to the bit."""

import numpy as np
import pytest
import soundfile

from distortion_removal.audio import files
from distortion_removal.audio.files.quantisation import quantise_blocks

RATE = 8_000
LINEAR = [
  ("a.wav", "PCM_U8", 8),
  ("a.aiff", "PCM_S8", 8),
  ("a.flac", "PCM_S8", 8),
  *((f"a.{suffix}", "PCM_16", 16) for suffix in ("wav", "aiff", "w64", "flac")),
  *((f"a.{suffix}", "PCM_24", 24) for suffix in ("wav", "aiff", "w64", "flac")),
  *((f"a.{suffix}", "PCM_32", 32) for suffix in ("wav", "aiff", "w64")),
]


@pytest.mark.parametrize(("name", "subtype", "bits"), LINEAR)
def test_samples_are_rounded(tmp_path, name, subtype, bits):
  """The error is uniform within half a code; floored, its mean is -0.5."""
  audio = np.random.default_rng(0).uniform(-0.9, 0.9, (20_000, 1))
  files.write(tmp_path / name, audio, RATE, subtype=subtype)
  written, _ = soundfile.read(tmp_path / name, always_2d=True)
  error_codes = (written - audio) * 2 ** (bits - 1)
  assert abs(error_codes.mean()) < 0.01
  np.testing.assert_allclose(error_codes.std(), 12**-0.5, rtol=0.02)
  assert np.abs(error_codes).max() <= 0.5 + 1e-6


@pytest.mark.parametrize(("name", "subtype", "bits"), LINEAR)
def test_codes_stay_to_the_bit(tmp_path, name, subtype, bits):
  top = 2 ** (bits - 1)
  codes = np.random.default_rng(0).integers(-top, top, (5_000, 2))
  codes[:2] = [[-top, top - 1], [0, -1]]
  stored = (codes << (32 - bits)).astype(np.int32)
  soundfile.write(tmp_path / name, stored, RATE, subtype)
  with files.open_reader(tmp_path / name) as reader:
    dtype = "float32" if bits == 16 else "float64"
    audio = np.concatenate(list(reader.blocks(dtype=dtype)))
  files.write(tmp_path / f"again-{name}", audio, RATE, subtype=subtype)
  again, _ = soundfile.read(tmp_path / f"again-{name}", dtype="int32")
  np.testing.assert_array_equal(again, stored)


@pytest.mark.parametrize(("name", "subtype", "bits"), LINEAR)
def test_beyond_full_scale_is_the_last_code(tmp_path, name, subtype, bits):
  audio = np.array([[1.0], [-1.0], [7.0], [-7.0]], np.float32)
  files.write(tmp_path / name, audio, RATE, subtype=subtype)
  written, _ = soundfile.read(tmp_path / name)
  top = 1.0 - 2.0 ** (1 - bits)
  np.testing.assert_array_equal(written, [top, -1.0, top, -1.0])


@pytest.mark.parametrize("subtype", ["ULAW", "ALAW", "IMA_ADPCM", "MS_ADPCM"])
def test_codecs_clip_instead_of_wrapping(tmp_path, subtype):
  audio = np.full((4_000, 1), 1.5)
  audio[2_000:] *= -1
  files.write(tmp_path / "a.wav", audio, RATE, subtype=subtype)
  written, _ = soundfile.read(tmp_path / "a.wav")
  assert written[1_900] > 0.95
  assert written[3_900] < -0.95


def test_a_law_codes_stay(tmp_path):
  codes = bytes(range(256))
  (tmp_path / "a.raw").write_bytes(codes)
  how = {"samplerate": RATE, "channels": 1, "subtype": "ALAW", "format": "RAW"}
  audio, _ = soundfile.read(tmp_path / "a.raw", always_2d=True, **how)
  files.write(tmp_path / "a.wav", audio, RATE, subtype="ALAW")
  assert codes in (tmp_path / "a.wav").read_bytes()


def _dithered(blocks):
  codes = np.concatenate(
    list(quantise_blocks(blocks, "PCM_16", dither=True))
  ) / float(1 << 16)
  return codes


def test_dither_is_triangular_noise_of_one_code():
  """Its mean follows a signal below one code; rounding alone gives 0.

  The error's power is that of the noise, 1/6, and of the rounding, 1/12, at
  any value of the signal.
  """
  for value in (0.0, 0.3, 0.5):
    audio = np.full((200_000, 2), value / 32768)
    error = _dithered([audio]) - value
    assert np.abs(error).max() <= 1.5
    np.testing.assert_allclose(error.mean(axis=0), 0.0, atol=0.005)
    np.testing.assert_allclose(error.var(axis=0), 0.25, rtol=0.02)
    assert abs(np.corrcoef(error.T)[0, 1]) < 0.01


def test_dither_does_not_depend_on_the_blocks():
  audio = np.random.default_rng(0).uniform(-1, 1, (5_000, 2))
  whole = _dithered([audio])
  np.testing.assert_array_equal(
    whole, _dithered(np.split(audio, [17, 1_000, 4_999]))
  )
  np.testing.assert_array_equal(whole, _dithered([audio]))
  assert whole.max() <= 32767
