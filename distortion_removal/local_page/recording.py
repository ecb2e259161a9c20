"""One recording on the page: its file, what is found, and its restoration."""

import dataclasses
import functools
import itertools
import secrets
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from distortion_removal.audio import files
from distortion_removal.inference import analysis, batch, blind, output, traces
from distortion_removal.inference.finish import ATTENUATE, FLOAT, Finish
from distortion_removal.local_page import renditions
from distortion_removal.local_page.options import Options
from distortion_removal.local_page.renditions import (
  AFTER,
  BEFORE,
  DIFFERENCE,
  Sketch,
)

# As `restore.restore_recording`.
Restore = Callable[..., dict[str, Any]]
# Says what is done now; raises to end it.
Tell = Callable[[str], None]
RESULT, FLOAT_RESULT = "result", "result-float"


@dataclasses.dataclass
class Recording:
  """A recording and all that is made of it, in a folder of its own.

  Attributes:
    folder: for this recording alone.
    name: as the user's disk has it; no file here is called like that.
    source: the recording.
    files: what a browser may ask for, by name.
    shown: what it is told, for JSON.
  """

  folder: Path
  name: str
  source: Path
  id: str = dataclasses.field(default_factory=lambda: secrets.token_urlsafe(16))
  files: dict[str, Path] = dataclasses.field(default_factory=dict)
  shown: dict[str, Any] = dataclasses.field(default_factory=dict)
  # What is kept for a next restoration.
  _numbers: itertools.count = dataclasses.field(default_factory=itertools.count)
  _sketch: Sketch | None = None
  _spot: tuple[int, int, int] = (0, 0, 0)  # channel, start, end
  _found: list[blind.Found | None] | None = None
  _method: Mapping[str, Any] | None = None  # the restored one was made by it
  _lines: list[str] = dataclasses.field(default_factory=list)  # said of that

  def examine(self, tell: Tell) -> None:
    """Finds what is wrong with it, and makes what is heard and seen of it."""
    tell("looking at the recording")
    info = files.info(self.source)
    clipping, content = analysis.examine(self.source)
    tell("drawing it")
    traced = traces.trace(self.source, clipping)
    frames = np.rint(np.array(traced.spot_seconds) * info.sample_rate)
    channel = int(np.argmax(np.count_nonzero(traced.spot_signs, axis=1)))
    self._spot = channel, *frames.astype(int).tolist()
    blocks = renditions.versions(self.source, None, 1.0)[BEFORE]()
    self._sketch = renditions.sketch(blocks, info)
    shown = {
      "seconds": info.frames / info.sample_rate,
      "format": info.subtype if info.format == "ffmpeg" else info.format,
      "subtype": info.subtype,
      "found": content,
      "clipped": {
        "low": renditions.drawn(traced.is_low.astype(int)),
        "high": renditions.drawn(traced.is_high.astype(int)),
        "levels": traced.levels,
      },
      "histogram": {
        "edges": renditions.drawn(traced.edges[[0, -1]]),
        "counts": traced.counts.sum(axis=0).tolist(),
      },
      "spot": {
        "channel": channel,
        "seconds": traced.spot_seconds,
        BEFORE: renditions.drawn(traced.spot[channel : channel + 1])[0],
        "signs": traced.spot_signs[channel].tolist(),
      },
    }
    self._render(shown, {BEFORE: self._sketch}, 1.0)

  def restore(self, options: Options, restore: Restore, tell: Tell) -> None:
    """Restores it, unless that is done, and renders so much of the change.

    Args:
      options: how.
      restore: does it, as `restore.restore_recording`.
      tell: see `Tell`.
    """
    if options.is_automatic and self._found is None:
      tell("looking for an overdrive")
      self._found = blind.find(self.source, blind.OVERDRIVE)
      self.shown["effect"] = blind.describe(self._found, blind.OVERDRIVE)
    if options.arguments != self._method:
      tell("restoring")
      self._method, lines = None, []
      # All samples exactly, whatever the recording's format has room for.
      restore(
        self.source,
        self._restored,
        options.arguments | {"subtype": "DOUBLE"},
        Finish(),
        say=lines.append,
        found=self._found,
      )
      self._method = options.arguments
      self._lines = [line.replace(", as DOUBLE", "") for line in lines]
    tell("preparing what you hear")
    found = renditions.versions(self.source, self._restored, options.strength)
    info = files.info(self.source)
    sketches = {
      name: renditions.sketch(found[name](), info)
      for name in (AFTER, DIFFERENCE)
    }
    tell("writing the result")
    results, overflow = self._write_results(options.strength)
    restoration = {
      **options.shown,
      "file": self.download_name,
      "lines": self._lines,
      "overflow": overflow,
      "changes": sketches[DIFFERENCE].peak > 0.0,
    }
    shown = self.shown | {"restoration": restoration}
    sketches = {BEFORE: self._sketch} | sketches
    self._render(shown, sketches, options.strength, results)

  def discard(self) -> None:
    """Deletes all there is of it."""
    self.files = {}
    shutil.rmtree(self.folder, ignore_errors=True)

  @property
  def download_name(self) -> str:
    """The restored recording's name on the user's disk."""
    return batch.result_name(Path(self.name)).name

  @property
  def _restored(self) -> Path:
    """The whole restoration in DOUBLE."""
    return self.folder / "restored.wav"

  def _write_results(self, strength: float) -> tuple[dict[str, Path], str]:
    """Writes what the command would have written.

    Returns:
      The files, and what became of peaks beyond full scale: then there is a
      file of 32-bit floats as well, which has room for them.
    """
    suffix = batch.result_name(self.source).suffix
    after = renditions.versions(self.source, self._restored, strength)[AFTER]
    info = files.info(self.source)
    peak = max(float(np.abs(block).max()) for block in after())
    target = self._free(f"result{suffix}")
    write = functools.partial(output.write, source=info, peak=peak)
    subtype = output.choose_subtype(target, info, None)
    line = write(target, after(), subtype=subtype, on_overflow=ATTENUATE)
    found = {RESULT: target}
    if line:
      found[FLOAT_RESULT] = self._free("result.wav")
      write(found[FLOAT_RESULT], after(), subtype="FLOAT", on_overflow=FLOAT)
    return found, line.partition(" (--")[0]

  def _render(
    self,
    shown: Mapping[str, Any],
    sketches: Mapping[str, Sketch],
    strength: float,
    results: Mapping[str, Path] | None = None,
  ) -> None:
    """Makes sounds and pictures of the versions, and tells of all at once.

    Args:
      shown: what else there is to tell.
      sketches: of the versions.
      strength: see `renditions.versions`.
      results: files to download.
    """
    info = files.info(self.source)
    restored = self._restored if AFTER in sketches else None
    found = renditions.versions(self.source, restored, strength)
    gains = renditions.gains(sketches)
    top_db = renditions.top_db(sketches[BEFORE].power)
    made, views = dict(results or {}), {}
    for name, sketch in sketches.items():
      sound, picture = self._free(f"{name}.wav"), self._free(f"{name}.png")
      renditions.write_sound(sound, found[name](), info, gains[name])
      renditions.write_spectrogram(picture, sketch.power, top_db)
      made |= {sound.name: sound, picture.name: picture}
      views[name] = {
        "sound": sound.name,
        "picture": picture.name,
        "gain_db": round(20.0 * float(np.log10(gains[name])), 2),
        "low": renditions.drawn(sketch.low),
        "high": renditions.drawn(sketch.high),
      }
    spot = shown["spot"]
    if restored:
      spot = spot | {AFTER: self._spot_of(found[AFTER]())}
    old = self.files
    # Those before stay until no one is told of them any more.
    self.files = old | made
    self.shown = {**shown, "spot": spot, "views": views}
    self.files = made
    for path in old.values():
      path.unlink(missing_ok=True)

  def _spot_of(self, blocks: renditions.Blocks) -> list[float]:
    """Returns the samples of the spot with most clipping."""
    channel, first, last = self._spot
    start, found = 0, []
    for block in blocks:
      if start >= last:
        break
      here = slice(max(0, first - start), max(0, last - start))
      found.append(block[here, channel])
      start += len(block)
    return renditions.drawn(np.concatenate(found)[None])[0]

  def _free(self, name: str) -> Path:
    """Returns a new path: what is heard now may still be read."""
    return self.folder / f"{next(self._numbers)}-{name}"
