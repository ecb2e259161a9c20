"""Times the data: preparing it, loading it, and degrading it.

  python -m experiments.benchmarks.data
  python -m experiments.benchmarks.data --minutes=20 --rounds=5 --step-batch=8

Preparation: audio a second of a core's time, to decode, resample, measure,
encode and write, against `ffmpeg` decoding the same files to nothing, or, where
that program is missing, against libsndfile doing so.
Loading: pairs a second, from disk to a batch that is on the device, against
what the training step of Demucs 64/6 consumes. Degradation: each effect on the
device against a loop over the batch in NumPy and SciPy, and overdrive against
the `sox` program with the batch as one file, so that it starts only once. What
is compared takes turns; medians count.
"""

import argparse
import os
import shutil
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import jax
import numpy as np
import soundfile
from absl import flags

from distortion_removal import effects
from distortion_removal.config import sibling
from distortion_removal.datasets import opening, pairs
from distortion_removal.datasets.sources.builder import CleanAudioBuilder
from distortion_removal.datasets.spectrum_statistics import spectrum_statistics
from distortion_removal.effects import tasks
from experiments import provenance
from experiments.benchmarks import data_sides, pipeline

_DEMUCS = os.path.join(
  os.path.dirname(__file__), "..", "..", "configs", "demucs_ceg_overdrive.py"
)
_FORMATS = ("wav", "flac", "mp3")
_BATCH = 32
_BATCH_SECONDS = 10.0


def cpu_seconds(run: Callable[[], object]) -> float:
  """Measures user and system time of a call and of processes it waits for."""
  before = os.times()
  run()
  return sum(os.times()[:4]) - sum(before[:4])


def open_set(
  recordings: Path, data_dir: Path, sample_rate: int
) -> CleanAudioBuilder:
  """Opens a data set of recordings, not prepared."""
  return opening.open_builder(
    "audio_folder",
    task="overdrive",
    path=str(recordings),
    data_dir=str(data_dir),
    sample_rate=sample_rate,
  )


def preparation(folder: Path, suffix: str, options: argparse.Namespace) -> None:
  """Times preparing recordings of a format against decoding them."""
  recordings = folder / suffix
  data_sides.write_recordings(recordings, options.minutes, suffix)
  seconds = data_sides.FILE_SECONDS * len(list(recordings.iterdir()))
  open_set(recordings, folder / "warm", 8_000).download_and_prepare()
  times = {"prepare": [], "decode": []}
  for i in range(options.rounds):
    builder = open_set(recordings, folder / f"{suffix}{i}", 16_000)
    times["prepare"].append(cpu_seconds(builder.download_and_prepare))
    times["decode"].append(cpu_seconds(lambda: data_sides.decode(recordings)))
    shutil.rmtree(folder / "warm", ignore_errors=True)
  prepared, decoded = (statistics.median(t) for t in times.values())
  peer = "ffmpeg" if shutil.which("ffmpeg") else "libsndfile (no ffmpeg here)"
  print(
    f"{suffix}: prepared {seconds / prepared:.0f} s of audio per second per "
    f"core, {peer} decodes {seconds / decoded:.0f}: ratio "
    f"{decoded / prepared:.2f}",
    flush=True,
  )


