"""Signals that stop a training; main's, before its first step: test_cli.py."""

import os
import signal

import pytest

from distortion_removal.training.stop_signals import stop_signals


def test_stop_signals_put_the_handlers_back():
  # Not the defaults: a shell may start this in the background, deaf to SIGINT.
  kinds = (signal.SIGTERM, signal.SIGINT)
  before = [signal.getsignal(kind) for kind in kinds]
  with stop_signals() as received:
    assert not received
    os.kill(os.getpid(), signal.SIGTERM)
    assert received == [signal.SIGTERM]
    with pytest.raises(KeyboardInterrupt):
      signal.raise_signal(signal.SIGINT)
  assert [signal.getsignal(kind) for kind in kinds] == before
