"""Sorts recordings into training, validation and test.

Recordings are kept or moved by groups: what shares a player, an instrument or
a song stays on one side. A recording without a group is one of its own.

A file below a folder called `train`, `valid` (`val`, `validation`) or `test`,
in any case, belongs to that split, and every other file to `train`. A split
without such a folder takes a tenth of the training groups, those whose name
hashes into its tenth, so a group keeps its split when others come or go. Of
very few groups it takes at least one, the one with the highest hash, as long
as one remains to train on.

A `splits.csv` beside the recordings has the last word. Its columns are `file`
(a path or glob), `group` and `split`; the last two may be left empty, and so
may `file` in a row that pins a group:

  file,group,split
  anna/*.wav,anna,
  duo/*.wav,anna,
  ,anna,test
  song 1.wav,,train

The first row that fits a file counts. A pin holds for the group as a whole,
and what is pinned to `train` is never taken by another split.
"""

import collections
import csv
import dataclasses
import hashlib
import io
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath

from distortion_removal.common.errors import UserError

SPLITS = ("train", "valid", "test")
SPLITS_CSV = "splits.csv"
_FOLDERS = {split: split for split in SPLITS}
_FOLDERS |= {"val": "valid", "validation": "valid"}
_HASH_RANGES = {"valid": (0.8, 0.9), "test": (0.9, 1.0)}


@dataclasses.dataclass(frozen=True)
class Pins:
  """The content of `splits.csv`: file to group, and group to split."""

  groups: Mapping[str, str] = dataclasses.field(default_factory=dict)
  sides: Mapping[str, str] = dataclasses.field(default_factory=dict)


def top_folder(name: str) -> str:
  """Returns a path's first folder that is not named as a split, or the path."""
  folders = PurePosixPath(name).parts[:-1]
  return next((f for f in folders if f.lower() not in _FOLDERS), name)


def read_csv(path: Path) -> tuple[set[str], list[tuple[str, dict[str, str]]]]:
  """Reads a table that a user writes beside recordings.

  Returns:
    The columns that its first line names, and the rows: where each stands
    (`FILE: line N`), and its cells by column, without blanks around them.
  """
  try:
    # Names as the system gives them, in whatever locale.
    text = os.fsdecode(path.read_text(encoding="utf-8-sig").encode())
  except UnicodeDecodeError:
    raise UserError(f"{path}: not in UTF-8; save it as UTF-8") from None
  reader = csv.DictReader(io.StringIO(text, newline=""))
  columns = {(column or "").strip() for column in reader.fieldnames or ()}
  rows = []
  try:
    for row in reader:
      cells = {k.strip(): (v or "").strip() for k, v in row.items() if k}
      rows.append((f"{path}: line {reader.line_num}", cells))
  except csv.Error as error:
    raise UserError(
      f"{path}: line {reader.line_num} cannot be read ({error}); look for a "
      "quotation mark that is not closed"
    ) from None
  return columns, rows


def read_pins(
  path: Path, names: Sequence[str], group: Callable[[str], str]
) -> Pins:
  """Reads `splits.csv`; without one, the groups are those of `group` alone.

  Args:
    path: the file.
    names: relative paths of all recordings.
    group: gives the group of a recording that no row gives one.
  """
  rows = list(_pin_rows(path)) if path.is_file() else []
  find, no_row = _finder(rows), {"file": "", "group": "", "split": ""}
  groups, used, sides = {}, set(), {}
  for name in names:
    row = find(name) or no_row
    groups[name] = row["group"] or group(name)
    used.add(row["file"])
    _pin(sides, groups[name], row["split"], path)
  known = set(groups.values())
  for row in rows:
    if row["file"] and row["file"] not in used:
      raise UserError(
        f"{path}: no recording is left for {row['file']!r}; correct the path, "
        "or move the row above the one that takes its files"
      )
    if not row["file"] and row["group"] not in known:
      raise UserError(f"{path}: no recording has the group {row['group']!r}")
    if not row["file"]:
      _pin(sides, row["group"], row["split"], path)
  return Pins(groups, sides)


