"""The tables of one task on one data set, as text."""

import dataclasses
import itertools
from collections.abc import Callable, Iterator, Sequence

from distortion_removal import metrics
from distortion_removal.report.analysis import Study
from distortion_removal.report.methods import in_order, method_label
from distortion_removal.report.tables import cells, notes
from distortion_removal.report.tables.cells import GAP
from distortion_removal.report.tables.published import published
from distortion_removal.report.tables.table import RowGroup, Table

TIMES = "\N{MULTIPLICATION SIGN}"
# Returns a method's cells, without its name.
_Row = Callable[[str], list[str]]


def all_tables(study: Study) -> list[Table]:
  """Returns all metrics in one table, each by level, and the comparisons."""
  tables = [overview(study)]
  for name in study.results.metrics:
    tables.append(level_table(study, name))
    if name in study.analyses:
      tables.append(mean_table(study, name))
  if any(analysis.comparisons for analysis in study.analyses.values()):
    tables.append(comparison_table(study))
  return tables


def overview(study: Study) -> Table:
  """Makes a row per method, a column per metric; all levels together."""
  results, theirs = study.results, published(study.results.task)
  names = results.metrics
  excerpts = {method: set() for method in results.methods}
  for row in results.rows:
    if not row.get("error"):
      excerpts[row["method"]].add(row["file"])

  def own(method: str) -> list[str]:
    scores = (_cells(study, name, method)[-1] for name in names)
    return [str(len(excerpts[method])), *scores]

  def paper(method: str) -> list[str]:
    return ["", *(cells.published_score(theirs, x, method) for x in names)]

  return _table(
    study,
    names,
    kind="overview",
    what="Scores over all levels",
    columns=["excerpts", *(metrics.get(name).heading for name in names)],
    own=own,
    paper=paper if theirs else None,
    first_notes=[
      *([notes.QUARTILES] if study.analyses else []),
      *(notes.windows(results, x) for x in names if x not in study.analyses),
      *notes.best_baselines(study.analyses.values()),
    ],
  )


def level_table(study: Study, name: str) -> Table:
  """Makes a table of one metric, a column per level, and one for all levels.

  Medians with quartiles, or the numbers of a metric of sets.
  """
  if name not in study.analyses:
    kind, first_notes = "", [notes.windows(study.results, name)]
  else:
    baseline = notes.best_baselines([study.analyses[name]])
    kind, first_notes = "median", [notes.QUARTILES, *baseline]
  return _by_level(
    study,
    name,
    kind=kind,
    own=lambda method: _cells(study, name, method),
    first_notes=first_notes,
  )


def median_table(study: Study, name: str) -> Table:
  """Makes the same table of a metric's medians alone."""
  metric, summaries = metrics.get(name), study.analyses[name].summaries
  return _by_level(
    study,
    name,
    kind="median",
    own=lambda m: [metric.text(x.median) for x in summaries[m]],
  )


def mean_table(study: Study, name: str) -> Table:
  """Makes a table of a metric's means with intervals, a column per level."""
  theirs = published(study.results.task)
  metric, summaries = metrics.get(name), study.analyses[name].summaries
  means = theirs.mean_by_level.get(name, {}) if theirs else {}

  def paper(method: str) -> list[str]:
    known = (means[method].get(x) for x in (*study.results.levels, None))
    return ["" if x is None else metric.text(x) for x in known]

  return _by_level(
    study,
    name,
    kind="mean",
    own=lambda method: [cells.interval(x, metric) for x in summaries[method]],
    paper=paper if means else None,
    first_notes=[notes.INTERVALS],
  )


def comparison_table(study: Study) -> Table:
  """Makes a table of each method against the best baseline, by each metric."""
  analyses = {n: a for n, a in study.analyses.items() if a.comparisons}
  sections = [
    RowGroup(
      analysis.metric.heading,
      [
        [
          method_label(method),
          method_label(test.reference),
          str(test.count),
          analysis.metric.text(test.difference),
          cells.p_value(test.p),
          cells.p_value(test.p_holm) + cells.stars(test.p_holm),
        ]
        for method, test in analysis.comparisons.items()
      ],
    )
    for analysis in analyses.values()
  ]
  return Table(
    name=f"{study.stem}_comparisons",
    caption=_caption("Paired comparisons over all levels", study),
    header=["method", "against", "pairs", "median difference", "p", "p (Holm)"],
    sections=sections,
    notes=[
      *notes.best_baselines(analyses.values()),
      *notes.common(study, tuple(analyses)),
    ],
  )


