"""Every merged row of results as CSV, to go on with in other programs."""

from distortion_removal.report.results import Results
from distortion_removal.report.tables import formats

_FIRST = ("dataset", "task", "file", "method")
_COSTS = ("audio_seconds", "compute_seconds", "metric_seconds")
_REASONS = ("error", "metric_errors")
# The same in most rows; the CSV of all numbers has them.
_LEFT_OUT = ("settings",)


def text(results: Results) -> str:
  """The CSV file's text: known columns first, unknown ones last."""
  found = dict.fromkeys(column for row in results.rows for column in row)
  known = (*_FIRST, results.level_name, *results.metrics, *_COSTS, *_REASONS)
  columns = dict.fromkeys(column for column in known if column in found)
  columns |= dict.fromkeys(x for x in found if x not in _LEFT_OUT)
  return formats.csv_text(tuple(columns), results.rows)
