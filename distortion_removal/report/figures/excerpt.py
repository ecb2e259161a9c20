"""One excerpt by every method, as spectrograms beside each other."""

import math
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from distortion_removal.audio import files
from distortion_removal.common.files import one_line
from distortion_removal.report.figures import drawing
from distortion_removal.report.methods import CLEAN, DISTORTED, family, in_order
from distortion_removal.report.results import Results, Sound
from distortion_removal.report.spectrogram import Spectrogram, show, spectrogram


@drawing.look()
def draw(results: Results) -> Figure | None:
  """Draws the first excerpt with sounds, at its middle level.

  The panels are the input, the target, the estimates and the residual of the
  best: estimate less target. The best has the highest SI-SDR here and is no
  oracle if there is another method. All are on one scale, in dB below the
  target's peak; of several channels the first is drawn. None without sounds.
  """
  chosen = _choose(results)
  if not chosen:
    return None
  audio, sample_rate = _read(chosen)
  scores = _scores(results, chosen)
  panels = [
    (title, spectrogram(signal, sample_rate))
    for title, signal in _panels(scores, audio)
  ]
  figure = _grid(panels, spectrogram(audio[CLEAN], sample_rate).peak_db)
  figure.suptitle(_title(results, chosen))
  return figure


def _choose(results: Results) -> dict[str, Sound]:
  """Returns sounds by method, of one excerpt and level that has a target."""
  for file in dict.fromkeys(sound.file for sound in results.sounds):
    found = [s for s in results.sounds if s.file == file]
    levels = sorted({s.level for s in found if s.level is not None})
    level = levels[len(levels) // 2] if levels else None
    chosen = {s.method: s for s in found if s.level in (level, None)}
    if CLEAN in chosen and len(chosen) > 1:
      return chosen
  return {}


def _read(chosen: Mapping[str, Sound]) -> tuple[dict[str, np.ndarray], int]:
  """Reads the first channel of each, `[time]`, from the start."""
  audio = {}
  for method, sound in chosen.items():
    samples, sample_rate = files.read(sound.path)
    audio[method] = sound.scale * samples[:, 0]
  longest = round(10.0 * sample_rate)  # longer ones would be too dense
  length = min(longest, *map(len, audio.values()))
  return {method: x[:length] for method, x in audio.items()}, sample_rate


def _scores(results: Results, chosen: Mapping[str, Sound]) -> dict[str, float]:
  """Returns the chosen sounds' SI-SDR in dB, NaN without, in order."""
  known = {
    (row["file"], row["method"], row[results.level_name]): row.get("si_sdr")
    for row in results.rows
  }
  found = {}
  for method in in_order(chosen):
    if method != CLEAN:
      score = known.get((chosen[method].file, method, chosen[method].level))
      found[method] = np.nan if score is None else score
  return found


def _panels(
  scores: Mapping[str, float], audio: Mapping[str, np.ndarray]
) -> Iterator[tuple[str, np.ndarray]]:
  """Yields titles and signals: input, target, estimates, residual."""
  if DISTORTED in scores:
    yield _scored(DISTORTED, scores), audio[DISTORTED]
  yield "target", audio[CLEAN]
  for method in scores:
    if method != DISTORTED:
      yield _scored(method, scores), audio[method]
  best = _best_method(scores)
  if best is not None:
    title = f"residual of {drawing.short_label(best, 18)}"
    yield title, audio[best] - audio[CLEAN]


def _best_method(scores: Mapping[str, float]) -> str | None:
  """Returns the best estimate; an oracle only if there is no other."""
  estimates = [method for method in scores if method != DISTORTED]
  fair = [m for m in estimates if family(m) != "oracle"] or estimates
  known = [method for method in fair if np.isfinite(scores[method])]
  return max(known, key=lambda method: scores[method], default=None)


def _scored(method: str, scores: Mapping[str, float]) -> str:
  label, score = drawing.short_label(method, 20), scores[method]
  if not np.isfinite(score):
    return label
  return f"{label}, {score:.1f} dB".replace(", -", ", \N{MINUS SIGN}")


def _grid(panels: Sequence[tuple[str, Spectrogram]], top_db: float) -> Figure:
  """Draws the panels beside each other, on one scale."""
  # As few empty places as possible.
  columns = min((3, 4), key=lambda c: (-len(panels) % c, c))
  columns = min(columns, len(panels))
  rows = math.ceil(len(panels) / columns)
  size = (drawing.TWO_COLUMNS, 0.8 + 1.25 * rows)
  figure = Figure(figsize=size, layout="constrained")
  axes = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)
  for axis in axes.flat[len(panels) :]:
    axis.remove()
  for axis, (title, shown) in zip(axes.flat, panels, strict=False):
    image = show(axis, shown, top_db)
    axis.set_title(title, loc="left", fontsize=7.0)
  for axis in axes[:, 0]:
    axis.set_ylabel("frequency / kHz")
  for column in range(columns):
    lowest = axes[(len(panels) - 1 - column) // columns, column]
    lowest.set_xlabel("time / s")
    lowest.tick_params(labelbottom=True)
    lowest.xaxis.set_major_locator(MaxNLocator(3))
  label = "level / dB re the target's peak"
  figure.colorbar(image, ax=figure.axes, label=label, extend="both", pad=0.01)
  return figure


def _title(results: Results, chosen: Mapping[str, Sound]) -> str:
  sound = next(s for m, s in chosen.items() if m != CLEAN)
  file = one_line(sound.file)
  file = file if len(file) <= 40 else f"…{file[-39:]}"
  text = f"{results.task_label}, {results.dataset}: {file}"
  if sound.level is not None:
    level = f"{sound.level:g} {results.level_unit}".strip()
    text += f" at {results.level_label} {level}"
  return f"{text}\nabove each its SI-SDR; residual: estimate less target"