def _pin_rows(path: Path) -> Iterator[dict[str, str]]:
  """Yields the rows, each with all three columns, checked one by one."""
  columns, rows = read_csv(path)
  if not columns <= {"file", "group", "split"} or len(columns) < 2:
    raise UserError(f"{path}: the first line must be file,group,split")
  for where, cells in rows:
    row = {key: cells.get(key, "") for key in ("file", "group", "split")}
    side = row["split"].lower()
    row["split"] = _FOLDERS.get(side, side)
    if row["split"] not in ("", *SPLITS) or not (row["file"] or row["group"]):
      raise UserError(
        f"{where} needs a file or a group, and a split of "
        f"{', '.join(SPLITS)} or none"
      )
    yield row


def _finder(
  rows: Sequence[dict[str, str]],
) -> Callable[[str], dict[str, str] | None]:
  """Makes a function that finds the first row that fits a recording.

  A row fits if its `file` is the path, or matches the path's end as a glob.
  """
  # A table may name every recording: what is no glob is not searched for.
  paths, ends, globs = {}, {}, []
  for i, row in enumerate(rows):
    if row["file"]:
      paths.setdefault(row["file"], i)
      if any(character in row["file"] for character in "*?["):
        globs.append(i)
      else:
        ends.setdefault(PurePosixPath(row["file"]).parts, i)

  def find(name: str) -> dict[str, str] | None:
    path = PurePosixPath(name)
    fits = [paths.get(name)]
    fits += [ends.get(path.parts[k:]) for k in range(len(path.parts))]
    fits.append(next((i for i in globs if path.match(rows[i]["file"])), None))
    first = min((i for i in fits if i is not None), default=None)
    return None if first is None else rows[first]

  return find


def _pin(sides: dict[str, str], group: str, side: str, path: Path) -> None:
  if side and sides.setdefault(group, side) != side:
    raise UserError(
      f"{path}: {group!r} is pinned to {sides[group]} and to {side}; a group "
      "stays on one side"
    )


def assign(
  names: Iterable[str], pins: Pins | None = None
) -> dict[str, list[str]]:
  """Sorts recordings into `train`, `valid` and `test`, see the module's text.

  Args:
    names: relative paths.
    pins: their groups, and the split of some of those.

  Returns:
    Split to its recordings, sorted; a split may be empty.
  """
  pins = pins or Pins()
  members = collections.defaultdict(list)
  for name in names:
    members[pins.groups.get(name, name)].append(name)
  sides = {
    group: pins.sides.get(group) or _folder_side(group, files)
    for group, files in members.items()
  }
  splits = {
    split: [group for group, side in sides.items() if side == split]
    for split in SPLITS
  }
  splits |= _fill(splits, [g for g in splits["train"] if g in pins.sides])
  return {
    split: sorted(name for group in groups for name in members[group])
    for split, groups in splits.items()
  }


def _fill(
  splits: Mapping[str, list[str]], kept: Sequence[str]
) -> dict[str, list[str]]:
  """Fills every empty split from `train`, which keeps what is pinned to it."""
  pool = sorted(set(splits["train"]) - set(kept), key=_hash_fraction)
  taken = {
    split: [group for group in pool if low <= _hash_fraction(group) < high]
    for split, (low, high) in _HASH_RANGES.items()
    if not splits[split]
  }
  moved = {group for groups in taken.values() for group in groups}
  train = [group for group in pool if group not in moved]
  if not train and not kept:
    train, taken = pool, {split: [] for split in taken}
  for split in taken:
    if not taken[split] and train and len(train) + len(kept) > 1:
      taken[split] = [train.pop()]
  return taken | {"train": [*train, *kept]}


def _folder_side(group: str, names: Sequence[str]) -> str:
  """Returns the split that a group's folders name; `train` if none does."""
  sides = {}
  for name in names:
    folders = (part.lower() for part in PurePosixPath(name).parts[:-1])
    side = next((_FOLDERS[f] for f in folders if f in _FOLDERS), "train")
    sides.setdefault(side, name)
  if len(sides) > 1:
    (one, first), (other, second), *_ = sides.items()
    raise UserError(
      f"group {group!r}: {first} is for {one} and {second} for {other}; move "
      f"it to one side, or give them groups of their own in {SPLITS_CSV}"
    )
  return next(iter(sides))


def _hash_fraction(name: str) -> float:
  """Hashes a name to a number in [0, 1)."""
  digest = hashlib.sha256(os.fsencode(name)).digest()
  return int.from_bytes(digest[:8], "big") / 2**64
