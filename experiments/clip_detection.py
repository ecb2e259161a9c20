"""How well clipping is found: kinds of clipping by levels, and false alarms.

Excerpts of clean recordings are clipped to an input SDR and then treated as
recordings are: rounded, dithered, coded, resampled, ...

  python -m experiments.clip_detection --path=FOLDER

writes `detection.md` and `detection.json`. MP3 needs ffmpeg.
"""

import argparse
import json
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import scipy.optimize
import scipy.signal
import soundfile

from distortion_removal import declipping
from distortion_removal.audio.resampling import resample
from distortion_removal.declipping.clip_level import (
  Rails,
  bounds,
  clip_signs,
  find_rails,
)

LEVELS_DB = (1, 3, 5, 7, 10, 15, 20)
GAIN_LEVEL_DB = 7
DECLIPPER = {"frame": 2048, "hop": 512, "s": 4, "r": 1, "relative": True}
RESULTS = Path(__file__).parent / "results" / "declipping"


class Clipped(NamedTuple):
  """A clipped excerpt, `[time, channels]` each, and the truth about it."""

  clean: np.ndarray  # treated as the clipped one was
  audio: np.ndarray
  signs: np.ndarray  # 1 where clipped above, -1 below, 0 elsewhere
  rails: np.ndarray  # the level where clipped
  sample_rate: int


def clip_to_sdr(clean: np.ndarray, sdr_db: float) -> float:
  """Finds the level that clips audio to an SDR."""

  def excess(level: float) -> float:
    clipped = np.clip(clean, -level, level)
    return _sdr(clean, clipped) - sdr_db

  peak = abs(clean).max()
  return scipy.optimize.brentq(excess, 1e-4 * peak, (1 - 1e-6) * peak)


def _sdr(target: np.ndarray, estimate: np.ndarray) -> float:
  error = np.sum((target - estimate) ** 2)
  return 10 * np.log10(np.sum(target**2) / max(error, 1e-20))


def _plain(
  clean: np.ndarray, level: float, rate: int, low: float | None = None
) -> Clipped:
  low = -level if low is None else low
  audio = np.clip(clean, low, level)
  signs = (clean > level).astype(int) - (clean < low)
  return Clipped(clean, audio, signs, audio, rate)


def _round(audio: np.ndarray) -> np.ndarray:
  return np.clip(np.round(audio * 2**15), -(2**15), 2**15 - 1) / 2**15


def _with(found: Clipped, treat: Callable[[np.ndarray], np.ndarray]) -> Clipped:
  """Treats both sides linearly, the rails with them."""
  return found._replace(clean=treat(found.clean), audio=treat(found.audio))


def _noisy(deviation: float) -> Callable[..., Clipped]:
  def make(clean, level, rate, rng):
    found = _plain(clean, level, rate)
    noise = deviation * rng.standard_normal(clean.shape)
    return found._replace(audio=_round(found.audio + noise))

  return make


def _dithered(clean, level, rate, rng):
  found = _plain(clean, level, rate)
  noise = (rng.random(clean.shape) - rng.random(clean.shape)) / 2**15
  return found._replace(audio=_round(found.audio + noise))


def _coupled(corner_hz: float) -> Callable[..., Clipped]:
  def make(clean, level, rate, rng):
    b, a = scipy.signal.butter(1, corner_hz, "high", fs=rate)
    found = _plain(clean, level, rate)
    found = _with(found, lambda x: scipy.signal.lfilter(b, a, x, axis=0))
    audio = _round(found.audio)
    return found._replace(audio=audio, rails=found.audio)

  return make


def _resampled(rate_between: int, is_back: bool) -> Callable[..., Clipped]:
  def make(clean, level, rate, rng):
    def treat(x):
      x = resample(x, rate, rate_between)
      return resample(x, rate_between, rate) if is_back else x

    found = _plain(clean, level, rate)
    treated = _with(found, treat)
    audio = _round(treated.audio)
    new = rate if is_back else rate_between
    at = np.arange(len(audio)) * rate / new
    at = np.minimum(np.round(at).astype(int), len(clean) - 1)
    return Clipped(treated.clean, audio, found.signs[at], found.rails[at], new)

  return make


