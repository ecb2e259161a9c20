"""Tables and figures of a survey's scores beside the published means."""

import argparse
import functools
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from distortion_removal import metrics
from distortion_removal.common import cores
from distortion_removal.common.errors import one_line_errors
from distortion_removal.common.files import write_whole
from distortion_removal.common.log import say
from distortion_removal.evaluation.timing import cpu_name
from distortion_removal.report.figures import drawing
from distortion_removal.report.methods import DISTORTED, method_label, styles
from distortion_removal.report.results import Results, load
from distortion_removal.report.tables.cells import GAP
from distortion_removal.report.tables.table import (
  RowGroup,
  Table,
  markdown_page,
)

METRICS = ("delta_sdr", "peaq", "r_nonlin")
_COLUMNS = (  # of scores.jsonl
  *("file", "method", "input_sdr_db", "audio_seconds", "compute_seconds"),
  *("sdr", *METRICS, "delta_sdr_clipped", "error"),
)


@functools.cache
def published() -> dict:
  """Reads the survey's means, by input SDR from 1 to 20 dB."""
  path = Path(__file__).with_name("published.json")
  return json.loads(path.read_text(encoding="utf-8"))


def mean_scores(results: Results, name: str) -> dict[str, np.ndarray]:
  """Returns each method's mean over excerpts at each level; NaN: no score."""
  found = {}
  for method, table in results.scores(name).items():
    count = np.sum(~np.isnan(table), axis=0)
    total = np.nansum(table, axis=0)
    found[method] = np.where(count, total / np.maximum(count, 1), np.nan)
  return found


def seconds_per_second(results: Results) -> dict[str, float]:
  """Returns each method's seconds of computing for a second of audio.

  Over all excerpts and levels, without those on which it failed.
  """
  found = {}
  for method in results.methods:
    rows = [
      row
      for row in results.rows
      if row["method"] == method and row["compute_seconds"] is not None
    ]
    audio = sum(row["audio_seconds"] for row in rows)
    if audio and method != DISTORTED:
      found[method] = sum(row["compute_seconds"] for row in rows) / audio
  return found


def score_table(results: Results, name: str) -> Table:
  """Makes a table of one metric: own means, and the survey's."""
  metric, theirs = metrics.get(name), published()
  counts = {
    method: np.sum(~np.isnan(table).all(axis=1))
    for method, table in results.scores(name).items()
  }
  own = [
    [method_label(method), str(counts[method]), *map(metric.text, means)]
    for method, means in mean_scores(results, name).items()
    if not (method == DISTORTED and name == "delta_sdr")  # All are 0.
  ]
  rows = []
  for row in theirs["rows"]:
    if name in row:
      by_level = dict(zip(theirs["levels_db"], row[name], strict=True))
      known = [by_level.get(level) for level in results.levels]
      cells = [GAP if x is None else metric.text(x) for x in known]
      rows.append([row["label"], "", *cells])
  levels = [f"{x:g} {results.level_unit}" for x in results.levels]
  return Table(
    name=name,
    caption=f"Mean {metric.heading} by {results.level_label}",
    header=["method", "excerpts", *levels],
    sections=[
      RowGroup("your recordings", own),
      RowGroup(f"{theirs['citation']}: {theirs['dataset']}", rows),
    ],
  )


def time_table(results: Results) -> Table:
  """Makes a table of seconds of computing for a second of audio."""
  times = seconds_per_second(results)
  return Table(
    name="time",
    caption="Seconds of computing for a second of audio, mean over levels",
    header=["method", "s/s"],
    sections=[
      RowGroup("", [[method_label(m), f"{x:.3g}"] for m, x in times.items()])
    ],
    notes=[
      "Wall-clock time without compiling, all levels of an excerpt at once, "
      f"on {cpu_name()}, {cores.available()} cores, beside what else ran there."
    ],
  )


@drawing.look()
def draw(results: Results, name: str) -> Figure:
  """Draws a metric against the input SDR: own means solid, published dashed."""
  theirs, looks = published(), styles(results.methods)
  figure = Figure(figsize=(drawing.TWO_COLUMNS, 3.8), layout="constrained")
  axis = figure.subplots()
  for method, means in mean_scores(results, name).items():
    if method == DISTORTED and name == "delta_sdr":
      continue
    look = {"color": looks[method].colour, "marker": looks[method].marker}
    look |= {"markersize": 4.0, "label": method_label(method)}
    axis.plot(results.levels, means, **look)
    for row in theirs["rows"]:
      if row["method"] == method and name in row:
        values = np.array(row[name], float)
        look |= {"linestyle": "--", "linewidth": 0.8, "label": None}
        axis.plot(theirs["levels_db"], values, **look | {"markersize": 2.0})
  axis.set_xticks(results.levels, [f"{x:g}" for x in results.levels])
  axis.set_xlabel(f"{results.level_label} / {results.level_unit}")
  axis.set_ylabel(drawing.score_label(name), parse_math=True)
  axis.grid()
  handles, _ = axis.get_legend_handles_labels()
  handles.append(
    Line2D([], [], color="#404040", ls="--", lw=0.8, label=theirs["citation"])
  )
  figure.legend(handles=handles, loc="outside right center")
  return figure


def write_report(output: Path) -> str:
  """Writes report.md, scores.jsonl and METRIC.png; returns the tables.

  Args:
    output: has a folder `methods` of evaluations, and `survey.json`.
  """
  facts = json.loads((output / "survey.json").read_text())
  evaluated = sorted((output / "methods").glob("*/evaluation/*/results.jsonl"))
  (results,) = load([path.parent for path in evaluated])
  rows = [{k: row[k] for k in _COLUMNS if k in row} for row in results.rows]
  text = "".join(json.dumps(row) + "\n" for row in rows)
  write_whole(output / "scores.jsonl", text)
  for name in METRICS:
    drawing.save(draw(results, name), output / f"{name}.png")
  page = _page(results, facts)
  write_whole(output / "report.md", page)
  return page


def _page(results: Results, facts: Mapping) -> str:
  tables = [
    *(score_table(results, name) for name in METRICS),
    time_table(results),
  ]
  title = f"Declipping {len(results.files)} excerpts"
  sources = [f"- {source}" for source in published()["sources"]]
  lines = [
    f"`{facts['command']}`",
    "",
    f"Excerpts are the loudest {facts['seconds']:g} s of a recording (at most "
    f"{facts['count']} of each), in mono at {results.sample_rate:g} Hz, at a "
    "peak of 1 before they are clipped: methods have constants that are "
    "absolute, such as A-SPADE's epsilon. ΔSDR is of the whole signal. Means "
    "over different excerpts do not compare: see their numbers.",
    "",
    *(f"![{metrics.get(name).label}]({name}.png)" for name in METRICS),
    "",
    *sources,
  ]
  return markdown_page(title, tables) + "\n" + "\n".join(lines) + "\n"


def main(argv: Sequence[str] | None = None) -> None:
  """Reports on the folder of a survey."""
  parser = argparse.ArgumentParser(prog="python -m experiments.survey.report")
  parser.add_argument("--output", type=Path, required=True)
  with one_line_errors():
    say(write_report(parser.parse_args(argv).output))


if __name__ == "__main__":
  main()
