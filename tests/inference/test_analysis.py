"""What an analysis counts and estimates, on signals that are known."""

import numpy as np
import pytest
from support import saturated

from distortion_removal.audio import files
from distortion_removal.inference import analysis
from distortion_removal.inference.clipping import survey
from distortion_removal.inference.traces import trace

RATE = 8_000


@pytest.fixture(autouse=True)
def _no_search(monkeypatch):
  """Leaves out the search of effects, which takes seconds."""
  monkeypatch.setattr(analysis.blind, "find", lambda *_: [None])


def _tones(seconds, rate=RATE):
  """Three partials that beat, `[time, 1]`, with a peak of 1."""
  time = np.arange(round(seconds * rate)) / rate
  tones = sum(np.sin(2 * np.pi * f * time + f) for f in (110.0, 163.0, 247.0))
  return (tones / np.abs(tones).max())[:, None]


def _analyzed(audio, rate=RATE):
  with files.as_files(audio, rate) as (source, _):
    return analysis.analyze(source).content


def test_counts_and_spans():
  """Clipped in the second of 2, in those of 7 and 8, not elsewhere."""
  clean = _tones(10.0)
  audio = 0.1 * clean
  for start, stop in ((2, 3), (7, 9)):
    part = slice(start * RATE, stop * RATE)
    audio[part] = np.clip(clean[part], -0.4, 0.5)
  found = _analyzed(np.concatenate([audio, 0.1 * clean], axis=1))
  first, second = found["clipping"]["channels"]
  assert first["low"] == np.count_nonzero(audio == -0.4)
  assert first["high"] == np.count_nonzero(audio == 0.5)
  assert second == {"low": 0, "high": 0, "spans": []}
  at = np.flatnonzero(np.isin(audio, (-0.4, 0.5)))
  for span, (start, stop) in zip(first["spans"], ((2, 3), (7, 9)), strict=True):
    here = at[(at >= start * RATE) & (at < stop * RATE)]
    assert span["start_seconds"] == here[0] / RATE
    assert span["end_seconds"] == (here[-1] + 1) / RATE
    assert span["clipped_samples"] == len(here)


def test_spans_are_few_and_hold_all():
  rng = np.random.default_rng(0)
  first = np.sort(rng.choice(10**6, 500, replace=False))
  spots = np.stack([first, first + 3, np.full(500, 4)])
  spans = analysis._spans(spots, rate=100)
  assert len(spans) == 5
  assert sum(span["clipped_samples"] for span in spans) == 2_000
  starts = np.array([span["start_seconds"] for span in spans[1:]])
  ends = np.array([span["end_seconds"] for span in spans[:-1]])
  expected = np.sort(np.diff(first))[-4:] - 4
  np.testing.assert_allclose(np.sort(starts - ends), expected / 100)


@pytest.mark.parametrize("rate", [8_000, 44_100])
@pytest.mark.parametrize("level", [0.3, 0.5, 0.8])
def test_input_sdr(level, rate):
  """Peaks of so few partials are nearly parabolas."""
  clean = _tones(2.0, rate)
  clipped = np.clip(clean, -level, level)
  error = np.sum((clean - clipped) ** 2)
  sdr_db = 10 * np.log10(np.sum(clean**2) / error)
  found = _analyzed(clipped, rate)["clipping"]["input_sdr_db"]
  assert found == pytest.approx(sdr_db, abs=2.0)


def test_soft_clipping():
  sound = saturated.limited(saturated.music(), 0.12, 0.2)
  found = _analyzed(sound[:, None], saturated.RATE)["clipping"]
  assert found["clipped_samples"] == 0
  assert found["soft_low"] == [None]
  assert 0.55 * 0.2 < found["soft_high"][0] < 0.76 * 0.2


def test_levels():
  """A sine between whose samples lies its peak."""
  time = np.arange(2 * RATE)
  fade = np.minimum(1.0, np.minimum(time, time[::-1]) / 400)
  sine = 0.5 * fade * np.sin(np.pi / 2 * time + np.pi / 4)
  found = _analyzed((sine + 0.01)[:, None])
  levels = found["levels"]
  assert levels["dc"] == pytest.approx([0.01], abs=1e-4)
  top = 0.5 * 0.5**0.5 + 0.01
  assert levels["peak_dbfs"] == pytest.approx(20 * np.log10(top), abs=1e-3)
  assert levels["true_peak_dbtp"] == pytest.approx(
    20 * np.log10(0.51), abs=0.05
  )


def test_silence_has_no_levels():
  found = _analyzed(np.zeros((RATE, 1)))
  assert found["levels"] == {
    "peak_dbfs": None,
    "true_peak_dbtp": None,
    "loudness_lufs": None,
    "dc": [0.0],
  }
  assert found["clipping"]["input_sdr_db"] is None


def test_traces():
  """Of three blocks of a file, whose ends fall between the parts."""
  clean = np.concatenate([0.1 * _tones(15.0), 0.1 * _tones(3.0)])
  clean[80_000:80_400] *= 9.0
  audio = np.clip(clean, -0.5, 0.6)
  with files.as_files(audio, RATE) as (source, _):
    found = trace(source, survey(source))
  part = np.arange(len(audio)) * 1200 // len(audio)
  for k in (0, 547, 667, 1199):
    here = audio[part == k, 0]
    assert (found.low[0, k], found.high[0, k]) == (here.min(), here.max())
    assert found.is_low[0, k] == (here.min() == -0.5)
    assert found.is_high[0, k] == (here.max() == 0.6)
  np.testing.assert_array_equal(
    found.counts[0], np.histogram(audio, found.edges)[0]
  )
  assert found.counts.sum() == len(audio)
  assert found.levels == [[-0.5, 0.6]]
  start, end = found.spot_seconds
  assert 10.0 - 0.02 < start < end < 10.05 + 0.02
  where = slice(round(start * RATE), round(end * RATE))
  np.testing.assert_array_equal(found.spot[0], audio[where, 0])