def loading(folder: Path, options: argparse.Namespace) -> None:
  """Measures bytes on disk, statistics, and pairs a second at each rate."""
  consumed = pairs_consumed(options)
  for rate in (16_000, 44_100):
    builder = open_set(folder / "flac", folder / "load", rate)
    builder.download_and_prepare()
    builder = open_set(folder / "flac", folder / "load", rate)
    files = Path(builder.data_dir).glob("*.array_record*")
    size = sum(path.stat().st_size for path in files)
    hours = (
      data_sides.FILE_SECONDS * len(list((folder / "flac").iterdir())) / 3600
    )
    start = time.perf_counter()
    size = {16_000: 1024, 44_100: 4096}[rate]  # Open-Unmix's
    spectrum_statistics(builder, size=size, hop=size // 4)
    taken = time.perf_counter() - start
    source = opening.read_split(builder, "train")
    print(
      f"{rate} Hz: {size / hours / 1e6:.0f} MB an hour; spectrum statistics "
      f"of {len(source)} excerpts in {taken:.1f} s"
    )
    for workers in (0, 1, 2):
      batches = pairs.training_batches(
        source,
        tasks.get("overdrive"),
        segment=round(options.seconds * rate),
        batch_size=options.batch,
        seed=0,
        workers=workers,
      )
      ready = map(jax.block_until_ready, batches)
      rates = [
        pipeline.pairs_per_second(ready, options.batch, 2.0)
        for _ in range(options.rounds)
      ]
      batches.close()
      loaded = statistics.median(rates)
      print(
        f"  {workers} workers: {loaded:.0f} pairs/s, {loaded / consumed:.0f} "
        "times what Demucs 64/6 consumes at 16 kHz",
        flush=True,
      )


def pairs_consumed(options: argparse.Namespace) -> float:
  """Measures the pairs a second that training Demucs 64/6 consumes."""
  config = sibling(_DEMUCS, "demucs_ceg_overdrive").get_config()
  config.batch_size = options.step_batch
  step, state = pipeline.training_step(config)
  rng = np.random.default_rng(0)
  shape = (options.step_batch, round(options.seconds * 16_000), 1)
  batch = pipeline.devices.split_batch(
    {
      "clean": rng.uniform(-0.5, 0.5, shape).astype(np.float32),
      "level": np.full(options.step_batch, 30.0, np.float32),
      "seed": np.zeros(options.step_batch, np.uint32),
    }
  )
  ready = iter(lambda: batch, None)
  state, _, _ = pipeline.step_times(step, state, ready, 3)
  _, times, _ = pipeline.step_times(step, state, ready, options.rounds)
  median = statistics.median(times)
  print(
    f"Demucs 64/6: {median:.3f} s a step of {options.step_batch} x "
    f"{options.seconds:g} s, {options.step_batch / median:.1f} pairs/s"
  )
  return options.step_batch / median


def degradation(folder: Path, options: argparse.Namespace) -> None:
  """Times each effect on the device, in × real time, and its peers."""
  rng = np.random.default_rng(0)
  shape = (_BATCH, round(_BATCH_SECONDS * 16_000), 1)
  audio = (0.3 * rng.standard_normal(shape)).clip(-0.5, 0.5).astype(np.float32)
  ready, seed = jax.device_put(audio), np.arange(_BATCH, dtype=np.uint32)
  joined = audio.reshape(-1, 1)
  soundfile.write(folder / "in.wav", joined, 16_000, subtype="FLOAT")
  command = ["sox", "-V1", folder / "in.wav", folder / "out.wav", "overdrive"]
  levels = {task.effect: task.train_levels for task in tasks.TASKS.values()}
  print(
    f"degradation of {_BATCH} x {_BATCH_SECONDS:g} s at 16 kHz, x real time"
  )
  for name, effect in effects.EFFECTS.items():
    if name == pairs.RECORDED:
      continue
    level = statistics.mean(levels.get(name, (20.0, 50.0)))
    apply = jax.jit(
      lambda x, effect=effect, level=level: effects.apply(
        effect, x, level, seed
      )
    )
    runs = {"device": lambda apply=apply: jax.block_until_ready(apply(ready))}
    if name in data_sides.LOOPS:
      loop = data_sides.LOOPS[name]
      runs["NumPy"] = lambda loop=loop, level=level: loop(audio[..., 0], level)
    if name == "overdrive" and shutil.which("sox"):
      sox = [*command, str(level), "0"]
      runs["sox"] = lambda sox=sox: subprocess.run(sox, check=True)
    print(f"  {name:<18}{_speeds(runs, options.rounds)}", flush=True)


def _speeds(runs: dict[str, Callable[[], object]], rounds: int) -> str:
  """Times runs in turn; returns their speeds, and the first one's ratios."""
  times = {name: [] for name in runs}
  for i in range(rounds + 1):
    for name, run in runs.items():
      start = time.perf_counter()
      run()
      if i:  # not the compilation
        times[name].append(time.perf_counter() - start)
  medians = {name: statistics.median(taken) for name, taken in times.items()}
  return ", ".join(
    f"{name} {_BATCH * _BATCH_SECONDS / median:.0f}"
    + ("" if name == "device" else f" (1/{median / medians['device']:.1f})")
    for name, median in medians.items()
  )


def main() -> None:
  """Runs the command line, see the module's text."""
  parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
  parser.add_argument("--minutes", type=float, default=10.0, help="prepared")
  parser.add_argument("--rounds", type=int, default=5)
  parser.add_argument("--batch", type=int, default=8, help="pairs to load")
  parser.add_argument("--seconds", type=float, default=2.0, help="of a crop")
  parser.add_argument("--step-batch", type=int, default=1, help="pairs a step")
  options = parser.parse_args()
  flags.FLAGS.mark_as_parsed()  # grain's workers ask absl
  print(provenance.machine_line())
  with tempfile.TemporaryDirectory() as name:
    folder = Path(name)
    degradation(folder, options)
    for suffix in _FORMATS:
      preparation(folder, suffix, options)
    loading(folder, options)


if __name__ == "__main__":
  main()
