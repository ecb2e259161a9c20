"""Social sparsity and its frame against matrices written out in NumPy."""

import jax
import numpy as np
import pytest

from distortion_removal.common.errors import UserError
from distortion_removal.declipping.gabor import Gabor
from distortion_removal.declipping.social_sparsity import social_sparsity
from distortion_removal.declipping.social_sparsity.shrinkage import Shrinkage

FRAME, HOP = 32, 8
# Programs are compiled for multiples of 4 frames: for few lengths here.
TIME, WHOLE = 8 * FRAME - 56, 32 * FRAME
SMALL = {
  "frame": FRAME,
  "hop": HOP,
  "neighbourhood": (3, 5),
  "lambdas": (0.3, 0.1, 0.03),
  "iterations": 15,
  "tolerance": 1e-2,
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
  for start in range(hop - frame, time, hop):
    rows.append(np.zeros((size, time), complex))
    for n in range(max(0, -start), min(frame, time - start)):
      shifts = np.arange(n % hop, frame, hop)
      norm = np.sum(np.sin(np.pi * shifts / frame) ** 4)
      window = np.sin(np.pi * n / frame) ** 2 / np.sqrt(norm * size)
      turn = np.exp(-2j * np.pi * np.arange(size) * n / size)
      rows[-1][:, start + n] = window * turn
  return np.array(rows)


@pytest.mark.parametrize("sizes", [(16, 4, 2), (12, 6, 1), (8, 2, 3)])
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
  """Shrinks `[frames, size]`, all frequencies; bins lie in a circle."""
  is_social = operator in ("wgl", "pew")
  bins, frames = neighbourhood if is_social else (1, 1)
  padded = np.pad(abs(c) ** 2, ((frames // 2, frames // 2), (0, 0)))
  energy = sum(
    np.roll(padded[t : t + len(c)], f - bins // 2, axis=1)
    for t in range(frames)
    for f in range(bins)
  )
  ratio = threshold / np.sqrt(np.maximum(energy, 1e-30))
  loss = ratio if operator in ("lasso", "wgl") else ratio**2
  return c * np.maximum(0, 1 - loss)


@pytest.mark.parametrize("operator", ["lasso", "wgl", "ew", "pew"])
@pytest.mark.parametrize("neighbourhood", [(3, 7), (5, 1)])
def test_shrinkage_equals_that_of_the_whole_spectrum(operator, neighbourhood):
  whole = np.fft.fft(np.random.default_rng(0).standard_normal((10, 16)))
  whole[3:5, 2] = whole[3:5, -2] = 0
  count = np.prod(neighbourhood) if operator in ("wgl", "pew") else 1
  threshold = np.sqrt(count * np.mean(abs(whole) ** 2))
  expected = shrink(operator, neighbourhood, whole, threshold)[:, :9]
  with jax.enable_x64(True):
    shrinkage = Shrinkage(operator, neighbourhood)
    found = jax.jit(shrinkage.__call__)(whole[:, :9], threshold)
  np.testing.assert_allclose(found, expected, atol=1e-12)
  assert 0.1 < np.mean(np.asarray(found) == 0) < 0.9


def written_out(y, low, high, options):
  """One channel of whole segments; returns signal and iterations."""
  time = -(-len(y) // (4 * FRAME)) * 4 * FRAME
  analysis = matrix(Gabor(FRAME, HOP, 2), time)[..., : len(y)].copy()
  synthesis = analysis.reshape(-1, len(y)).conj().T
  c = analysis @ np.clip(y, low, high)
  counts = []
  for threshold in options["lambdas"]:
    previous, count = c, 0
    while count < options["iterations"]:
      z = c + 0.9 * (c - previous)
      x = (synthesis @ z.ravel()).real
      residual = np.where(y >= high, np.minimum(x - high, 0), x - y)
      residual = np.where(y <= low, np.maximum(x - low, 0), residual)
      previous, c = c, z - analysis @ residual
      c = shrink("pew", options["neighbourhood"], c, threshold)
      count += 1
      half = c[:, : FRAME + 1], (c - previous)[:, : FRAME + 1]
      norm, change = (np.linalg.norm(x) for x in half)
      if change <= options["tolerance"] * norm:
        break
    counts.append(count)
  return (synthesis @ c.ravel()).real, counts


def snr_db(estimate, target):
  error = np.float64(estimate) - target
  return 10 * np.log10(np.sum(target**2) / np.sum(error**2))


def test_equals_matrices_written_out():
  low, high = -0.35, 0.5
  audio = np.clip(tones(), low, high)
  restored, info = social_sparsity(audio, (low, high), **SMALL)
  expected, counts = written_out(audio[0, :, 0], low, high, SMALL)
  np.testing.assert_allclose(restored[0, :, 0], expected, atol=1e-12)
  assert info.iterations.tolist() == [[[counts]]]
  assert min(counts) < max(counts) == SMALL["iterations"]


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
  # PEW is the better operator, as in the survey.
  single, _ = social_sparsity(audio, shrinkage="ew", **options)
  assert before < snr_db(single, clean) < after
  faded, _ = social_sparsity(audio, crossfade=0, **options)
  is_reliable = abs(audio) < np.float32(0.35)
  np.testing.assert_array_equal(faded[is_reliable], audio[is_reliable])
  np.testing.assert_array_equal(faded[~is_reliable], restored[~is_reliable])


def test_segments_join_without_a_trace():
  """Where three segments meet, the result is as good as elsewhere."""
  clean = tones(time=70 * FRAME)
  restored, info = social_sparsity(np.clip(clean, -0.5, 0.5), 0.5, **SMALL)
  assert info.iterations.shape[2] == 3
  error = (restored - clean)[0, :, 0] ** 2
  for seam in (31 * FRAME, 61 * FRAME):
    assert np.mean(error[seam - FRAME : seam + FRAME]) < 1.5 * np.mean(error)


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
  options = SMALL | {"lambdas": (0.1, 0.01, 0.001), "iterations": 200}
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
