"""Segments: what they cover, and weights that add up to one."""

import numpy as np
import pytest

from distortion_removal.declipping.segments import (
  Cut,
  Segment,
  group_segments,
  pad_short,
)

CUT = Cut(longest=12, step=4, shared=3)


@pytest.mark.parametrize("time", [1, 4, 11, 12, 13, 21, 22, 40, 100])
def test_weights_add_up_to_one(time):
  segments = CUT.segments(np.ones((1, time, 1), bool))
  total = np.zeros((1, time, 1))
  for segment in segments:
    segment.of(total)[:] += CUT.weight(segment, time)
  np.testing.assert_allclose(total, 1, atol=1e-12)
  assert [s.index for s in segments] == list(range(len(CUT.spans(time))))
  lengths = np.array([s.stop - s.start for s in segments])
  padded = np.array([s.length for s in segments])
  assert np.all((lengths <= padded) & (padded < lengths + 4))
  assert np.all((padded <= 12) & (padded % 4 == 0))
  # Only the last is short, and it has samples of its own.
  assert all(s.length == 12 for s in segments[:-1])
  assert len(segments) == 1 or segments[-1].stop > segments[-2].stop


def test_only_wanted_samples_make_segments():
  is_wanted = np.zeros((2, 30, 2), bool)
  is_wanted[0, 2, 1] = is_wanted[1, 10, 0] = is_wanted[1, 29, 0] = True
  # Spans 0–12, 9–21, 18–30: sample 10 is in the first two.
  assert CUT.spans(30) == [(0, 12), (9, 21), (18, 30)]
  assert CUT.segments(is_wanted) == [
    Segment(0, 1, 0, 0, 12, 12),
    Segment(1, 0, 0, 0, 12, 12),
    Segment(1, 0, 1, 9, 21, 12),
    Segment(1, 0, 2, 18, 30, 12),
  ]


def test_groups_are_of_one_length():
  lengths = (12, 12, 12, 4, 4)
  segments = [Segment(0, 0, i, 0, n, n) for i, n in enumerate(lengths)]
  found = [[s.index for s in group] for group in group_segments(segments, 2)]
  assert found == [[0, 1], [2], [3, 4]]


@pytest.mark.parametrize("time", [1, 9, 12, 13, 30, 45, 1000])
def test_even_cuts_have_no_short_end(time):
  """As many segments as at full length, or fewer, to a step each."""
  cut = Cut(longest=12, step=2, shared=4)
  even = cut.evenly(time)
  lengths = [stop - start for start, stop in even.spans(time)]
  assert len(lengths) <= len(cut.spans(time))
  assert set(lengths[:-1]) <= {even.longest}
  assert even.longest <= 12
  slack = len(lengths) * cut.step
  assert 0 <= even.longest - lengths[-1] < slack


def test_recordings_of_one_segment_are_padded_to_few_lengths():
  cut = Cut(longest=80, step=2, shared=4)
  lengths = {}
  for time in range(1, 81):
    padded = pad_short(np.ones((3, time)), time, cut)
    assert padded.sum() == 3 * time and np.all(padded[:, :time] == 1)
    lengths.setdefault(padded.shape[1], []).append(time)
  assert {k: max(v) for k, v in lengths.items()} == {
    k: k for k in (16, 24, 32, 40, 48, 56, 64, 80)
  }
  # A segment of several.
  assert pad_short(np.ones(50), 90, cut).shape == (50,)
