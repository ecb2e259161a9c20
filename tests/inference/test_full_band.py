"""What a recording has above a network's band is kept, or left out."""

import numpy as np
import pytest
import scipy.signal
import soundfile
from conftest import RATE, pluck

from distortion_removal.common.errors import UserError
from distortion_removal.inference import consistent, full_band
from distortion_removal.inference.restoration import restore_file

WIDE = 44_100  # the network's RATE has 4 kHz


def _amplitudes(audio, *pitches_hz):
  """Complex amplitudes of sines, by least squares."""
  time = np.arange(len(audio)) / WIDE
  waves = [np.exp(2j * np.pi * f * time) for f in pitches_hz]
  basis = np.stack([part for w in waves for part in (w.real, w.imag)], axis=1)
  real, imag = np.linalg.lstsq(basis, audio)[0].reshape(-1, 2).T
  return real - 1j * imag


def _restore(paths, workdir, audio, **options):
  soundfile.write(paths[0], audio, WIDE, subtype="DOUBLE")
  outcome = restore_file(*paths, workdir, **options)
  output, rate = soundfile.read(paths[1], always_2d=True)
  assert (rate, output.shape) == (WIDE, audio.shape)
  return output, outcome


@pytest.mark.parametrize("band", full_band.BANDS)
def test_a_tone_above_the_band_stays_or_goes(use_network, paths, band):
  """The network makes another sound, twice as loud, of one within the band."""
  time = np.arange(WIDE) / WIDE
  audio = np.stack(
    [0.1 * np.cos(2 * np.pi * f * time) for f in (500.0, 4_150.0, 12_345.0)]
  ).sum(axis=0)

  def network(chunk):
    return -2.0 * chunk

  fade = scipy.signal.windows.tukey(WIDE, 0.2)
  audio = (fade * audio)[:, None]
  output, outcome = _restore(paths, use_network(network), audio, band=band)
  inner = slice(WIDE // 5, -WIDE // 5)
  before, after = (
    _amplitudes(x[inner, 0], 500.0, 4_150.0, 12_345.0) for x in (audio, output)
  )
  gain = np.ones(3) if band == "full" else np.array([np.sqrt(3.0), 0.0, 0.0])
  expected = gain * before * [-1, 1, 1]
  # A tenth of a dB is 1.2 %.
  np.testing.assert_allclose(after, expected, atol=1e-3 * 0.1)
  assert outcome.found["band_hz"] == RATE / 2
  above = {"full": "the input", "model": "nothing"}[band]
  assert outcome.found["above_band"] == above
  assert above in outcome.line and "4 kHz" in outcome.line


def test_the_crossover_has_no_delay_and_no_ripple(use_network, paths):
  """Its response to an impulse is symmetric: in each bin it is real."""
  audio = np.zeros((4 * WIDE, 1))
  audio[2 * WIDE] = 0.5
  output, _ = _restore(paths, use_network(lambda chunk: -chunk), audio)
  # A DC is left out.
  response = np.fft.rfft(np.roll(output[:, 0], -2 * WIDE))[1:] / 0.5
  assert np.abs(response.imag).max() < 1e-4
  bins_hz = np.fft.rfftfreq(len(audio), 1 / WIDE)[1:]
  below, above = bins_hz < 3_600, bins_hz > 3_950
  np.testing.assert_allclose(response[below].real, -1.0, atol=5e-3)
  np.testing.assert_allclose(response[above].real, 1.0, atol=1e-4)
  assert np.diff(response[~(below | above)].real).min() > -1e-4


def test_above_the_band_a_clipped_recording_is_declipped(
  use_network, paths, monkeypatch
):
  """All is brought to the input's level, the two bands alike."""
  clean = sum(pluck(1.0, f, WIDE) for f in (220.0, 1_870.0, 4_900.0))
  clean *= np.sin(np.pi * np.arange(WIDE) / WIDE)[:, None] ** 2
  clipped = np.clip(clean, -0.25, 0.25)

  def declipped(reader, method, clipping):
    assert method == "fast"
    assert clipping.rails.high == pytest.approx(0.25)
    yield from (clean[i : i + 1_000] for i in range(0, WIDE, 1_000))

  monkeypatch.setattr(full_band.declip, "declipped_blocks", declipped)
  # As if the network had restored its band.
  inner = scipy.signal.resample(clean, RATE)
  padded = np.pad(inner, ((0, RATE), (0, 0)))

  def network(chunk):
    return 3.0 * np.float32(padded[None, : chunk.shape[1]])

  output, outcome = _restore(paths, use_network(network), clipped)
  gain = np.linalg.norm(clipped) / np.linalg.norm(clean)
  error = np.linalg.norm(output - gain * clean) / np.linalg.norm(gain * clean)
  assert error < 0.02
  assert outcome.found["above_band"] == "the input, declipped by fast"


def test_a_network_without_estimates_starts_from_a_declipped_recording(
  monkeypatch,
):
  """What is above its band is that of the declipper."""
  clean = np.float32(pluck(0.3, 3_000.0, 2 * RATE)[None]) / 0.4
  audio = np.clip(clean, -1.0, 1.0)
  monkeypatch.setattr(
    consistent.declipping,
    "declipper",
    lambda name: lambda *_, **__: (1.5 * clean, None),
  )

  def network(inputs):
    # What the band has of the declipped recording: there is nothing to add.
    return consistent._resample(1.5 * clean, 2 * RATE, RATE)

  rails = consistent.Rails(np.array([[-1.0]]), np.array([[1.0]]))
  rates = 2 * RATE, RATE
  output = consistent.restore(
    audio, rails, function=network, declippers={}, rates=rates
  )
  expected = np.where(audio == clean, audio, 1.5 * clean)
  assert np.mean(audio != clean) > 0.05
  np.testing.assert_allclose(output, expected, atol=1e-5)


def test_a_network_that_keeps_samples_has_no_band_of_its_own(tmp_path):
  with pytest.raises(UserError, match="leave it out"):
    consistent.restore_file(
      tmp_path / "in.wav", tmp_path / "out.wav", tmp_path, None, band="model"
    )
