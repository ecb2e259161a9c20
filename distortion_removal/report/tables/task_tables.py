"""The tables of one task on one data set, as text."""

from collections.abc import Callable, Sequence

from distortion_removal import metrics
from distortion_removal.report import methods
from distortion_removal.report.methods import method_label
from distortion_removal.report.result_files import has_failed
from distortion_removal.report.tables import cells, notes
from distortion_removal.report.tables.analysis import Study
from distortion_removal.report.tables.by_level import GAP, heading, text
from distortion_removal.report.tables.formats import Section, Table

# A method's cells, without its name.
Row = Callable[[str], list[str]]


def all_tables(study: Study) -> list[Table]:
  """All metrics in one, then each by level, then the comparisons."""
  tables = [overview(study)]
  for name in study.results.metrics:
    if name in study.analyses:
      tables += [median_table(study, name), mean_table(study, name)]
    else:
      tables.append(system_table(study, name))
  if any(analysis.comparisons for analysis in study.analyses.values()):
    tables.append(comparison_table(study))
  return tables


def overview(study: Study) -> Table:
  """A row per method, a column per metric; all levels together."""
  results = study.results
  evaluated = results.where(lambda row: not has_failed(row))

  def row(method: str) -> list[str]:
    count = evaluated[method].any(axis=1).sum()
    scores = (_over_levels(study, column, method) for column in columns)
    return [str(count), *scores]

  def paper(method: str) -> list[str]:
    return ["", *(_published(study, column, method) for column in columns)]

  columns = results.metrics
  sets = [column for column in columns if column not in study.analyses]
  told = list(study.analyses.values())
  return Table(
    name=f"{study.stem}_overview",
    caption=_caption("Scores over all levels", study),
    header=["method", "excerpts", *(heading(metrics.get(c)) for c in columns)],
    sections=_sections(study, columns, row, paper),
    notes=[
      *([notes.QUARTILES] if told else []),
      *(note for column in sets for note in notes.windows(results, column)),
      *notes.marks(told),
      *notes.losses(study, told),
      *notes.common(study, columns),
    ],
  )


def median_table(study: Study, name: str) -> Table:
  """Medians and quartiles of a metric, a column per level."""
  analysis = study.analyses[name]

  def row(method: str) -> list[str]:
    summaries = analysis.summaries[method][:-1]
    by_level = [cells.quartiles(x, analysis.metric) for x in summaries]
    return [*by_level, _over_levels(study, name, method)]

  return _by_level(
    study,
    name,
    kind="median",
    row=row,
    told=[
      notes.QUARTILES,
      *notes.marks([analysis]),
      *notes.losses(study, [analysis]),
    ],
  )


def mean_table(study: Study, name: str) -> Table:
  """Means of a metric with their intervals, a column per level."""
  analysis, theirs = study.analyses[name], study.published
  means = theirs.mean_by_level.get(name) if theirs else None

  def row(method: str) -> list[str]:
    summaries = analysis.summaries[method]
    return [cells.interval(x, analysis.metric) for x in summaries]

  def paper(method: str) -> list[str]:
    levels = (*study.results.levels, None)
    return [cells.number(means[method].get(x), analysis.metric) for x in levels]

  return _by_level(
    study,
    name,
    kind="mean",
    row=row,
    paper=paper if means else None,
    told=[notes.INTERVALS, *notes.losses(study, [analysis])],
  )


def system_table(study: Study, name: str) -> Table:
  """A metric of sets: one number per method and level, and for all."""
  results, metric = study.results, metrics.get(name)
  scores = results.system_scores(name)

  def row(method: str) -> list[str]:
    by_level = scores.get(method, {})
    return [text(by_level.get(x), metric) for x in (*results.levels, None)]

  return _by_level(
    study,
    name,
    kind="",
    row=row,
    told=[*notes.windows(results, name), *notes.losses(study)],
  )


def comparison_table(study: Study) -> Table:
  """Every method against the best baseline, by every metric."""
  analyses = {n: a for n, a in study.analyses.items() if a.comparisons}
  sections = [
    Section(
      heading(analysis.metric),
      [
        [
          method_label(method),
          method_label(c.reference),
          str(c.count),
          text(c.difference, analysis.metric),
          cells.p_value(c.p),
          cells.p_value(c.p_holm) + cells.stars(c.p_holm),
        ]
        for method, c in analysis.comparisons.items()
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
      *notes.marks(analyses.values()),
      *notes.losses(study, analyses.values()),
      *notes.common(study, tuple(analyses), with_paper=False),
    ],
  )


def _by_level(
  study: Study,
  name: str,
  *,
  kind: str,
  row: Row,
  told: Sequence[str],
  paper: Row | None = None,
) -> Table:
  """A table of one metric with a column per level, and one for all."""
  results = study.results
  levels = [f"{x:g} {results.level_unit}".strip() for x in results.levels]
  score = heading(metrics.get(name))
  what = f"{kind.capitalize()} {score} by {results.level_label}".strip()
  columns = (name,) if paper else ()
  return Table(
    name="_".join(filter(None, (study.stem, name, kind))),
    caption=_caption(what, study),
    header=["method", *levels, "all"],
    sections=_sections(study, columns, row, paper),
    notes=[*told, *notes.common(study, (name,), with_paper=bool(paper))],
  )


def _sections(
  study: Study, columns: Sequence[str], row: Row, paper: Row | None
) -> list[Section]:
  """One's own rows, with gaps for what does not apply, and the paper's."""
  results, theirs = study.results, study.published
  width = len(row(results.methods[0]))
  own = [
    [
      method_label(m),
      *(row(m) if m in results.methods else width * [GAP]),
    ]
    for m in methods.in_order([*results.methods, *results.left_out])
  ]
  known = notes.published_methods(study, columns)
  if not known:
    return [Section("", own)]
  return [
    Section(f"your data set {results.dataset}", own),
    Section(
      f"{theirs.citation}, {theirs.dataset}",
      [[method_label(method), *paper(method)] for method in known],
    ),
  ]


def _over_levels(study: Study, column: str, method: str) -> str:
  """A method's score of all levels together, with its marks."""
  metric = metrics.get(column)
  if column not in study.analyses:
    scores = study.results.system_scores(column).get(method, {})
    return text(scores.get(None), metric)
  analysis = study.analyses[column]
  found = analysis.comparisons.get(method)
  marks = cells.stars(found.p_holm) if found else ""
  return cells.quartiles(analysis.summaries[method][-1], metric) + marks


def _published(study: Study, column: str, method: str) -> str:
  """The paper's score of all levels together."""
  theirs, metric = study.published, metrics.get(column)
  if column in theirs.systems:
    return cells.number(theirs.systems[column].get(method), metric)
  return cells.bracketed(theirs.quartiles.get(column, {}).get(method), metric)


def _caption(what: str, study: Study) -> str:
  results = study.results
  excerpts = notes.counted(len(results.files), "excerpt")
  levels = notes.counted(len(results.levels), "level")
  size = f"{excerpts} {notes.TIMES} {levels}"
  return f"{what}: {results.task_label} on {results.dataset}, {size}"
