"""Progress: a bar on a terminal, log lines elsewhere."""

import logging
import sys

import pytest

from distortion_removal.common import log


def _work(total, steps, is_shown=True):
  progress = log.Progress(total, "did %.0f %%", unit="x", is_shown=is_shown)
  with progress as bar:
    for count in steps:
      bar.advance(count)


@pytest.mark.parametrize(
  ("total", "steps", "is_shown", "percentages"),
  [
    (1000, [1] * 1000, True, range(10, 101, 10)),
    (10, [5, 5], True, [50, 100]),
    (4, [4], False, []),
    (0, [], True, []),
  ],
)
def test_a_log_line_for_every_tenth(
  caplog, capsys, total, steps, is_shown, percentages
):
  caplog.set_level(logging.INFO)
  _work(total, steps, is_shown)
  assert caplog.messages == [f"did {n} %" for n in percentages]
  assert capsys.readouterr().err == ""


def test_a_bar_on_a_terminal(caplog, capsys, monkeypatch):
  caplog.set_level(logging.INFO)
  monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
  _work(4, [4])
  assert not caplog.messages
  assert "4/4" in capsys.readouterr().err
