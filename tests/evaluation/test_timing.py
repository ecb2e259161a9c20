"""Times and memory of methods, each in a process of its own."""

import io
import json
import shutil
import subprocess
import sys

import numpy as np
import pytest
from conftest import RATE, ROOT

from distortion_removal.common import cores
from distortion_removal.common.errors import UserError
from distortion_removal.effects import tasks
from distortion_removal.effects.clipping import hard_clip
from distortion_removal.evaluation import timing, timing_process
from distortion_removal.training import check_config


class Clock:
  """Time that passes only where it is said to."""

  def __init__(self, monkeypatch):
    self.now = 0.0
    monkeypatch.setattr(timing_process.time, "perf_counter", lambda: self.now)

  def method(self, seconds_of_batch, seen=None):
    """A method that takes as long as a function of the batch size says."""

    def method(degraded, clean):
      assert degraded.shape == clean.shape
      self.now += seconds_of_batch(len(degraded))
      if seen is not None:
        seen.append(degraded[:, 0, 0].tolist())
      return degraded

    return method


@pytest.fixture
def clock(monkeypatch):
  return Clock(monkeypatch)


ITEMS = np.arange(6, dtype=np.float32)[:, None, None]


def test_batches_grow_while_that_makes_it_faster(clock):
  """A second a call and 0.1 s an item, up to four; then 1 s an item."""

  def seconds(batch):
    return 1.0 + 0.1 * batch if batch <= 4 else float(batch)

  method = clock.method(seconds)
  rows = list(
    timing_process.measure(method, ITEMS, ITEMS, repeats=3, largest=64)
  )
  assert [row["batch"] for row in rows] == [1, 2, 4, 8]
  assert [row["items"] for row in rows] == [6, 6, 8, 8]
  assert [row["repeats"] for row in rows] == [3, 3, 3, 3]
  np.testing.assert_allclose(
    [row["seconds"] for row in rows], [6 * 1.1, 3 * 1.2, 2 * 1.4, 8.0]
  )


def test_no_batch_is_larger_than_the_largest(clock):
  method = clock.method(lambda batch: 1.0)
  rows = list(
    timing_process.measure(method, ITEMS, ITEMS, repeats=1, largest=4)
  )
  assert [row["batch"] for row in rows] == [1, 2, 4]


def test_all_items_come_in_turn_after_a_warm_up(clock):
  seen = []
  method = clock.method(float, seen)
  (row, _) = timing_process.measure(method, ITEMS, ITEMS, repeats=1, largest=2)
  assert seen[:7] == [[0.0], *([float(i)] for i in range(6))]
  assert seen[7:] == [[0.0, 1.0], [0.0, 1.0], [2.0, 3.0], [4.0, 5.0]]
  assert row["seconds"] == 6.0  # The warm-up does not count.
  seen.clear()
  list(
    timing_process.measure(method, ITEMS[:3], ITEMS[:3], repeats=1, largest=2)
  )
  assert seen[-2:] == [[0.0, 1.0], [2.0, 0.0]]


def test_what_takes_minutes_is_repeated_less(clock):
  method = clock.method(lambda batch: 4.0 * batch)
  (row, _) = timing_process.measure(method, ITEMS, ITEMS, repeats=9, largest=2)
  assert row["repeats"] == 2  # 24 s each.


def test_the_fastest_batch_is_the_best():
  measured = [
    {"batch": 1, "seconds": 6.0, "items": 6, "device": "cpu"},
    {"batch": 2, "seconds": 1.5, "items": 6, "device": "cpu"},
    {"batch": 4, "seconds": 4.0, "items": 8, "device": "cpu"},
  ]
  rows = timing.finish(measured, 2.0)
  assert [row["seconds_per_second"] for row in rows] == [0.5, 0.125, 0.25]
  assert [row["best"] for row in rows] == [False, True, False]
  assert not {"seconds", "items"} & set(rows[0])
  assert timing.finish([], 2.0) == []


def test_the_peak_is_that_of_the_process_alone():
  """Not of the one that starts it, whose peak Linux hands down by rusage."""
  program = (
    "import numpy as np;"
    "from distortion_removal.evaluation.timing_process import peak_bytes;"
    "before = peak_bytes(); held = np.ones(25_000_000);"
    "print(before, peak_bytes() - before)"
  )
  held = np.ones(100_000_000)  # 800 MB, more than importing takes.
  answer = subprocess.run(
    [sys.executable, "-c", program],
    cwd=ROOT,
    capture_output=True,
    text=True,
    check=True,
  )
  before, growth = map(int, answer.stdout.split())
  assert before < held.nbytes
  assert growth == pytest.approx(200e6, rel=0.05)


@pytest.mark.parametrize(
  ("stats", "peak"),
  [({"peak_bytes_in_use": 123}, 123), (None, None), ({}, None)],
)
def test_an_accelerator_tells_its_own_peak(monkeypatch, stats, peak):
  class Accelerator:
    platform, device_kind = "gpu", "NVIDIA H100"

    def memory_stats(self):
      return stats

  monkeypatch.setattr(
    timing_process.jax, "local_devices", lambda: [Accelerator()]
  )
  assert timing_process.peak_bytes() == peak
  assert timing_process.device_name() == "gpu:NVIDIA H100"