def _mp3(kilobits: int) -> Callable[..., Clipped]:
  def make(clean, level, rate, rng):
    # The codec is no part of the truth: the clean side is not coded.
    found = _plain(clean, level, rate)
    with tempfile.TemporaryDirectory() as folder:
      wav, mp3 = Path(folder, "a.wav"), Path(folder, "a.mp3")
      soundfile.write(wav, found.audio, rate)
      run = ["ffmpeg", "-v", "error", "-y", "-i"]
      subprocess.run([*run, wav, "-b:a", f"{kilobits}k", mp3], check=True)
      subprocess.run([*run, mp3, wav], check=True)
      audio = soundfile.read(wav, always_2d=True)[0]
    audio = np.pad(audio, ((0, max(0, len(clean) - len(audio))), (0, 0)))
    return found._replace(audio=audio[: len(clean)])

  return make


def _scaled(gain: Callable[[int], np.ndarray]) -> Callable[..., Clipped]:
  def make(clean, level, rate, rng):
    gains = gain(len(clean))[:, None]
    found = _plain(clean, level, rate)
    found = found._replace(rails=found.rails * gains)
    found = _with(found, lambda x: x * gains)
    return found._replace(audio=_round(found.audio))

  return make


def _offset(clean, level, rate, rng):
  found = _plain(clean, level, rate)
  # Beyond its level: the lower rail lies above zero. All within full scale.
  found = _with(found, lambda x: (x + 1.2 * level) / 2.5)
  return found._replace(audio=_round(found.audio), rails=found.audio)


def _asymmetric(clean, level, rate, rng):
  return _plain(clean, level, rate, -0.6 * level)


def _one_side(clean, level, rate, rng):
  return _plain(clean, level, rate, -np.inf)


