"""The listening page: one static folder that any browser opens from disk.

    excerpts × (distorted, target, methods), a table per task

of results that have sounds. The data flow one way: `contents` arranges what is
to be heard, `audio` and `thumbnails` make files of it, `contents` describes
these as JSON, and `markup` puts it into a page that `page.js` fills, with
`player.js` to play and `flac.js` for browsers that cannot play FLAC.
"""

import dataclasses
import math
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from distortion_removal.common.errors import UserError
from distortion_removal.common.log import Progress, logger
from distortion_removal.report.page import (
  audio,
  contents,
  markup,
  thumbnails,
)
from distortion_removal.report.page.contents import Table
from distortion_removal.report.page.replacing import replacing
from distortion_removal.report.results import Results, Sound

_TITLE = "Distortion removal: listening examples"
_LEAST_SECONDS = 1.0
_TRIAL_SECONDS = 3.0
_TRIALS = 24
# Of the budget: music varies, and what is tried is a sample.
_SHARE = 0.96


@dataclasses.dataclass(frozen=True)
class _Options:
  seconds: float
  wav: bool


def write_page(
  results: Sequence[Results],
  folder: str | os.PathLike,
  *,
  loudness_lufs: float | None = None,
  seconds: float | None = None,
  excerpts: int | None = None,
  megabytes: float = 60.0,
  wav: bool = False,
  title: str = _TITLE,
) -> Path:
  """Writes the listening page of evaluations that kept sounds.

  Sounds are 16-bit FLAC files at the data's own rate: the liveliest stretch of
  each excerpt, the same for all its versions, each normalised to the loudness
  on its own. A page that is already there is replaced once the new one is
  complete.

  Args:
    results: one per task and data set; those without sounds are left out.
    folder: of the page itself.
    loudness_lufs: of every sound; None takes the task's own (−19 or −23).
    seconds: of every sound at most; None takes the longest that fits.
    excerpts: of each task at most; None takes all that have sounds.
    megabytes: the page's greatest size, in 10⁶ bytes.
    wav: whether to add WAV files, for browsers that cannot play FLAC even where
      the page is opened from disk. It about triples the page.
    title: of the page.

  Returns:
    The page, `folder / "index.html"`.

  Raises:
    UserError: no result has sounds, a sound is missing or damaged, the folder
      holds something else, or the page does not fit into `megabytes`.
  """
  folder = Path(folder)
  check_options(
    seconds=seconds,
    excerpts=excerpts,
    megabytes=megabytes,
    loudness_lufs=loudness_lufs,
  )
  tables = contents.arrange(
    results, loudness_lufs=loudness_lufs, excerpts=excerpts
  )
  _tell_what_is_missing(results)
  with replacing(folder, is_ours=markup.is_page) as partial:
    wanted = seconds or _fitting_seconds(tables, megabytes=megabytes, wav=wav)
    while True:
      _write(partial, tables, _Options(wanted, wav), title=title)
      size = _size(partial) / 1e6
      if size <= megabytes:
        break
      shorter = _rounded(wanted * _SHARE * megabytes / size)
      if seconds or shorter < _LEAST_SECONDS:
        raise _too_large(f"has {size:.1f} MB", megabytes)
      logger.info("%.1f MB with %g s a sound; shortening", size, wanted)
      wanted = shorter
  logger.info("the listening page has %.1f MB", size)
  return folder / "index.html"


def check_options(
  *,
  seconds: float | None = None,
  excerpts: int | None = None,
  megabytes: float | None = None,
  loudness_lufs: float | None = None,
  **_: Any,
) -> None:
  """Raises UserError for options of `write_page` that no page can have."""
  positive = {"seconds": seconds, "excerpts": excerpts, "megabytes": megabytes}
  for name, value in positive.items():
    if value is not None and not 0 < value < math.inf:
      raise UserError(
        f"--page_{name} of the listening page must be above 0 and finite: "
        f"{value}"
      )
  if loudness_lufs is not None and not math.isfinite(loudness_lufs):
    raise UserError(f"--page_loudness must be finite: {loudness_lufs}")


def _tell_what_is_missing(results: Sequence[Results]) -> None:
  silent = [result for result in results if not result.sounds]
  advice = "evaluate it with --config.listen_excerpts=8 to hear it"
  for result in silent:
    what = f"{result.task_label} on {result.dataset}"
    logger.warning("%s kept no sounds: %s", what, advice)
  if len(silent) == len(results):
    raise UserError(f"there are no sounds for a listening page; {advice}")


