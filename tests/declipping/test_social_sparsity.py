"""Social sparsity and its frame against plain NumPy versions."""

import jax
import numpy as np
import pytest
from scipy.ndimage import uniform_filter

from distortion_removal.common.errors import UserError
from distortion_removal.declipping.gabor import Gabor
from distortion_removal.declipping.social_sparsity import FAST, social_sparsity
from distortion_removal.declipping.social_sparsity.shrinkage import Shrinkage

FRAME, HOP = 32, 8
# Programs are compiled for multiples of 2 frames: for few lengths here.
TIME, WHOLE = 8 * FRAME - 56, 64 * FRAME
SMALL = {
  "frame": FRAME,
  "hop": HOP,
  "neighbourhood": (3, 5),
  "lambdas": (0.08, 0.03, 0.01),
  "iterations": 15,
  "tolerance": 3e-3,
  "precision": "float64",
}


def tones(batch=1, time=TIME, channels=1, seed=0):
  """Three decaying sines per channel, peak about 1."""
  rng = np.random.default_rng(seed)
  n = np.arange(time)[:, None]
  sound = np.zeros((batch, time, channels))
  for item, channel in np.ndindex(batch, channels):
    pitch, phase = rng.uniform(0.02, 0.15, 3), rng.uniform(0, 6, 3)
    sines = np.sin(2 * np.pi * pitch * n + phase) * np.exp(-n / time)
    sound[item, :, channel] = sines @ [0.5, 0.3, 0.2]
  return sound


def matrix(gabor, time):
  """Analysis written out, `[frames, bins, time]` at all frequencies."""
  frame, hop, size = gabor.frame, gabor.hop, gabor.frame * gabor.redundancy
  rows = []
  for start in range(0 if gabor.circular else hop - frame, time, hop):
    rows.append(np.zeros((size, time), complex))
    for n in range(frame):
      if not gabor.circular and not 0 <= start + n < time:
        continue
      shifts = np.arange(n % hop, frame, hop)
      norm = np.sum(np.sin(np.pi * shifts / frame) ** 4)
      window = np.sin(np.pi * n / frame) ** 2 / np.sqrt(norm * size)
      turn = np.exp(-2j * np.pi * np.arange(size) * n / size)
      rows[-1][:, (start + n) % time] = window * turn
  return np.array(rows)


@pytest.mark.parametrize(
  "sizes",
  [(16, 4, 2), (12, 6, 1), (8, 2, 3), (16, 4, 2, True), (48, 6, 1, True)],
)
def test_the_frame_is_its_matrix(sizes):
  gabor, time, rng = Gabor(*sizes), 48, np.random.default_rng(0)
  analysis = matrix(gabor, time)
  bins = analysis.shape[1] // 2 + 1
  synthesis = analysis.reshape(-1, time).conj().T
  identity = synthesis @ synthesis.conj().T  # of a Parseval frame
  np.testing.assert_allclose(identity, np.eye(time), atol=1e-12)
  signal = rng.standard_normal(time)
  # Not of the frame's range: synthesis as the adjoint.
  spectrum = np.fft.fft(rng.standard_normal(analysis.shape[:2]))
  with jax.enable_x64(True):
    found = jax.jit(gabor.analysis)(signal)
    np.testing.assert_allclose(found, (analysis @ signal)[:, :bins], atol=1e-12)
    found = jax.jit(gabor.synthesis)(spectrum[:, :bins])
  expected = (synthesis @ spectrum.ravel()).real
  np.testing.assert_allclose(found, expected, atol=1e-12)


def shrink(operator, neighbourhood, c, threshold):
  """Shrinks `[frames, bins]`, from zero to the Nyquist frequency."""
  energy = abs(c) ** 2
  if operator in ("wgl", "pew"):
    bins, frames = neighbourhood
    energy = uniform_filter(energy, (frames, bins), mode="reflect")
  ratio = threshold / np.sqrt(np.maximum(energy, 1e-30))
  loss = ratio if operator in ("lasso", "wgl") else ratio**2
  return c * np.maximum(0, 1 - loss)


@pytest.mark.parametrize("operator", ["lasso", "wgl", "ew", "pew"])
@pytest.mark.parametrize("neighbourhood", [(3, 7), (5, 1)])
def test_shrinkage_is_by_the_mean_of_neighbours(operator, neighbourhood):
  c = np.fft.rfft(np.random.default_rng(0).standard_normal((10, 16)))
  c[3:5, 2] = 0
  threshold = np.sqrt(np.mean(abs(c) ** 2))
  expected = shrink(operator, neighbourhood, c, threshold)
  with jax.enable_x64(True):
    shrinkage = Shrinkage(operator, neighbourhood)
    found = jax.jit(shrinkage.__call__)(c, threshold)
  np.testing.assert_allclose(found, expected, atol=1e-12)
  assert 0.1 < np.mean(np.asarray(found) == 0) < 0.9


