"""No excerpt, and no group of recordings, is both trained and tested on."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, TypeVar

from distortion_removal.common.errors import UserError
from distortion_removal.datasets.splits import SPLITS

if TYPE_CHECKING:
  from distortion_removal.datasets.sources.builder import CleanAudioBuilder

# Beside the records: a digest of every excerpt, by split.
FILE = "digests.json"


class Identified(Protocol):
  """An excerpt's name, the group it is of, and a digest of its sound."""

  id: str
  group: str
  digest: str


E = TypeVar("E", bound=Identified)


def without_leaks(
  members: Mapping[str, Sequence[E]],
) -> tuple[dict[str, list[E]], list[dict[str, str]]]:
  """Leaves out of training what validation or test hold, too.

  The same sound under two names is left out of `train` where `valid` or `test`
  has it, and out of `valid` where `test` has it. Only equal samples are
  noticed: not a copy that is shifted or was compressed with loss.

  Args:
    members: the excerpts of each split.

  Returns:
    The excerpts that stay, and for each that does not its `excerpt` and
    `split`, and those of its double (`same_as`, `in`).

  Raises:
    UserError: a name or a group is on two sides.
  """
  for kind in ("id", "group"):
    _check_disjoint(members, kind)
  found, kept, leaks = {}, {}, []
  for split in sorted(members, key=SPLITS.index, reverse=True):
    doubles = [e for e in members[split] if e.digest in found]
    leaks += [
      {"excerpt": e.id, "split": split} | found[e.digest] for e in doubles
    ]
    kept[split] = [e for e in members[split] if e.digest not in found]
    for e in kept[split]:
      # Within a split a double does no harm.
      found_here = {"same_as": e.id, "in": split}
      found.setdefault(e.digest, found_here)
  return {split: kept[split] for split in members}, leaks


def _check_disjoint(members: Mapping[str, Sequence[E]], kind: str) -> None:
  sides = {}
  for split, excerpts in members.items():
    for value in {getattr(excerpt, kind) for excerpt in excerpts}:
      if sides.setdefault(value, split) != split:
        raise UserError(
          f"{kind} {value!r} is in {sides[value]} and in {split}: what is "
          "tested on would be trained on; keep it on one side"
        )


def digests(members: Mapping[str, Sequence[E]]) -> dict[str, list[str]]:
  """What `check_apart` needs to know of every split, as JSON types."""
  return {
    split: [excerpt.digest for excerpt in excerpts]
    for split, excerpts in members.items()
  }


def check_apart(
  source: "CleanAudioBuilder", held_out: "CleanAudioBuilder"
) -> None:
  """Checks that one data set's training is not another's validation or test.

  Args:
    source: prepared, to be trained on.
    held_out: prepared, to be validated and tested on.

  Raises:
    UserError: they share excerpts, to the sample, or one of them was prepared
      before digests were stored.
  """
  folders = Path(source.data_dir), Path(held_out.data_dir)
  trained, held = (_read(folder) for folder in folders)
  tested = {x for split in ("valid", "test") for x in held.get(split, ())}
  shared = tested.intersection(trained.get("train", ()))
  if shared:
    raise UserError(
      f"{folders[0]}: trains on {len(shared)} excerpts that {folders[1]} holds "
      "out; pin their groups in a splits.csv and prepare it with --overwrite"
    )


def _read(folder: Path) -> dict[str, list[str]]:
  path = folder / FILE
  if not path.is_file():
    raise UserError(
      f"{path}: missing; prepare the data set again, with --overwrite"
    )
  return json.loads(path.read_text())