def numbers(study: Study) -> Iterator[dict]:
  """Yields all numbers of the tables in full, a row of a CSV file each."""
  levels = (*study.results.levels, "all")
  for name, analysis in study.analyses.items():
    for method, summaries in analysis.summaries.items():
      for level, summary in zip(levels, summaries, strict=True):
        place = {"metric": name, "method": method, "level": level}
        yield place | dataclasses.asdict(summary)
      if test := analysis.comparisons.get(method):
        yield place | dataclasses.asdict(test)
  for row in study.results.systems:
    level = row[study.results.level_name]
    level = "all" if level is None else level
    place = {"method": row["method"], "level": level}
    for name in study.results.metrics:
      if name in row and name not in study.analyses:
        windows = row[f"{name}_windows"]
        yield {"metric": name, **place, "value": row[name], "windows": windows}


def _by_level(
  study: Study,
  name: str,
  *,
  kind: str,
  own: _Row,
  paper: _Row | None = None,
  first_notes: Sequence[str] = (),
) -> Table:
  """Makes a table of one metric with a column per level, and one for all."""
  results = study.results
  levels = [f"{x:g} {results.level_unit}".strip() for x in results.levels]
  score = metrics.get(name).heading
  return _table(
    study,
    (name,),
    kind="_".join(filter(None, (name, kind))),
    what=f"{kind.capitalize()} {score} by {results.level_label}".strip(),
    columns=[*levels, "all"],
    own=own,
    paper=paper,
    first_notes=first_notes,
  )


def _table(
  study: Study,
  names: Sequence[str],  # of the metrics
  *,
  kind: str,  # the last part of the table's name
  what: str,  # the first words of the caption
  columns: Sequence[str],  # the header without "method"
  own: _Row,
  paper: _Row | None,
  first_notes: Sequence[str],  # before those that all tables have
) -> Table:
  """Makes a table of one's own rows and, unless it is None, the paper's."""
  results, theirs = study.results, published(study.results.task)
  dashes = [GAP] * len(columns)
  rows = [
    [method_label(m), *(own(m) if m in results.methods else dashes)]
    for m in in_order([*results.methods, *results.left_out])
  ]
  sections, last_notes = [RowGroup("", rows)], []
  if paper:
    methods = in_order(itertools.chain(*map(theirs.methods, names)))
    their_rows = [[method_label(m), *paper(m)] for m in methods]
    sections = [
      RowGroup(f"your data set {results.dataset}", rows),
      RowGroup(f"{theirs.citation}, {theirs.dataset}", their_rows),
    ]
    last_notes = notes.of_published(theirs, results)
  return Table(
    name=f"{study.stem}_{kind}",
    caption=_caption(what, study),
    header=["method", *columns],
    sections=sections,
    notes=[*first_notes, *notes.common(study, names), *last_notes],
  )


def _cells(study: Study, name: str, method: str) -> list[str]:
  """Returns a method's scores by level and, with stars, of all levels."""
  metric = metrics.get(name)
  if name not in study.analyses:
    scores = study.results.system_scores(name).get(method, {})
    levels = (*study.results.levels, None)
    return [metric.text(scores.get(level)) for level in levels]
  analysis = study.analyses[name]
  texts = [
    cells.quartiles((summary.q1, summary.median, summary.q3), metric)
    for summary in analysis.summaries[method]
  ]
  test = analysis.comparisons.get(method)
  texts[-1] += cells.stars(test.p_holm) if test else ""
  return texts


def _caption(what: str, study: Study) -> str:
  results = study.results
  excerpts = notes.counted(len(results.files), "excerpt")
  levels = notes.counted(len(results.levels), "level")
  return f"{what}: {results.title}, {excerpts} {TIMES} {levels}"
