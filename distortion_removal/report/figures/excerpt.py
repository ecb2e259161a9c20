"""One excerpt by every method, as spectrograms beside each other."""

import math
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from distortion_removal.audio import files
from distortion_removal.report import methods, spectrogram
from distortion_removal.report.figures import canvas
from distortion_removal.report.results import Results, Sound

_LONGEST_SECONDS = 10.0  # of longer excerpts the start is shown


@canvas.look()
def draw(results: Results) -> Figure | None:
  """The first excerpt with sounds, at its middle level.

  The input, the target, the estimates and the residual of the best: estimate
  less target. The best has the highest SI-SDR here and is no oracle if there
  is another. All on one scale, in dB below the target's peak; of several
  channels the first. None where there are no sounds.
  """
  chosen = choose(results)
  if not chosen:
    return None
  audio, sample_rate = _read(chosen)
  scores = _scores(results, chosen)
  target = spectrogram.spectrogram(audio[methods.CLEAN], sample_rate)
  panels = [
    (title, spectrogram.spectrogram(signal, sample_rate))
    for title, signal in _panels(scores, audio)
  ]
  figure = _grid(panels, target.peak_db)
  figure.suptitle(_title(results, chosen))
  return figure


def choose(results: Results) -> dict[str, Sound]:
  """Sounds by method, of one excerpt and level that has a target; or none."""
  for file in dict.fromkeys(sound.file for sound in results.sounds):
    found = [s for s in results.sounds if s.file == file]
    levels = sorted({s.level for s in found if s.level is not None})
    level = levels[len(levels) // 2] if levels else None
    chosen = {s.method: s for s in found if s.level in (level, None)}
    if methods.CLEAN in chosen and len(chosen) > 1:
      return chosen
  return {}


def best_method(scores: Mapping[str, float]) -> str | None:
  """The estimate with the best score; an oracle only if there is no other."""
  estimates = [method for method in scores if method != methods.DISTORTED]
  fair = [method for method in estimates if not methods.is_oracle(method)]
  known = {m: scores[m] for m in fair or estimates if np.isfinite(scores[m])}
  return max(known, key=lambda method: known[method], default=None)


def _read(chosen: Mapping[str, Sound]) -> tuple[dict[str, np.ndarray], int]:
  """The first channel of each, `[time]`, from the start."""
  audio = {}
  for method, sound in chosen.items():
    samples, sample_rate = files.read(sound.path)
    audio[method] = sound.scale * samples[:, 0]
  longest = round(_LONGEST_SECONDS * sample_rate)
  length = min(longest, *map(len, audio.values()))
  return {method: x[:length] for method, x in audio.items()}, sample_rate


def _scores(results: Results, chosen: Mapping[str, Sound]) -> dict[str, float]:
  """The SI-SDR in dB of the chosen sounds, in the order of all figures."""
  found = {}
  scores = results.scores("si_sdr")
  for method in methods.in_order(chosen):
    if method != methods.CLEAN:
      sound = chosen[method]
      is_known = sound.file in results.files and sound.level in results.levels
      if method in scores and is_known:
        place = (
          results.files.index(sound.file),
          results.levels.index(sound.level),
        )
        found[method] = float(scores[method][place])
      else:
        found[method] = np.nan
  return found


def _panels(
  scores: Mapping[str, float], audio: Mapping[str, np.ndarray]
) -> Iterator[tuple[str, np.ndarray]]:
  """Yields titles and signals: input, target, estimates, residual."""
  titles = {methods.DISTORTED: "", methods.CLEAN: "target"}
  for method in [*titles, *(m for m in scores if m not in titles)]:
    if method in audio:
      yield titles.get(method) or _scored(method, scores), audio[method]
  best = best_method(scores)
  if best is not None:
    title = f"residual of {canvas.short_label(best, 18)}"
    yield title, audio[best] - audio[methods.CLEAN]


def _scored(method: str, scores: Mapping[str, float]) -> str:
  label = canvas.short_label(method, 20)
  score = scores[method]
  if not np.isfinite(score):
    return label
  return f"{label}, {score:.1f} dB".replace(", -", ", \N{MINUS SIGN}")


def _grid(
  panels: Sequence[tuple[str, spectrogram.Spectrogram]], top_db: float
) -> Figure:
  """Draws the panels beside each other, on one scale."""
  # As few empty places as can be.
  columns = min((3, 4), key=lambda c: (-len(panels) % c, c))
  columns = min(columns, len(panels))
  rows = math.ceil(len(panels) / columns)
  figure = Figure(
    figsize=(canvas.TWO_COLUMNS, 0.8 + 1.25 * rows), layout="constrained"
  )
  axes = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)
  for axis in axes.flat[len(panels) :]:
    axis.remove()
  for axis, (title, shown) in zip(axes.flat, panels, strict=False):
    image = spectrogram.show(axis, shown, top_db)
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
  sound = next(s for m, s in chosen.items() if m != methods.CLEAN)
  file = sound.file if len(sound.file) <= 40 else f"…{sound.file[-39:]}"
  text = f"{results.task_label}, {results.dataset}: {file}"
  if sound.level is not None:
    level = f"{sound.level:g} {results.level_unit}".strip()
    text += f" at {results.level_label} {level}"
  return f"{text}\nabove each its SI-SDR; residual: estimate less target"
