"""Times and memory of methods, each in a process of its own."""

import contextlib
import io
import json
import shutil
import subprocess
import sys
from unittest import mock

import numpy as np
import pytest
from conftest import RATE, ROOT

from distortion_removal.common import cores
from distortion_removal.common.errors import UserError
from distortion_removal.effects import tasks
from distortion_removal.effects.clipping import hard_clip
from distortion_removal.evaluation import timing, timing_process

ITEMS = np.arange(6, dtype=np.float32)[:, None, None]


class Clock:
  def __init__(self, monkeypatch):
    self.now, self.seen = 0.0, []
    monkeypatch.setattr(timing_process.time, "perf_counter", lambda: self.now)

  def measure(self, seconds_of_batch, repeats=1, largest=64, items=ITEMS):
    def method(degraded, clean):
      assert degraded.shape == clean.shape
      self.now += seconds_of_batch(len(degraded))
      self.seen.append(degraded[:, 0, 0].tolist())
      return degraded

    options = {"repeats": repeats, "largest": largest}
    return list(timing_process.measure(method, items, items, **options))


@pytest.fixture
def clock(monkeypatch):
  return Clock(monkeypatch)


def test_batches_grow_while_that_makes_it_faster(clock):
  """A second a call and 0.1 s an item, up to four; then 1 s an item."""

  def seconds(batch):
    return 1.0 + 0.1 * batch if batch <= 4 else float(batch)

  found = [tuple(row.values()) for row in clock.measure(seconds, repeats=3)]
  expected = [(1, 1.1, 3), (2, 0.6, 3), (4, 0.35, 3), (8, 1.0, 3)]
  np.testing.assert_allclose(found, expected)
  rows = clock.measure(lambda batch: 1.0, largest=4)
  assert [row["batch"] for row in rows] == [1, 2, 4]
  row, _ = clock.measure(lambda batch: 4.0 * batch, repeats=9, largest=2)
  assert row["repeats"] == 2  # of 24 s each


def test_all_items_come_in_turn_after_a_warm_up(clock):
  row, _ = clock.measure(float, largest=2)
  assert clock.seen[:7] == [[0.0], *([float(i)] for i in range(6))]
  assert clock.seen[7:] == [[0.0, 1.0], [0.0, 1.0], [2.0, 3.0], [4.0, 5.0]]
  assert row["seconds_per_item"] == 1.0  # The warm-up does not count.
  clock.measure(float, largest=2, items=ITEMS[:3])
  assert clock.seen[-2:] == [[0.0, 1.0], [2.0, 0.0]]


@pytest.mark.e2e
def test_the_peak_is_that_of_the_process_alone():
  """Not of the one that starts it, whose peak Linux hands down by rusage."""
  program = (
    "import numpy as np;"
    "from distortion_removal.evaluation.timing_process import peak_bytes;"
    "before = peak_bytes(); held = np.ones(25_000_000);"
    "print(before, peak_bytes() - before)"
  )
  held = np.ones(100_000_000)  # 800 MB, more than importing takes.
  command = [sys.executable, "-c", program]
  answer = subprocess.check_output(command, cwd=ROOT, text=True)
  before, growth = map(int, answer.split())
  assert before < held.nbytes
  assert growth == pytest.approx(200e6, rel=0.05)


@pytest.mark.parametrize(
  ("stats", "peak"), [({"peak_bytes_in_use": 123}, 123), (None, None)]
)
def test_an_accelerator_tells_its_own_peak(monkeypatch, stats, peak):
  gpu = mock.Mock(platform="gpu", device_kind="NVIDIA H100")
  gpu.memory_stats.return_value = stats
  monkeypatch.setattr(timing_process.jax, "local_devices", lambda: [gpu])
  assert timing_process.peak_bytes() == peak
  assert timing_process.device_name() == "gpu:NVIDIA H100"
  host = f"{timing.cpu_name()}, {cores.available()} core"
  assert timing._hardware("cpu").startswith(host)
  assert timing._hardware("gpu:NVIDIA H100").startswith(f"NVIDIA H100; {host}")


