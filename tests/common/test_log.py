"""Progress: a bar on a terminal, log lines elsewhere."""

import sys

import pytest

from distortion_removal.common import log


@pytest.fixture
def lines(monkeypatch):
  logged = []
  monkeypatch.setattr(
    log.logger, "info", lambda text, *values: logged.append(text % values)
  )
  return logged


def _work(total, steps, is_shown=True):
  with log.Progress(
    total, "did %.0f %%", unit="frame", is_shown=is_shown
  ) as bar:
    for count in steps:
      bar.advance(count)


def test_a_log_line_for_every_tenth(lines, capsys):
  _work(1000, [1] * 1000)
  assert lines == [f"did {10 * i} %" for i in range(1, 11)]
  assert capsys.readouterr().err == ""


def test_large_steps_log_once_each(lines):
  _work(10, [5, 5])
  assert lines == ["did 50 %", "did 100 %"]


def test_a_bar_on_a_terminal(lines, capsys, monkeypatch):
  monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
  _work(4, [4])
  assert not lines
  assert "4/4" in capsys.readouterr().err


def test_nothing_where_it_is_not_asked_for(lines, capsys):
  _work(4, [4], is_shown=False)
  _work(0, [])
  assert not lines
  assert capsys.readouterr().err == ""