def _fitting_seconds(
  tables: Sequence[Table], *, megabytes: float, wav: bool
) -> float:
  """How long each sound may be, from a sample of them."""
  every = [(t, sound) for t in tables for sound in t.sounds.values()]
  trials = every[:: math.ceil(len(every) / _TRIALS)]
  per_second, fixed = [], []
  for table, sound in trials:
    sample, sample_rate = audio.read(sound)
    clip = audio.clip(
      sample,
      slice(0, min(len(sample), round(_TRIAL_SECONDS * sample_rate))),
      sample_rate=sample_rate,
      loudness_lufs=table.loudness_lufs,
    )
    size = len(audio.flac(clip)) + (len(audio.wav(clip)) if wav else 0)
    per_second.append(size * sample_rate / max(1, len(clip.audio)))
    fixed.append(len(_picture(clip)) + 600)  # A place in index.html, too.
  mean = len(every) / len(trials)
  room = _SHARE * megabytes * 1e6 - mean * sum(fixed)
  fitting = _rounded(room / (mean * sum(per_second)))
  longest = max(
    audio.length_seconds(table.target(file))
    for table in tables
    for file in table.files
  )
  if fitting < min(_LEAST_SECONDS, longest):
    what = f"with {len(every)} sounds does not fit"
    raise _too_large(what, megabytes)
  return min(fitting, longest)


def _rounded(seconds: float) -> float:
  return math.floor(10.0 * seconds) / 10.0


def _too_large(what: str, megabytes: float) -> UserError:
  return UserError(
    f"the listening page {what}, more than the {megabytes:g} MB it may have; "
    "allow more (--page_megabytes), or take fewer excerpts (--page_excerpts) "
    "or seconds (--page_seconds)"
  )


def _write(
  folder: Path, tables: Sequence[Table], options: _Options, *, title: str
) -> None:
  total = sum(len(table.sounds) for table in tables)
  described = []
  with Progress(
    total, "wrote %.0f %% of the page's sounds", unit="sound", is_shown=True
  ) as shown:
    for table in tables:
      described.append(_write_table(folder, table, options, shown))
  markup.write(folder, {"tasks": described}, title=title)


def _write_table(
  folder: Path, table: Table, options: _Options, shown: Progress
) -> dict:
  """Writes one task's sounds and pictures, and describes them."""
  clips, stretches = {}, {}
  quiet = 0
  for file in table.files:
    target, sample_rate = audio.read(table.target(file))
    start = audio.liveliest_start(
      target, sample_rate=sample_rate, seconds=options.seconds
    )
    part = audio.stretch(
      len(target),
      sample_rate=sample_rate,
      start_seconds=start,
      seconds=options.seconds,
    )
    stretches[file] = {
      "start": round(start, 2),
      "seconds": round((part.stop - part.start) / sample_rate, 3),
      "of": round(len(target) / sample_rate, 3),
    }
    for sound in (s for s in table.sounds.values() if s.file == file):
      clips[sound] = _write_sound(folder, table, sound, start, options)
      quiet += "quiet" in clips[sound]
      shown.advance(1)
  if quiet:
    logger.info(
      "%s: %d of %d sounds are quieter than %g LUFS, for their peak is full",
      table.results.task_label,
      quiet,
      len(clips),
      table.loudness_lufs,
    )
  return contents.describe(table, clips, stretches)


def _write_sound(
  folder: Path, table: Table, sound: Sound, start: float, options: _Options
) -> dict:
  """Writes one sound and its picture; returns what the page must know."""
  whole, sample_rate = audio.read(sound)
  part = audio.stretch(
    len(whole),
    sample_rate=sample_rate,
    start_seconds=start,
    seconds=options.seconds,
  )
  clip = audio.clip(
    whole,
    part,
    sample_rate=sample_rate,
    loudness_lufs=table.loudness_lufs,
  )
  stem = table.stem(sound)
  place = folder / stem
  place.parent.mkdir(parents=True, exist_ok=True)
  audio.write(place, clip, with_wav=options.wav)
  place.with_suffix(".png").write_bytes(_picture(clip))
  found = {"stem": stem, "wave": thumbnails.waveform(clip.audio)}
  if options.wav:
    found["wav"] = True
  if clip.quiet_lufs is not None:
    found["quiet"] = f"{clip.quiet_lufs:.1f}"
  return found


def _picture(clip: audio.Clip) -> bytes:
  return thumbnails.png(
    thumbnails.spectrogram(clip.audio, sample_rate=clip.sample_rate)
  )


def _size(folder: Path) -> int:
  return sum(path.stat().st_size for path in folder.rglob("*"))
