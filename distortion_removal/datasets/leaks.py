"""No excerpt, and no group of recordings, is both trained and tested on."""

from collections.abc import Mapping, Sequence
from typing import Protocol, TypeVar

from distortion_removal.datasets.splits import SPLITS
from distortion_removal.errors import UserError


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
