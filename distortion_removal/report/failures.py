"""Failures on single excerpts: one line each."""

from collections.abc import Mapping, Sequence

from distortion_removal.common.files import as_text

_MAX_CHARACTERS = 300


def reason(error: BaseException) -> str:
  """Describes an exception in one line: its class and its message's start."""
  lines = as_text(str(error)).strip().splitlines() or [""]
  text = f"{type(error).__name__}: {lines[0]}" if lines[0] else repr(error)
  if len(text) <= _MAX_CHARACTERS:
    return text
  return text[: _MAX_CHARACTERS - 1] + "…"


def total_failures(rows: Sequence[Mapping]) -> dict[str, str]:
  """Finds methods that failed on every excerpt, with their first error."""
  errors: dict[str, list[str | None]] = {}
  for row in rows:
    errors.setdefault(row["method"], []).append(row.get("error"))
  return {name: found[0] for name, found in errors.items() if all(found)}
