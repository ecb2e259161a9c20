"""Scores of files as a table for a terminal."""

from collections.abc import Sequence

from distortion_removal import metrics
from distortion_removal.report.tables.cells import heading, score_text


def table(results: Sequence[dict], names: Sequence[str]) -> str:
  """A row per estimate, a column per metric; then the metrics' settings.

  Args:
    results: as of `score.score_files`; PEAQ's variables, where there are, come
      as a second table.
    names: of the metrics.
  """
  listed = {name: metrics.get(name) for name in names}
  rows = [["estimate", *map(heading, listed.values())]]
  for result in results:
    scores = (score_text(result[name], listed[name]) for name in names)
    rows.append([result["estimate"], *scores])
  lines = _aligned(rows)
  lines += ["", *(f"{m.label}: {m.settings}" for m in listed.values())]
  found = [result for result in results if "peaq_movs" in result]
  if found:
    rows = [["PEAQ", *(result["estimate"] for result in found)]]
    for name in found[0]["peaq_movs"]:
      values = (result["peaq_movs"][name] for result in found)
      rows.append([name, *("n/a" if x is None else f"{x:.4f}" for x in values)])
    lines += ["", *_aligned(rows)]
  return "\n".join(lines)


def _aligned(rows: Sequence[Sequence[str]]) -> list[str]:
  widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
  return [
    "  ".join(
      [row[0].ljust(widths[0])]
      + [x.rjust(w) for x, w in zip(row[1:], widths[1:], strict=True)]
    )
    for row in rows
  ]