@pytest.mark.parametrize("message", ["", "RESOURCE_EXHAUSTED", "defect"])
def test_a_batch_that_does_not_fit_is_the_last(
  clock, monkeypatch, capsys, tmp_path, message
):
  """Other errors are not hidden."""

  def method(degraded, clean):
    if len(degraded) > 2:
      raise RuntimeError(message) if message else MemoryError
    clock.now += 1.0

  np.savez(tmp_path / "audio.npz", degraded=ITEMS, clean=ITEMS)
  request = {"method": "made_up", "is_network": False, "config": {}}
  request |= {"repeats": 1, "largest": 64, "audio": f"{tmp_path}/audio.npz"}
  monkeypatch.setattr(sys, "stdin", io.StringIO(json.dumps(request)))
  monkeypatch.setattr(timing_process.methods, "baseline", lambda *_: method)
  raised = pytest.raises(RuntimeError, match="defect")
  with raised if message == "defect" else contextlib.nullcontext():
    timing_process.main()
  rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
  assert [row["batch"] for row in rows] == [1, 2]
  assert {row["device"] for row in rows} == {"cpu"}
  assert all(row["peak_memory_bytes"] >= 0 for row in rows)


@pytest.mark.e2e
def test_a_run_is_timed_with_its_baselines(tiny_run, tiny_data, tmp_path):
  workdir = tmp_path / "run"
  shutil.copytree(tiny_run, workdir)
  path = timing.time_methods(workdir, excerpts=1, repeats=1, largest=2)
  assert path == workdir / "timing.jsonl"
  rows = [json.loads(line) for line in path.open()]
  keys = [(row["method"], row["batch"]) for row in rows]
  assert keys == [
    (m, n) for m in ("demucs", "ideal_ratio_mask") for n in (1, 2)
  ]
  levels = list(tasks.get("hard_clip").evaluation_levels)
  expected = {"dataset": tiny_data.name, "task": "hard_clip", "levels": levels}
  expected |= {"excerpts": 1, "channels": 1, "sample_rate": RATE}
  expected |= {"device": "cpu", "cores": cores.available()}
  for row in rows:
    assert expected.items() <= row.items()
    assert row["audio_seconds"] == 2.0
    assert row["hardware"].startswith(timing.cpu_name())
    assert 0.0 < row["seconds_per_second"] < 100.0
    assert 1e5 < row["peak_memory_bytes"] < 4e9
    assert row.keys() >= {"best", "repeats", "load_average", "jax"}


def test_what_fails_is_told_and_the_rest_is_timed(case, monkeypatch, caplog):
  """And the fastest batch size of a method is its best."""
  processes = {}  # the answers: stdout, stderr and the exit status

  def answer(arguments, environment, text=""):
    if arguments[-1] == "--device":
      return subprocess.CompletedProcess(arguments, 0, "cpu\n", "")
    out, err, code = processes[json.loads(text)["method"]]
    return subprocess.CompletedProcess(arguments, code, out, err)

  monkeypatch.setattr(timing, "_python", answer)
  rows = [
    {"batch": batch, "seconds_per_item": seconds, "device": "cpu"}
    for batch, seconds in ((1, 1.0), (2, 0.25), (4, 0.5))
  ]
  processes["demucs"] = "", "\nerror: no weights\n", 1
  processes["ideal_ratio_mask"] = "\n".join(map(json.dumps, rows)), "", 0
  path = timing.time_methods(case.workdir)
  rows = [json.loads(line) for line in path.open()]
  assert {row["method"] for row in rows} == {"ideal_ratio_mask"}
  assert [row["seconds_per_second"] for row in rows] == [0.5, 0.125, 0.25]
  assert [row["best"] for row in rows] == [False, True, False]
  assert {row["excerpts"] for row in rows} == {2}
  assert "demucs: timed no further: error: no weights" in caplog.messages
  path.unlink()
  processes["ideal_ratio_mask"] = "", "", -9
  with pytest.raises(UserError, match="no method could be timed"):
    timing.time_methods(case.workdir)
  assert "ideal_ratio_mask: timed no further: killed" in caplog.messages
  assert not path.exists()


def test_excerpts_are_full_ones_at_every_level(case):
  """There are excerpts of 2, 1.25 and 2 s."""
  task = tasks.get("hard_clip")
  degraded, clean = timing.take_excerpts(case.config, task, 5)
  levels = len(task.evaluation_levels)
  assert clean.shape == (2 * levels, 2 * RATE, 1)
  for k, source in ((0, 0), (levels - 1, 0), (levels, 2)):
    np.testing.assert_allclose(clean[k], 0.5 * case.source[source]["clean"])
  gains = np.tile(np.float32(task.evaluation_levels), 2)
  np.testing.assert_allclose(degraded, hard_clip(clean, gains), atol=1e-6)
  case.source = case.source[1:2]
  _, clean = timing.take_excerpts(case.config, task, 5)
  assert clean.shape == (levels, 1.25 * RATE, 1)
