"""What a run writes for people: lines of JSON, TensorBoard, a log."""

import io
import itertools
import struct

import numpy as np
import soundfile
from conftest import read_metrics
from tensorboardX.proto import event_pb2

from distortion_removal.training import metric_writer
from distortion_removal.training.metric_writer import MetricWriter


def _values(folder):
  """TensorBoard's values by step and name."""
  found = {}
  for path in sorted(folder.glob("*tfevents*")):
    for event in _events(path):
      found |= {(event.step, value.tag): value for value in event.summary.value}
  return found


def _events(path):
  data = path.read_bytes()
  while data:  # length, checksum, event, checksum
    (length,) = struct.unpack("<Q", data[:8])
    yield event_pb2.Event.FromString(data[12 : 12 + length])
    data = data[16 + length :]


def test_scalars_reach_json_tensorboard_and_log(tmp_path, caplog, monkeypatch):
  monkeypatch.setattr(metric_writer.logger, "propagate", True)
  caplog.set_level("INFO", metric_writer.logger.name)
  writer = MetricWriter(tmp_path)
  writer.scalars(7, {"train/loss": np.float32(0.25), "speed/x": 12345.678})
  # Both are readable while the run goes on.
  assert read_metrics(tmp_path) == [
    {"step": 7, "train/loss": 0.25, "speed/x": 12345.678}
  ]
  values = _values(tmp_path / "tensorboard")
  assert values[7, "train/loss"].simple_value == 0.25
  assert values[7, "speed/x"].simple_value == np.float32(12345.678)
  assert caplog.messages == ["step 7  train/loss 0.25  speed/x 1.235e+04"]
  writer.close()


def test_a_resumed_run_drops_what_it_will_write_again(tmp_path, monkeypatch):
  # TensorBoard's files are named by the second.
  clock = itertools.count(1_000_000_000.0)
  monkeypatch.setattr(metric_writer.time, "time", lambda: next(clock))
  writer = MetricWriter(tmp_path)
  for step in (1, 2, 3):
    writer.scalars(step, {"train/loss": float(step)})
  writer.close()
  path = tmp_path / "metrics.jsonl"
  path.write_text(path.read_text() + '{"step": 4, "train/lo')  # killed here
  writer = MetricWriter(tmp_path, after_step=2)
  writer.scalars(3, {"train/loss": float("nan")})
  writer.close()
  rows = [(row["step"], row["train/loss"]) for row in read_metrics(tmp_path)]
  assert rows == [(1, 1.0), (2, 2.0), (3, None)]
  assert {step for step, _ in _values(tmp_path / "tensorboard")} == {1, 2, 3}
  # TensorBoard forgets what the first file has from step 3 on.
  _, last = sorted((tmp_path / "tensorboard").iterdir())
  starts = [x.step for x in _events(last) if x.HasField("session_log")]
  assert starts == [3]


def test_a_resumed_run_tells_changes_once(tmp_path):
  """Killed between this line and storing the new values, it tries again."""
  for _ in range(2):
    writer = MetricWriter(tmp_path, after_step=3)
    writer.changes(3, {"steps": (4, 8)})
    writer.close()
  writer = MetricWriter(tmp_path, after_step=3)
  writer.changes(3, {"steps": (8, 9)})
  writer.close()
  rows = [row["config"]["steps"] for row in read_metrics(tmp_path)]
  assert rows == [[4, 8], [8, 9]]


def test_an_example_is_sounds_and_a_picture(tmp_path):
  time = np.arange(8_000) / 8_000
  clean = 0.5 * np.sin(2 * np.pi * 440 * time)[:, None]
  writer = MetricWriter(tmp_path)
  writer.example(3, "validation_0", {"clean": clean, "loud": 4 * clean}, 8_000)
  writer.close()
  values = _values(tmp_path / "tensorboard")
  assert {step for step, _ in values} == {3}
  for name, expected in (("clean", clean), ("loud", 2 * clean)):
    stored = values.pop((3, f"validation_0/{name}")).audio
    audio, rate = soundfile.read(io.BytesIO(stored.encoded_audio_string))
    assert rate == stored.sample_rate == 8_000
    # Above full scale it is scaled down, not clipped.
    np.testing.assert_allclose(audio, expected[:, 0], atol=1e-4)
  picture = values.pop((3, "validation_0/spectrograms")).image
  assert picture.encoded_image_string.startswith(b"\x89PNG")
  assert not values


def test_the_timer_tells_speed_and_waiting_since_last_read(monkeypatch):
  clock = iter([100.0, 104.0, 104.0, 107.0, 112.0, 112.0])
  monkeypatch.setattr(metric_writer.time, "perf_counter", lambda: next(clock))
  timer = metric_writer.StepTimer(audio_seconds=3.0)
  for _ in range(8):
    timer.step(waited=0.125)
  assert timer.read(steps_left=240) == {
    "speed/steps_per_second": 2.0,
    "speed/audio_seconds_per_second": 6.0,
    "speed/data_wait_share": 0.25,
    "speed/eta_minutes": 2.0,
  }
  timer.step(waited=1.0)
  timer.restart()  # something else took place, which does not count
  timer.step(waited=0.0)
  found = timer.read(steps_left=0)
  assert found["speed/steps_per_second"] == 0.2
  assert found["speed/data_wait_share"] == 0.0


def test_what_is_kept_is_on_the_disk(tmp_path, monkeypatch):
  """All rows are written by the time the disk is asked to hold them."""
  held = []
  monkeypatch.setattr(
    metric_writer.os, "fsync", lambda _: held.extend(read_metrics(tmp_path))
  )
  writer = MetricWriter(tmp_path)
  writer.scalars(1, {"train/loss": 0.5})
  writer.changes(1, {"steps": (1, 2)})
  held.clear()  # TensorBoard's file is synchronised with every row.
  writer.keep()
  keys = [set(row) for row in held]
  assert keys == [{"step", "train/loss"}, {"step", "config"}]
  writer.close()
