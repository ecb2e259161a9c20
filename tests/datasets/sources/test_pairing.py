"""Pairs made by devices of which everything is known."""

import numpy as np
import pytest
import scipy.signal
import soxr

from distortion_removal.datasets.sources import pairing

RATE = 16_000


def take(seconds=6.0, seed=0):
  """Plucked notes `[time, 1]`: a noisy attack and decaying partials."""
  rng = np.random.default_rng(seed)
  audio = np.zeros(round(seconds * RATE))
  for start in range(0, len(audio), RATE // 3):
    time_s = np.arange(min(RATE, len(audio) - start)) / RATE
    pitch_hz = 82.4 * 2 ** (rng.integers(30) / 12)
    note = 0.3 * rng.standard_normal(len(time_s)) * np.exp(-80 * time_s)
    for k in range(1, 12):
      phase = 2 * np.pi * (k * pitch_hz * time_s + rng.random())
      note += np.exp(-1.5 * k * time_s) * np.sin(phase) / k
    audio[start : start + len(note)] += note
  return np.float32(0.5 * audio / np.abs(audio).max())[:, None]


def delay(audio, samples):
  """Band-limited, by any number of samples, with zeros in front."""
  whole, padded = round(samples), np.pad(audio, ((1_000, 1_000), (0, 0)))
  frequency = np.fft.rfftfreq(len(padded))[:, None]
  turn = np.exp(-2j * np.pi * frequency * (samples - whole))
  moved = np.fft.irfft(np.fft.rfft(padded, axis=0) * turn, len(padded), axis=0)
  moved = moved[1_000:-1_000]
  if whole < 0:
    return np.float32(moved[-whole:])
  return np.float32(np.pad(moved, ((whole, 0), (0, 0))))


def pedal(audio, drive=30.0):
  """Overdrive between filters of little delay, 12 dB quieter."""
  high = scipy.signal.butter(1, 80, "high", fs=RATE, output="sos")
  low = scipy.signal.butter(1, 5_000, fs=RATE, output="sos")
  driven = np.tanh(drive * scipy.signal.sosfilt(high, audio, axis=0))
  return np.float32(0.25 * scipy.signal.sosfilt(low, driven, axis=0))


def analysed(clean, output):
  found = pairing.analyse(clean, output, RATE)
  return found, pairing.fault(found, RATE)


def tone():
  time_s = np.arange(4 * RATE) / RATE
  return np.float32(np.sin(2 * np.pi * 200.0 * time_s))[:, None]


@pytest.mark.parametrize("lag", [0, 41.5, 4_000.0, -300.4])
@pytest.mark.parametrize(("polarity", "channels"), [(1, 1), (-1, 2)])
def test_lag_and_polarity_of_an_overdriven_output(lag, polarity, channels):
  clean = np.concatenate([take(seed=seed) for seed in range(channels)], axis=1)
  output = polarity * delay(pedal(clean), lag)
  found, fault = analysed(clean, output)
  assert fault is None
  assert abs(found.lag_samples - lag) <= 1
  assert found.polarity == polarity
  assert abs(found.drift_ppm) < 2
  aligned, degraded = pairing.align(clean, output, found)
  assert len(aligned) == len(degraded) >= 6 * RATE - abs(lag) - 1
  assert np.sum(aligned**2) == pytest.approx(np.sum(degraded**2), rel=1e-4)
  alike = pedal(aligned)
  energy = np.sum(alike**2) * np.sum(degraded**2)
  assert np.sum(alike * degraded) > 0.95 * np.sqrt(energy)


def test_files_cut_in_mid_sound_do_not_align_at_their_edges():
  """Untapered, whitened edges win: lag 0 instead of 25, and inverted."""
  rng = np.random.default_rng(3)
  time_s = np.arange(5 * RATE) / RATE
  tone = sum(
    np.sin(2 * np.pi * (k * 110.3 * time_s + rng.random())) / k
    for k in range(1, 12)
  )
  clean = np.float32(tone * np.exp(-0.4 * time_s))[:, None]
  clean += np.float32(3e-3 * rng.standard_normal(clean.shape))
  output = delay(pedal(clean), 25)
  starts = [n for n in range(100, 400) if clean[n, 0] * output[n, 0] < -0.2]
  start = max(starts, key=lambda n: abs(clean[n, 0] * output[n, 0]))
  clean, output = clean[start : 4 * RATE], output[start : 4 * RATE]

  size = 2 * len(clean)
  spectra = [np.fft.rfft(x[:, 0], size) for x in (output, clean)]
  cross = spectra[0] * spectra[1].conj()
  plain = np.fft.irfft(cross / np.abs(cross), size)
  assert np.abs(plain).argmax() == 0
  assert plain[0] < 0
  found, fault = analysed(clean, output)
  assert abs(found.lag_samples - 25) <= 1
  assert found.polarity == 1
  assert fault is None


@pytest.mark.parametrize(
  ("seconds", "device", "drift_ppm"),
  [
    (30.0, pedal, 50.0),
    (30.0, pedal, -50.0),
    (30.0, pedal, 200.0),
    # 250 µs from end to end are the limit: 25 ppm in 10 s.
    (11.0, np.positive, 5.0),
    (11.0, np.positive, 20.0),
    (11.0, np.positive, 30.0),
  ],
)
def test_drift_is_measured_and_refused(seconds, device, drift_ppm):
  clean = take(seconds)
  output = soxr.resample(device(clean), 1e6, 1e6 + drift_ppm, quality="VHQ")
  found, fault = analysed(clean, output)
  assert found.drift_ppm == pytest.approx(drift_ppm, rel=0.05, abs=1.5)
  # Between the middle and the centres of the outermost windows.
  away = abs(drift_ppm) * 1e-6 * (seconds / 2 - 0.5) * RATE
  assert found.deviation_samples == pytest.approx(away, abs=1.0)
  drift = f"drift {found.drift_ppm:+.1f} ppm"
  assert fault is None if 0 < drift_ppm < 25 else drift in fault


@pytest.mark.parametrize("missing", [64, 192])
def test_samples_lost_on_the_way_are_noticed(missing):
  clean = take(8.0)
  output = pedal(clean)
  output = np.delete(output, slice(60_000, 60_000 + missing), axis=0)
  found, fault = analysed(clean, output)
  assert found.deviation_samples == pytest.approx(missing, abs=1)
  assert "the lag does not stay" in fault


def melody(seed):
  """Twelve held notes of a whole-tone scale, `[time, 1]`."""
  rng = np.random.default_rng(seed)
  partials, time_s = np.arange(1, 31)[:, None], np.arange(RATE) / RATE
  notes = []
  for _ in range(12):
    pitch_hz = 110 * 2 ** (rng.integers(5) / 6)
    turns = partials * pitch_hz * time_s + rng.random(partials.shape)
    notes.append((np.sin(2 * np.pi * turns) / partials).sum(0))
  audio = np.concatenate([note * np.exp(-time_s) for note in notes])
  return np.float32(0.5 * audio / np.abs(audio).max())[:, None]


@pytest.mark.parametrize("seeds", [(8, 16), (9, 0), (16, 14)])
def test_two_notes_of_one_pitch_do_not_make_a_pair(seeds):
  """A clear and lasting lag, but of two to four windows alone."""
  clean, output = (melody(seed) for seed in seeds)
  found, fault = analysed(clean, pedal(output))
  assert found.clarity > 15
  assert found.rival < 0.85
  assert found.deviation_samples < 2
  assert found.windows in (22, 23)
  assert fault.startswith("no lag fits, of up to 0.5 s")
  windows = f"{found.clear_windows} clear windows of {found.windows}"
  assert fault.endswith(f"{windows}, 7 and 6 are needed")


def test_pauses_do_not_count_as_windows():
  """Of 47 windows 7 hold the take, and the others each side's own hiss."""
  clean = np.pad(take(4.0), ((0, 20 * RATE), (0, 0)))
  hiss = 1e-5 * np.random.default_rng(0).standard_normal((2, *clean.shape))
  found, fault = analysed(*np.float32(hiss + np.stack([clean, pedal(clean)])))
  assert found.windows in (7, 8)
  assert 6 <= found.clear_windows < 47 / 4
  assert fault is None


def test_windows_that_the_output_lacks_do_not_count():
  clean = take(30.0)
  found, fault = analysed(clean, pedal(clean)[: 4 * RATE])
  assert found.windows == found.clear_windows == 7
  assert fault is None


@pytest.mark.parametrize(
  ("clean", "output"),
  [
    (take(), np.zeros((6 * RATE, 1), np.float32)),
    (np.zeros((6 * RATE, 1), np.float32), take()),
    (take()[:20_000], take()),
  ],
)
def test_silent_and_short_recordings_are_refused(clean, output):
  fault = "silent, or less than 2 s in common"
  assert analysed(clean, output) == (None, fault)


def test_gain_and_residual_of_known_noise():
  """Noise of the signal's energy: a correlation of 1/sqrt(2)."""
  clean = take(8.0)
  rng = np.random.default_rng(0)
  noise = rng.standard_normal(clean.shape) * np.sqrt(np.mean(clean**2))
  found, _ = analysed(clean, np.float32(0.1 * (clean + noise)))
  assert found.lag_samples == 0
  assert found.gain_db == pytest.approx(20 - 10 * np.log10(2), abs=0.1)
  expected = 10 * np.log10(2 - np.sqrt(2))
  assert found.residual_db == pytest.approx(expected, abs=0.1)


@pytest.mark.parametrize(
  ("clean", "output"),
  [
    *((take(), pedal(take(seed=seed))) for seed in range(1, 4)),
    (tone(), np.tanh(9 * tone())),
    # Sides that never sound together.
    (
      np.pad(take(4.0), ((0, 16 * RATE), (0, 0))),
      np.pad(take(4.0), ((16 * RATE, 0), (0, 0))),
    ),
  ],
)
def test_what_fits_nowhere_or_anywhere_is_refused(clean, output):
  _, fault = analysed(clean, output)
  assert fault.startswith(("no lag fits", "ambiguous"))
