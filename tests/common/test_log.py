"""Streams that take any name, and end; progress: a bar, or log lines."""

import io
import logging
import os
import sys

import pytest

from distortion_removal.common import log
from distortion_removal.common.errors import UserError, one_line_errors


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


def test_any_name_is_printed_and_logged(monkeypatch):
  """In a locale that has ASCII alone."""
  streams = [io.TextIOWrapper(io.BytesIO(), encoding="ascii") for _ in "oe"]
  for name, stream in zip(("stdout", "stderr"), streams, strict=True):
    monkeypatch.setattr(sys, name, stream)
  with one_line_errors():
    log.setup()
    log.say("restored: café \udce9.wav")
    log.logger.info("%s: 音\nerror: none", "\udce9.wav")
  out, err = (s.buffer.getvalue().decode() for s in streams)
  assert out == "restored: caf\\xe9 \\udce9.wav\n"
  assert err.endswith(" \\xe9.wav: \\u97f3\\nerror: none\n")
  assert err.count("\n") == 1


@pytest.mark.parametrize(
  "error",
  [
    UserError("a\n\udce9.wav: not audio"),
    FileNotFoundError(2, "not audio", "a\n\udce9.wav"),
    FileNotFoundError(2, "not audio", b"a\n\xe9.wav"),
  ],
)
def test_an_error_is_one_line_whatever_name_it_holds(error):
  with pytest.raises(SystemExit) as caught, one_line_errors():
    raise error
  assert caught.value.code == r"error: a\n\xe9.wav: not audio"


def _write_end(kind):
  """A stream that no one reads, or on a disk that is full."""
  if kind == "full":
    return open("/dev/full", "w")
  read_end, write_end = os.pipe()
  os.close(read_end)
  return os.fdopen(write_end, "w")


needs_full_disk = pytest.param(
  "full",
  marks=pytest.mark.skipif(
    not os.path.exists("/dev/full"), reason="needs /dev/full"
  ),
)


@pytest.mark.parametrize("kind", ["closed", needs_full_disk])
@pytest.mark.parametrize("printed", [log.say, print])
def test_stdout_that_ends(monkeypatch, kind, printed):
  """A reader that has enough is no error, a full disk is one; neither twice."""
  stream = _write_end(kind)
  monkeypatch.setattr(sys, "stdout", stream)
  with pytest.raises(SystemExit) as caught, one_line_errors():
    printed("restored")
  if kind == "closed":
    assert caught.value.code == 0
  else:
    assert "no space left on the disk" in caught.value.code
    assert "standard output" in caught.value.code
  stream.close()  # As Python does at its end.


def test_an_error_is_not_hidden_by_a_stdout_that_is_closed(monkeypatch):
  monkeypatch.setattr(sys, "stdout", _write_end("closed"))
  with pytest.raises(SystemExit) as caught, one_line_errors():
    print("half of it")
    raise UserError("no such file")
  assert caught.value.code == "error: no such file"
  sys.stdout.close()


@pytest.mark.parametrize("kind", ["closed", needs_full_disk])
def test_the_work_goes_on_where_no_one_reads_the_log(monkeypatch, capsys, kind):
  stream = _write_end(kind)
  monkeypatch.setattr(sys, "stderr", stream)
  with one_line_errors():
    log.setup()
    for _ in range(2):
      log.logger.info("half done")
    log.say("done")
  assert capsys.readouterr().out == "done\n"
  stream.close()


def test_streams_that_the_caller_closed(monkeypatch):
  for name in ("stdout", "stderr"):
    monkeypatch.setattr(sys, name, None)
  with one_line_errors():
    log.setup()
    log.logger.info("\udce9")
    log.say("done")
  sys.stdout.close()
  sys.stderr.close()


def test_a_watcher_sees_progress_that_is_shown_to_nobody_else():
  seen = []
  with log.watching(lambda *told: seen.append(told)):
    with log.Progress(4, "did %.0f %%", unit="x", is_shown=True) as shown:
      shown.advance(1)
      shown.advance(3)
    with log.Progress(1, "part %.0f %%", unit="x", is_shown=False) as hidden:
      hidden.advance(1)
  with log.Progress(1, "later %.0f %%", unit="x", is_shown=True) as later:
    later.advance(1)
  assert seen == [(0.0, "did 0 %"), (0.25, "did 25 %"), (1.0, "did 100 %")]


def test_a_watcher_may_end_the_work():
  steps = []

  def end(share, _):
    steps.append(share)
    if share >= 0.5:
      raise StopIteration

  with log.watching(end), pytest.raises(StopIteration):
    _work(4, [1, 1, 1, 1])
  assert steps == [0.0, 0.25, 0.5]