def _one_channel(clean, level, rate, rng):
  both = np.concatenate([clean, np.roll(clean, rate // 3, axis=0)], axis=1)
  found = _plain(both, level, rate)
  found.audio[:, 1], found.signs[:, 1] = both[:, 1], 0
  return found._replace(audio=_round(found.audio))


def _single_peak(clean, level, rate, rng):
  """The highest peak was put back, by hand or by a repair."""
  found = _plain(clean, level, rate)
  peak = np.argmax(abs(clean[:, 0]))
  within = slice(max(0, peak - rate // 200), peak + rate // 200)
  found.audio[within], found.signs[within] = clean[within], 0
  return found._replace(audio=_round(found.audio))


def _one_sample(clean, level, rate, rng):
  found = _plain(clean, level, rate)
  found.audio[len(clean) // 2] = 1.5 * level
  found.signs[len(clean) // 2] = 0
  return found._replace(audio=_round(found.audio))


KINDS = {
  "plain": lambda clean, level, rate, rng: _plain(clean, level, rate),
  "16 bit": lambda *args: (x := _plain(*args[:3]))._replace(
    audio=_round(x.audio)
  ),
  "dithered 16 bit": _dithered,
  "noise -80 dBFS": _noisy(1e-4),
  "noise -60 dBFS": _noisy(1e-3),
  "AC-coupled 5 Hz": _coupled(5),
  "AC-coupled 10 Hz": _coupled(10),
  "AC-coupled 20 Hz": _coupled(20),
  "to 48 kHz and back": _resampled(48_000, True),
  "to 16 kHz": _resampled(16_000, False),
  "MP3 128": _mp3(128),
  "MP3 192": _mp3(192),
  "MP3 320": _mp3(320),
  "lowered 7.3 dB": _scaled(lambda n: np.full(n, 10 ** (-7.3 / 20))),
  "fade, 5 dB/s": _scaled(lambda n: 10 ** (-np.arange(n) / 44_100 / 4)),
  "step -4 dB": _scaled(lambda n: np.where(np.arange(n) < n / 2, 1, 0.63)),
  "DC offset": _offset,
  "asymmetric": _asymmetric,
  "one side": _one_side,
  "one channel": _one_channel,
  "single peak": _single_peak,
  "single sample": _one_sample,
}


def excerpts(
  path: Path, seconds: float, most: int
) -> Iterator[tuple[str, np.ndarray, int]]:
  """Yields the loudest part of each recording, peak 0.9, `[time, 1]`."""
  files = sorted(x for x in path.rglob("*") if x.suffix in (".flac", ".wav"))
  for file in files[:: max(1, len(files) // most)][:most]:
    audio, rate = soundfile.read(file, always_2d=True)
    audio = audio[:, :1]
    size = int(seconds * rate)
    energy = np.cumsum(np.append(0, audio[:, 0] ** 2))
    start = (
      np.argmax((energy[size:] - energy[:-size])[:: rate // 4] or [0])
      if False
      else 0
    )
    if len(audio) > size:
      start = int(np.argmax((energy[size:] - energy[:-size])[:: rate // 4]))
      start *= rate // 4
    audio = audio[start : start + size]
    yield file.stem, 0.9 * audio / abs(audio).max(), rate


class Score(NamedTuple):
  """One excerpt: what was found of what is there."""

  found: bool
  precision: float
  recall: float
  level_error_db: float


def score(truth: Clipped) -> Score:
  """Compares what is found with the truth."""
  audio = truth.audio[None]
  rails = find_rails(audio)
  signs = clip_signs(audio, rails)
  low, high = (x[0] for x in bounds(audio, rails, signs))
  signs = signs[0]
  is_right = (signs == truth.signs) & (signs != 0)
  hits = np.count_nonzero(is_right)
  found = np.where(signs > 0, low, high)[is_right]
  true = truth.rails[is_right]
  errors = abs(found - true) / np.maximum(abs(true), 1e-9)
  return Score(
    bool(signs.any()),
    hits / max(1, np.count_nonzero(signs)),
    hits / max(1, np.count_nonzero(truth.signs)),
    float(np.median(20 * np.log10(1 + errors))) if hits else np.nan,
  )


def false_alarms(path: Path) -> dict[str, float]:
  """Returns the share of samples called clipped, of files that have any."""
  found = {}
  for file in sorted(path.rglob("*.flac")):
    audio, _ = soundfile.read(file, always_2d=True)
    signs = clip_signs(audio[None], find_rails(audio[None]))
    if signs.any():
      found[file.stem] = float(np.mean(signs != 0))
  return found


def gains(truth: Clipped) -> dict[str, float]:
  """Returns the SDR gained by A-SPADE, and by ffmpeg's adeclip."""
  before = _sdr(truth.clean, truth.audio)
  aspade = declipping.declipper("aspade")
  # The rails that were there move with gain and tilt: one for each sample.
  exact = np.where(truth.signs == 0, truth.audio, truth.rails)[None]
  peak = abs(exact).max() + np.zeros((1, exact.shape[2]))
  true = Rails(-peak, peak, truth.signs[None].astype(np.int8))
  results = {
    "true": aspade(exact, true, **DECLIPPER)[0][0],
    "found": aspade(truth.audio[None], **DECLIPPER)[0][0],
  }
  with tempfile.TemporaryDirectory() as folder:
    wav, out = Path(folder, "a.wav"), Path(folder, "b.wav")
    soundfile.write(wav, truth.audio, truth.sample_rate, subtype="FLOAT")
    run = ["ffmpeg", "-v", "error", "-y", "-i", wav, "-af", "adeclip"]
    subprocess.run([*run, "-c:a", "pcm_f32le", out], check=True)
    results["adeclip"] = soundfile.read(out, always_2d=True)[0]
  size = len(truth.clean)
  return {
    name: _sdr(truth.clean, result[:size]) - before
    for name, result in results.items()
  }


def _parser() -> argparse.ArgumentParser:
  parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
  add = parser.add_argument
  add("--path", type=Path, required=True, nargs="+", help="clean recordings")
  add("--output", type=Path, default=RESULTS)
  add("--seconds", type=float, default=3.0, help="of an excerpt")
  add("--recordings", type=int, default=3, help="of each folder")
  add("--kinds", nargs="+", default=list(KINDS), choices=KINDS)
  add("--levels", type=int, nargs="+", default=LEVELS_DB)
  add("--gains", type=int, default=0, help="excerpts to declip, at 7 dB")
  return parser


def main() -> None:
  """Runs the command line, see `--help`."""
  args = _parser().parse_args()
  has_ffmpeg = shutil.which("ffmpeg") is not None
  sounds = [
    sound
    for path in args.path
    for sound in excerpts(path, args.seconds, args.recordings)
  ]
  cells, restored = {}, {}
  for kind in args.kinds:
    if kind.startswith("MP3") and not has_ffmpeg:
      continue
    cells[kind], restored[kind] = {}, []
    for level_db in args.levels:
      scores = cells[kind][level_db] = []
      for k, (_, clean, rate) in enumerate(sounds):
        level = clip_to_sdr(clean, level_db)
        truth = KINDS[kind](clean, level, rate, np.random.default_rng(k))
        scores.append(score(truth)._asdict())
        if level_db == GAIN_LEVEL_DB and k < args.gains and has_ffmpeg:
          restored[kind].append(gains(truth))
    print(kind, *map(_cell, cells[kind].values()), sep=" | ", flush=True)
  alarms = {}
  for path in args.path:
    alarms |= false_alarms(path)
  record = {
    "excerpts": [name for name, *_ in sounds],
    "cells": cells,
    "gains_db": restored,
    "false_alarms": alarms,
  }
  args.output.mkdir(parents=True, exist_ok=True)
  (args.output / "detection.json").write_text(json.dumps(record))
  (args.output / "detection.md").write_text(_report(record, args.levels))


def _report(record: dict, levels: list[int]) -> str:
  """Returns the record's tables in Markdown."""
  lines = [
    "Excerpts found of all; precision and recall (%) of the clipped samples; "
    "median error of the level (dB); by input SDR (dB).",
    "",
    "| kind | " + " | ".join(map(str, levels)) + " |",
    "|---" * (len(levels) + 1) + "|",
  ]
  for kind, row in record["cells"].items():
    lines.append(f"| {kind} | " + " | ".join(map(_cell, row.values())) + " |")
  lines += ["", f"False alarms on the clean recordings: {len(_alarms(record))}"]
  if any(record["gains_db"].values()):
    lines += [
      "",
      f"Mean SDR gained at {GAIN_LEVEL_DB} dB by A-SPADE with the true rails, "
      "with those found, and by ffmpeg's adeclip (dB).",
      "",
      "| kind | true | found | adeclip |",
      "|---|---|---|---|",
    ]
  for kind, rows in record["gains_db"].items():
    if rows:
      means = [np.mean([row[name] for row in rows]) for name in rows[0]]
      lines.append(
        f"| {kind} | " + " | ".join(f"{x:.2f}" for x in means) + " |"
      )
  return "\n".join(lines) + "\n"


def _alarms(record: dict) -> list[str]:
  return sorted(record["false_alarms"])


def _cell(scores: list[dict]) -> str:
  """Returns excerpts found, precision, recall (%), error of the level (dB)."""
  found = [x for x in scores if x["found"]]
  if not found:
    return f"0/{len(scores)}"
  precision, recall, error = (
    np.nanmean([x[name] for x in found])
    for name in ("precision", "recall", "level_error_db")
  )
  return (
    f"{len(found)}/{len(scores)} {100 * precision:.0f} {100 * recall:.0f} "
    f"{error:.2f}"
  )


if __name__ == "__main__":
  main()
