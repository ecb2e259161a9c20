"""The sides that `aspade` times, and the limits beside them.

Ours and the peers, as functions of the same arguments; the FFTs alone; the
memory that ours takes.
"""

import functools
import os
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import soundfile

from distortion_removal.audio import resampling
from distortion_removal.datasets.sources.plucked_strings.synthesis import (
  render,
)
from distortion_removal.declipping.spade import aspade
from experiments.benchmarks.peers import aspade as peers

CORES = len(os.sched_getaffinity(0))
PEERS = ("batched", "threaded", "frame-by-frame")
_PEAK = 0.5  # of the clean audio; epsilon is absolute, so the scale matters

Row = dict[str, Any]
Result = tuple[np.ndarray, np.ndarray]  # [time], iterations of the frames
Side = Callable[..., Result]


class Setting(NamedTuple):
  """The rate in Hz and the options of A-SPADE that belong together."""

  sample_rate: int
  options: dict[str, Any]


def _setting(sample_rate: int, frame: int, r: int) -> Setting:
  sizes = {"frame": frame, "hop": frame // 4, "redundancy": 2}
  return Setting(sample_rate, {**sizes, "s": 1, "r": r, "epsilon": 0.1})


SETTINGS = {
  "paper": _setting(16_000, 1024, 1),
  "survey": _setting(44_100, 8192, 2),
}


def load(path: Path | None, sample_rate: int, seconds: float) -> np.ndarray:
  """The first channel of a file, or a generated guitar: `[time]` float32."""
  if path is None:
    audio = render(0, seed=0, sample_rate=sample_rate, seconds=seconds)
  else:
    audio, rate = soundfile.read(path, dtype="float32", always_2d=True)
    audio = resampling.resample(
      audio[: round(seconds * rate)], rate, sample_rate
    )
  return audio[:, 0] * np.float32(_PEAK / np.abs(audio[:, 0]).max())


def ours(
  audio: np.ndarray, clip_level: float, *, precision: str, **options: Any
) -> Result:
  """Our A-SPADE, called as the peers are."""
  restored, info = aspade(
    audio[None, :, None].astype(precision),
    clip_level,
    precision=precision,
    **options,
  )
  return restored[0, :, 0], info.iterations


def make_sides(
  precisions: Sequence[str], kinds: Sequence[str], frames: int
) -> dict[str, Side]:
  """Makes the sides that take turns.

  Args:
    precisions: of ours.
    kinds: those of `PEERS` to run.
    frames: number of frames done frame by frame.

  Returns:
    Functions of audio `[time]`, the clip level and the options of a setting.
  """
  sides = {}
  for precision in precisions:
    sides[f"ours {precision}"] = functools.partial(ours, precision=precision)
  threads = {"batched": {"workers": CORES}, "threaded": {"threads": CORES}}
  for name, count in threads.items():
    for dtype in ("float64", "float32"):
      if name in kinds:
        side = functools.partial(peers.batched, dtype=dtype, **count)
        sides[f"{name} {dtype}"] = side
  if "frame-by-frame" in kinds:
    side = functools.partial(peers.frame_by_frame, max_frames=frames)
    sides["frame-by-frame float64"] = side
  return sides


def transforms_ms(frame: int, redundancy: int, precision: str) -> float:
  """Times a frame's two FFTs, in the batches and threads that suit best."""
  size, steps, best = redundancy * frame, 30, np.inf

  @jax.jit
  def there_and_back(frames: jax.Array) -> jax.Array:
    def step(_, x):
      return jnp.fft.irfft(jnp.fft.rfft(x, size), size)[:, :frame]

    return jax.lax.fori_loop(0, steps, step, frames)

  def run(frames: np.ndarray) -> None:
    with jax.enable_x64(precision == "float64"):
      there_and_back(frames).block_until_ready()

  on_cpu = jax.default_backend() == "cpu"
  for threads in {1, CORES} if on_cpu else {1}:
    for rows in (4, 16, 64) if on_cpu else (256, 1024, 4096):
      shape = rows, frame
      frames = [np.random.default_rng(0).random(shape).astype(precision)]
      with ThreadPoolExecutor(threads) as pool:
        run(frames[0])
        for _ in range(5):
          start = time.perf_counter()
          list(pool.map(run, frames * threads))
          seconds = time.perf_counter() - start
          best = min(best, seconds / (threads * rows * steps))
  return 1e3 * best


def _peak_memory(name: str, seconds: float, precision: str) -> Row:
  """Measures the most memory that declipping takes, in its own process."""
  setting = SETTINGS[name]
  clean = load(None, setting.sample_rate, 5.0)
  clean = np.resize(clean, round(seconds * setting.sample_rate))
  # Few iterations: their number has nothing to do with the memory.
  options = {**setting.options, "s": 32, "r": 1}
  clipped = np.clip(clean, -0.1, 0.1)
  ours(clipped, float(np.float32(0.1)), precision=precision, **options)
  # Not getrusage's, which the process has in part from its parent.
  status = Path("/proc/self/status").read_text().split()
  row = {"host_mb": int(status[status.index("VmHWM:") + 1]) / 1e3}
  device = jax.devices()[0].memory_stats()
  if device:
    row["device_mb"] = device["peak_bytes_in_use"] / 1e6
  return {"setting": name, "seconds": seconds, "precision": precision, **row}


def peak_memory(*arguments: Any) -> Row:
  """See `_peak_memory`."""
  with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
    return pool.submit(_peak_memory, *arguments).result()
