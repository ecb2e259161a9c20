"""Failures on single excerpts: one line each, counted in every table."""

from collections.abc import Iterable, Mapping, Sequence

_MAX_CHARACTERS = 300


def reason(error: BaseException) -> str:
  """Describes an exception in one line: its class and its message's start."""
  lines = str(error).strip().splitlines() or [""]
  text = f"{type(error).__name__}: {lines[0]}" if lines[0] else repr(error)
  if len(text) <= _MAX_CHARACTERS:
    return text
  return text[: _MAX_CHARACTERS - 1] + "…"


def counts(rows: Iterable[Mapping]) -> dict[str, int]:
  """Counts the excerpts each method failed on, in rows of results.jsonl."""
  files: dict[str, set[str]] = {}
  for row in rows:
    if row.get("error"):
      files.setdefault(row["method"], set()).add(row["file"])
  return {method: len(names) for method, names in files.items()}


def notes(rows: Sequence[Mapping], excerpts: int) -> list[str]:
  """Describes failures of methods and of metrics, a line each."""
  found = [
    f"{count} of {excerpts} excerpts failed for {method}: see results.jsonl."
    for method, count in counts(rows).items()
  ]
  scored = {row["file"] for row in rows if row.get("metric_errors")}
  if scored:
    found.append(
      f"Metrics failed on {len(scored)} of {excerpts} excerpts: see "
      "metric_errors in results.jsonl."
    )
  return found


def total_failures(rows: Sequence[Mapping]) -> dict[str, str]:
  """Finds methods that failed on every excerpt, with their first error."""
  errors: dict[str, list[str | None]] = {}
  for row in rows:
    errors.setdefault(row["method"], []).append(row.get("error"))
  return {name: found[0] for name, found in errors.items() if all(found)}