class Circle:
  """The frame of the survey in NumPy: a whole signal, in a circle."""

  def __init__(self, time):
    self.time, self.size = time, 2 * FRAME
    starts = np.arange(0, time, HOP)[:, None]
    self.places = (starts + np.arange(FRAME)) % time
    hann = np.sin(np.pi * np.arange(FRAME) / FRAME) ** 2
    # The squares of the shifted windows add up to 3 / 8 of those of a hop.
    self.window = hann / np.sqrt(3 / 8 * FRAME / HOP)

  def analysis(self, x):
    return np.fft.rfft(x[self.places] * self.window, self.size, norm="ortho")

  def synthesis(self, c):
    frames = np.fft.irfft(c, self.size, norm="ortho")[:, :FRAME]
    x = np.zeros(self.time)
    np.add.at(x, self.places, frames * self.window)
    return x


def written_out(y, rails, options, relaxation=None):
  """The authors' iteration; returns signal, iterations, and samples astray."""
  frame = Circle(-(-len(y) // (2 * FRAME)) * 2 * FRAME)
  y = np.pad(y, (0, frame.time - len(y)))
  above, below = y >= rails[1], y <= rails[0]
  rail = np.where(above, rails[1], rails[0])
  astray = 0
  x = np.zeros_like(y) if relaxation is None else y
  c = frame.analysis(x)
  counts = []
  x_old, c_old = x, c
  for threshold in options["lambdas"]:
    for k in range(1, options["iterations"] + 1):
      gamma = (k - 1) / (k + 5) if relaxation is None else relaxation
      z, z_signal = c + gamma * (c - c_old), x + gamma * (x - x_old)
      r = y - z_signal
      is_near = (rails[0] <= z_signal) & (z_signal <= rails[1])
      r[above | below] = np.where(is_near, rail - z_signal, 0)[above | below]
      astray += np.sum(~is_near & (above | below) & (rail * z_signal < 0))
      x_old, c_old = x, c
      c = shrink(
        "pew", options["neighbourhood"], z + frame.analysis(r), threshold
      )
      x = frame.synthesis(c)
      if np.linalg.norm(x - x_old) < options["tolerance"]:
        break
    counts.append(k)
  return x, counts, astray


def snr_db(estimate, target):
  error = np.float64(estimate) - target
  return 10 * np.log10(np.sum(target**2) / np.sum(error**2))


@pytest.mark.parametrize("relaxation", [None, 0.9])
def test_equals_the_authors_steps_written_out(relaxation):
  """Also where a sample is beyond the wrong rail: nothing draws it back."""
  rails = -0.05, 0.07
  noise = np.random.default_rng(0).standard_normal((1, TIME, 1))
  audio = np.clip(tones() + 0.05 * noise, *rails)
  restored, info = social_sparsity(audio, rails, **SMALL, relaxation=relaxation)
  y = audio[0, :, 0]
  expected, counts, astray = written_out(y, rails, SMALL, relaxation)
  np.testing.assert_allclose(restored[0, :, 0], expected[:TIME], atol=1e-12)
  assert info.iterations.tolist() == [[[counts]]]
  assert min(counts) < max(counts) == SMALL["iterations"]
  assert (astray > 0) == (relaxation is not None)


def test_a_batch_is_its_channels_one_by_one():
  audio = np.clip(tones(batch=2, time=WHOLE + TIME, channels=2), -0.5, 0.5)
  audio[1, :, 1] *= 0.9  # not clipped, given the level
  together, info = social_sparsity(audio, 0.5, **SMALL)
  assert info.iterations.shape == (2, 2, 2, 3)
  for item, channel in np.ndindex(2, 2):
    alone = audio[item, :, channel][None, :, None]
    restored, part = social_sparsity(alone, 0.5, **SMALL)
    np.testing.assert_array_equal(restored[0, :, 0], together[item, :, channel])
    count = info.iterations[item, channel]
    np.testing.assert_array_equal(part.iterations[0, 0], count)
  np.testing.assert_array_equal(together[1, :, 1], audio[1, :, 1])
  assert not np.any(info.iterations[1, 1])


def test_a_batch_on_an_accelerator_is_the_same(monkeypatch):
  """Slots that have settled wait unchanged, and empty ones do nothing."""
  audio = np.clip(tones(batch=3), -0.5, 0.5)
  expected, info = social_sparsity(audio, 0.5, **SMALL)
  monkeypatch.setattr("jax.default_backend", lambda: "gpu")
  restored, other = social_sparsity(audio, 0.5, **SMALL)
  np.testing.assert_allclose(restored, expected, atol=1e-12)
  np.testing.assert_array_equal(other.iterations, info.iterations)
  assert len(set(info.iterations.reshape(3, -1).sum(axis=1))) > 1


def test_relative_thresholds_scale_with_the_audio():
  audio = np.clip(tones(), -0.4, 0.5)
  options = SMALL | {"relative": True}
  at_one, _ = social_sparsity(audio, (-0.4, 0.5), **options)
  scaled, _ = social_sparsity(8 * audio, (-3.2, 4.0), **options)
  np.testing.assert_allclose(scaled, 8 * at_one, atol=1e-12)
  # They are those of the audio at a rail of 1.
  absolute, _ = social_sparsity(2 * audio, (-0.8, 1.0), **SMALL)
  np.testing.assert_allclose(at_one, absolute / 2, atol=1e-12)
  assert snr_db(social_sparsity(audio, 0.5, **SMALL)[0], at_one) < 60


@pytest.mark.e2e
def test_comes_nearer_to_the_clean_signal():
  clean = tones(time=4000, seed=1)
  audio = np.clip(clean, -0.35, 0.35).astype(np.float32)
  options = {"frame": 256, "hop": 64, "iterations": 60}
  restored, info = social_sparsity(audio, **options)
  assert restored.dtype == np.float32
  np.testing.assert_allclose(info.rails.high, 0.35, rtol=1e-6)
  before, after = snr_db(audio, clean), snr_db(restored, clean)
  assert after > before + 15
  double, _ = social_sparsity(audio, precision="float64", **options)
  assert double.dtype == np.float64
  assert snr_db(restored, double) > 60
  # PEW is the better operator, as in the survey.
  single, _ = social_sparsity(audio, shrinkage="ew", **options)
  assert before < snr_db(single, clean) < after
  fast, info = social_sparsity(audio, **(options | FAST))
  assert info.iterations.sum() <= 500
  assert snr_db(fast, clean) > before + 15
  is_reliable = abs(audio) < np.float32(0.35)
  back, _ = social_sparsity(audio, crossfade=0, **options)
  np.testing.assert_array_equal(back[is_reliable], audio[is_reliable])
  beyond = np.maximum(abs(restored), abs(audio)) * np.sign(audio)
  np.testing.assert_array_equal(back[~is_reliable], beyond[~is_reliable])
  assert np.any(beyond != restored)


def test_segments_join_without_a_trace():
  """Where two segments meet, the result is as good as elsewhere."""
  clean = tones(time=70 * FRAME)
  restored, info = social_sparsity(np.clip(clean, -0.5, 0.5), 0.5, **SMALL)
  assert info.iterations.shape[2] == 2
  error = (restored - clean)[0, :, 0] ** 2
  seam = error[34 * FRAME : 36 * FRAME]
  assert np.mean(seam) < 1.5 * np.mean(error)


def test_segments_without_clipping_stay_and_cost_nothing():
  audio = 0.4 * tones(time=100 * FRAME)
  audio[0, 10:13] = 0.5
  restored, info = social_sparsity(audio, 0.5, **SMALL)
  assert np.count_nonzero(info.iterations.sum(axis=-1)) == 1
  np.testing.assert_array_equal(restored[:, WHOLE:], audio[:, WHOLE:])
  assert np.any(restored != audio)


@pytest.mark.parametrize("precision", ["float32", "float64"])
@pytest.mark.parametrize("time", [0, 1, 300])
def test_audio_that_is_not_clipped_comes_back(precision, time):
  options = SMALL | {"precision": precision}
  for audio in (tones(time=time), np.zeros((1, time, 2))):
    audio = audio.astype(precision)
    restored, _ = social_sparsity(audio, **options)
    np.testing.assert_array_equal(restored, audio)
    assert restored.dtype == precision


def test_all_samples_at_the_rails():
  """Only what is beyond the rails satisfies the recording."""
  steps = np.where(np.sin(np.arange(TIME) / 5) > 0, 0.5, -0.5)
  options = SMALL | {"lambdas": (0.02, 0.002, 0.0002), "iterations": 200}
  for signal in (steps, np.full(TIME, 0.5), np.full(1, -0.5)):
    restored, _ = social_sparsity(signal[None, :, None], 0.5, **options)
    excess = restored[0, :, 0] * np.sign(signal) - 0.5
    assert np.all((excess > -0.02) & (excess < 5))


@pytest.mark.parametrize(
  ("options", "message"),
  [
    ({"shrinkage": "hard"}, "shrinkage 'hard'.*ew, lasso, pew, wgl"),
    ({"neighbourhood": (2, 7)}, r"\(2, 7\)"),
    ({"neighbourhood": (3,)}, r"\(3,\)"),
    ({"hop": 12}, "hop 12"),
    ({"lambdas": (0.1, 0.0)}, "lambdas"),
    ({"iterations": 0}, "iterations must"),
    ({"relaxation": 1.0}, "relaxation 1.0"),
    ({"precision": "float16"}, "'float16'"),
    ({"crossfade": -1}, "crossfade of -1"),
  ],
)
def test_mistakes_are_refused(options, message):
  with pytest.raises(UserError, match=message):
    social_sparsity(np.zeros((1, 0, 1)), 0.5, **(SMALL | options))
