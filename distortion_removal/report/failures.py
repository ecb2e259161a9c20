"""What goes wrong with one excerpt, told in one line, and never twice."""

from collections.abc import Iterable, Mapping, Sequence

_LONGEST = 300  # characters


def reason(error: BaseException) -> str:
  """An exception in one line: its class, and how its message begins."""
  lines = str(error).strip().splitlines() or [""]
  text = f"{type(error).__name__}: {lines[0]}" if lines[0] else repr(error)
  return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"


def of(row: Mapping) -> str | None:
  """What went wrong with a row of results.jsonl: the method, or a metric."""
  return row.get("error") or row.get("metric_errors")


def counts(rows: Iterable[Mapping]) -> dict[str, int]:
  """On how many excerpts each method has failed, of rows of results.jsonl."""
  files: dict[str, set[str]] = {}
  for row in rows:
    if row.get("error"):
      files.setdefault(row["method"], set()).add(row["file"])
  return {method: len(names) for method, names in files.items()}


def notes(rows: Sequence[Mapping], excerpts: int) -> list[str]:
  """The failures of methods, and of metrics, as lines for people."""
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


def whole(rows: Sequence[Mapping]) -> dict[str, str]:
  """Methods that have failed on all excerpts, with the first one's error."""
  errors: dict[str, list[str | None]] = {}
  for row in rows:
    errors.setdefault(row["method"], []).append(row.get("error"))
  return {name: found[0] for name, found in errors.items() if all(found)}
