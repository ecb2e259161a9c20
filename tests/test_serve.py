"""The command `serve`: how it starts, what it says, and what it leaves."""

import http.client
import importlib.util
import os
import re
import signal
import socket
import subprocess
import sys

import numpy as np
import pytest
import soundfile
from conftest import RATE, ROOT, pluck
from serving import Client

from distortion_removal import serve


@pytest.mark.parametrize("missing", ["starlette", "uvicorn"])
def test_what_is_not_installed_is_named(monkeypatch, missing):
  find = importlib.util.find_spec
  monkeypatch.setattr(
    importlib.util, "find_spec", lambda x: None if x == missing else find(x)
  )
  with pytest.raises(SystemExit) as caught:
    serve.main([])
  message = caught.value.code
  assert "\n" not in message and missing in message
  assert "pip install 'distortion_removal[page]'" in message


@pytest.mark.parametrize(
  "option", ["--port=x", "--port=-1", "--max-megabytes="]
)
def test_mistakes(option):
  with pytest.raises(SystemExit, match=option.partition("=")[0]):
    serve.main([option])


def test_a_port_that_is_taken_is_told():
  with socket.create_server(("127.0.0.1", 0)) as taken:
    port = taken.getsockname()[1]
    with pytest.raises(SystemExit, match=f"port {port}.*--port"):
      serve.main([f"--port={port}"])
  with pytest.raises(SystemExit, match="cannot listen"):
    serve.main(["--port=99999999"])
  with pytest.raises(SystemExit, match=r"nowhere\.invalid"):
    serve.main(["--host=nowhere.invalid"])


@pytest.mark.e2e
@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM"])
def test_no_recording_is_left(tmp_path, name):
  """Nor the work on it, with which a signal does not wait."""
  take, temporary = tmp_path / "take.wav", tmp_path / "temporary"
  temporary.mkdir()
  audio = np.tile(np.clip(pluck(1.0, 110.0), -0.4, 0.4), (20, 1))
  soundfile.write(take, audio, RATE)
  process = subprocess.Popen(
    [sys.executable, "-m", "distortion_removal.serve", "--port=0"],
    cwd=ROOT,
    env=os.environ | {"TMPDIR": str(temporary)},
    stdout=subprocess.PIPE,
    text=True,
  )
  with process:
    line = process.stdout.readline()
    client = Client(int(re.search(r"http://127.0.0.1:(\d+)/ ", line)[1]))
    state = client.opened(take)
    assert list(temporary.rglob("recording.wav"))
    client.restore(state["id"], method="declip", preset="best")
    process.send_signal(getattr(signal, name))
    said = process.communicate(timeout=60)[0]
  assert list(temporary.iterdir()) == []
  if name == "SIGINT":
    assert process.returncode == 0 and "deleted" in said
  else:
    assert process.returncode == -signal.SIGTERM
  with pytest.raises((http.client.HTTPException, OSError)):
    client.state(state["id"])