def test_the_hardware_is_that_of_the_row():
  host = timing._hardware("cpu")
  assert host.startswith(f"{timing.cpu_name()}, {cores.available()} core")
  assert timing._hardware("gpu:NVIDIA H100") == f"NVIDIA H100; {host}"


def _ask(monkeypatch, capsys, tmp_path, method):
  """The rows that the process prints for a method."""
  np.savez(tmp_path / "audio.npz", degraded=ITEMS, clean=ITEMS)
  request = {
    "method": "made_up",
    "is_network": False,
    "workdir": "",
    "config": {},
    "audio": str(tmp_path / "audio.npz"),
    "repeats": 1,
    "largest": 64,
  }
  monkeypatch.setattr(sys, "stdin", io.StringIO(json.dumps(request)))
  monkeypatch.setattr(
    timing_process.methods, "baseline", lambda name, config: method
  )
  timing_process.main()
  return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


@pytest.mark.parametrize(
  "error", [MemoryError(), RuntimeError("RESOURCE_EXHAUSTED: 80 GB")]
)
def test_a_batch_that_does_not_fit_is_the_last(
  clock, monkeypatch, capsys, tmp_path, error
):
  def method(degraded, clean):
    if len(degraded) > 2:
      raise error
    clock.now += 1.0

  rows = _ask(monkeypatch, capsys, tmp_path, method)
  assert [row["batch"] for row in rows] == [1, 2]
  assert {row["device"] for row in rows} == {"cpu"}
  assert all(row["peak_memory_bytes"] >= 0 for row in rows)


def test_other_errors_are_not_hidden(monkeypatch, capsys, tmp_path):
  def method(degraded, clean):
    raise RuntimeError("a defect")

  with pytest.raises(RuntimeError, match="a defect"):
    _ask(monkeypatch, capsys, tmp_path, method)


@pytest.fixture(scope="module")
def timed(tiny_run, tmp_path_factory):
  """The tiny run, timed; its rows and what was printed."""
  workdir = tmp_path_factory.mktemp("timed") / "run"
  shutil.copytree(tiny_run, workdir)
  path = timing.time_methods(workdir, excerpts=1, repeats=1, largest=2)
  assert path == workdir / "timing.jsonl"
  return [json.loads(line) for line in path.open()]


def test_a_run_is_timed_with_its_baselines(timed, tiny_data):
  assert [(row["method"], row["batch"]) for row in timed] == [
    ("demucs", 1),
    ("demucs", 2),
    ("ideal_ratio_mask", 1),
    ("ideal_ratio_mask", 2),
  ]
  for row in timed:
    assert row["device"] == "cpu"
    assert row["task"] == "hard_clip"
    assert row["dataset"] == tiny_data.name
    assert row["excerpts"] == 1
    assert row["levels"] == list(tasks.get("hard_clip").evaluation_levels)
    assert (row["audio_seconds"], row["sample_rate"]) == (2.0, RATE)
    assert row["hardware"].startswith(timing.cpu_name())
    assert row["cores"] == cores.available()
    assert 0.0 < row["seconds_per_second"] < 100.0
    assert 1e5 < row["peak_memory_bytes"] < 4e9
  for method in ("demucs", "ideal_ratio_mask"):
    mine = [row for row in timed if row["method"] == method]
    fastest = min(mine, key=lambda row: row["seconds_per_second"])
    assert [row for row in mine if row["best"]] == [fastest]


def test_excerpts_are_full_ones_at_every_level(tiny_run):
  """The test split has excerpts of 2, 2 and 1.25 s."""
  config = check_config.load(tiny_run)
  task = tasks.get("hard_clip")
  taken = timing.take_excerpts(config, task, 5)
  levels = len(task.evaluation_levels)
  assert taken.count == 2
  assert taken.clean.shape == (2 * levels, 2 * RATE, 1)
  np.testing.assert_array_equal(taken.clean[0], taken.clean[levels - 1])
  assert np.any(taken.clean[0] != taken.clean[levels])
  gains = np.tile(np.float32(task.evaluation_levels), 2)
  np.testing.assert_allclose(
    taken.degraded, hard_clip(taken.clean, gains), atol=1e-6
  )
  assert timing.take_excerpts(config, task, 1).count == 1


def test_what_fails_is_told_and_the_rest_is_timed(
  tiny_run, tmp_path, caplog, monkeypatch
):
  workdir = tmp_path / "run"
  workdir.mkdir()
  shutil.copy(tiny_run / "config.json", workdir)
  monkeypatch.setattr(timing, "_platforms", lambda _: [{}])
  timing.time_methods(workdir, excerpts=1, repeats=1, largest=1)
  rows = [json.loads(line) for line in (workdir / "timing.jsonl").open()]
  assert [row["method"] for row in rows] == ["ideal_ratio_mask"]
  assert "demucs: timed no further: error: " in caplog.text

  config = check_config.load(tiny_run)
  config.baselines = ()
  (workdir / "timing.jsonl").unlink()
  with pytest.raises(UserError, match="no method could be timed"):
    timing.time_methods(workdir, config, excerpts=1, repeats=1, largest=1)
  assert not (workdir / "timing.jsonl").exists()


def test_nothing_to_time(tiny_run, tmp_path):
  config = check_config.load(tiny_run)
  config.model.name, config.model.fields, config.baselines = "", {}, ()
  with pytest.raises(UserError, match="no method to time on the task hard_"):
    timing.time_methods(tmp_path, config)
