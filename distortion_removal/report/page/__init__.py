"""The listening page: one static folder that any browser opens from disk.

    excerpts × (distorted, target, methods), a table per task

of results that have sounds: `contents` arranges what is to be heard, `audio`
and `thumbnails` make files of it, `contents` describes these as JSON within
page.html, and `page.js` fills the page, with `player.js` to play.
"""

import math
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from distortion_removal.audio import files
from distortion_removal.common.errors import UserError
from distortion_removal.common.log import Progress, logger
from distortion_removal.report.page import audio, contents, thumbnails
from distortion_removal.report.page.contents import PageTask
from distortion_removal.report.results import Results, Sound

_LEAST_SECONDS = 1.0


def write_page(
  results: Sequence[Results],
  folder: Path,
  *,
  loudness_lufs: float | None = None,
  seconds: float | None = None,
  excerpts: int | None = None,
  megabytes: float = 60.0,
  wav: bool = False,
) -> None:
  """Writes the listening page of evaluations that kept sounds.

  Sounds are 16-bit FLAC files at the data's own rate: the liveliest stretch of
  each excerpt, the same for all its versions, each normalised on its own.

  Args:
    results: one per task and data set; those without sounds are left out.
    folder: gets index.html and all it needs; not there yet.
    loudness_lufs: of every sound; None takes the task's own (−19 or −23).
    seconds: of every sound at most; None takes the longest that fits.
    excerpts: of each task at most; None takes all that have sounds.
    megabytes: the page's greatest size, in 10⁶ bytes.
    wav: whether to add WAV files, for browsers that cannot play FLAC. They
      about triple the page.

  Raises:
    UserError: a sound is missing or damaged, or the page does not fit.
  """
  tasks = contents.arrange(results, loudness_lufs, excerpts)
  wanted = seconds or _guessed_seconds(tasks, megabytes, wav)
  while True:
    _write(folder, tasks, wanted, wav)
    size = sum(path.stat().st_size for path in folder.rglob("*")) / 1e6
    if size <= megabytes:
      logger.info("the listening page has %.1f MB", size)
      return
    shutil.rmtree(folder)
    # Less than the whole budget, as stretches of music vary.
    wanted = math.floor(9.6 * wanted * megabytes / size) / 10.0
    if seconds or wanted < _LEAST_SECONDS:
      raise UserError(
        f"the listening page has {size:.1f} MB, more than the {megabytes:g} MB "
        "it may have; allow more (--page_megabytes), or take fewer excerpts "
        "(--page_excerpts) or seconds (--page_seconds)"
      )
    logger.info("%.1f MB are too large; shortening to %g s", size, wanted)


def check_options(options: Mapping[str, Any]) -> None:
  """Raises UserError for options of `write_page` that no page can have."""
  for name in ("seconds", "excerpts", "megabytes"):
    value = options.get(name)
    if value is not None and not 0 < value < math.inf:
      raise UserError(f"--page_{name} must be above 0 and finite: {value}")
  if not math.isfinite(options.get("loudness_lufs") or 0.0):
    raise UserError("--page_loudness must be finite")


def _guessed_seconds(
  tasks: Sequence[PageTask], megabytes: float, wav: bool
) -> float:
  """Guesses how long each sound may be."""
  # 16-bit FLAC of music takes half of WAV, or more.
  share = 1.5 if wav else 0.5
  longest = bytes_per_second = 0.0
  for task in tasks:
    for file in task.files:
      seconds, pcm_rate = audio.describe(task.target(file))
      longest = max(longest, seconds)
      bytes_per_second += share * pcm_rate * len(task.versions_of(file))
  fitting = math.floor(10.0 * megabytes * 1e6 / bytes_per_second) / 10.0
  return min(max(fitting, _LEAST_SECONDS), longest)


def _write(
  folder: Path, tasks: Sequence[PageTask], seconds: float, wav: bool
) -> None:
  total = sum(len(task.sounds) for task in tasks)
  described = []
  with Progress(
    total, "wrote %.0f %% of the page's sounds", unit="sound", is_shown=True
  ) as progress:
    for task in tasks:
      written, stretches = {}, {}
      for file in task.files:
        target, sample_rate = audio.read(task.target(file))
        stretch = audio.liveliest(target, sample_rate, seconds)
        stretches[file] = {
          "start": round(stretch.start / sample_rate, 2),
          "seconds": round((stretch.stop - stretch.start) / sample_rate, 3),
          "of": round(len(target) / sample_rate, 3),
        }
        for sound in task.versions_of(file):
          written[sound] = _write_sound(folder, task, sound, stretch, wav)
          progress.advance(1)
      described.append(contents.describe(task, written, stretches))
  contents.write(folder, {"tasks": described})


def _write_sound(
  folder: Path, task: PageTask, sound: Sound, stretch: slice, wav: bool
) -> dict:
  """Writes one sound and its picture; returns what the page must know."""
  whole, sample_rate = audio.read(sound)
  cut, quiet_lufs = audio.cut(
    whole, stretch, sample_rate=sample_rate, loudness_lufs=task.loudness_lufs
  )
  stem = task.stem(sound)
  path = folder / f"{stem}.flac"
  path.parent.mkdir(parents=True, exist_ok=True)
  path.write_bytes(audio.flac(cut, sample_rate))
  thumbnails.write_spectrogram(path.with_suffix(".png"), cut, sample_rate)
  found = {"stem": stem, "wave": thumbnails.waveform(cut)}
  if wav:
    files.write(path.with_suffix(".wav"), cut, sample_rate)
    found["wav"] = True
  if quiet_lufs is not None:
    found["quiet"] = f"{quiet_lufs:.1f}"
  return found
