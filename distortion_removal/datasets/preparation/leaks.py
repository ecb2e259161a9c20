"""Keeps apart what is trained on and what is tested on."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from distortion_removal.common.errors import UserError
from distortion_removal.datasets.splits import SPLITS

if TYPE_CHECKING:
  # TFDS takes seconds to import.
  from distortion_removal.datasets.preparation.recordings import StoredExcerpt
  from distortion_removal.datasets.sources.builder import CleanAudioBuilder

# Beside the records: a digest of every excerpt, by split.
DIGESTS_FILE = "digests.json"


def without_leaks(
  members: Mapping[str, Sequence["StoredExcerpt"]],
) -> tuple[dict[str, list["StoredExcerpt"]], list[dict[str, str]]]:
  """Leaves out of training what validation or test hold, too.

  The same sound under two names is left out of `train` where `valid` or `test`
  has it, and out of `valid` where `test` has it. Only equal samples are
  noticed: not a copy that is shifted or was compressed with loss.

  Returns:
    The excerpts that stay, by split, and for each that does not its `excerpt`
    and `split`, and those of its double (`same_as`, `in`).

  Raises:
    UserError: a name or a group is on two sides.
  """
  for kind in ("id", "group"):
    _check_disjoint(members, kind)
  doubles, kept, leaks = {}, {}, []
  for split in sorted(members, key=SPLITS.index, reverse=True):
    leaks += [
      {"excerpt": e.id, "split": split} | doubles[e.digest]
      for e in members[split]
      if e.digest in doubles
    ]
    kept[split] = [e for e in members[split] if e.digest not in doubles]
    # Only now: within a split a double does no harm.
    for e in kept[split]:
      doubles.setdefault(e.digest, {"same_as": e.id, "in": split})
  return {split: kept[split] for split in members}, leaks


def _check_disjoint(
  members: Mapping[str, Sequence["StoredExcerpt"]], kind: str
) -> None:
  sides = {}
  for split, excerpts in members.items():
    for value in {getattr(excerpt, kind) for excerpt in excerpts}:
      if sides.setdefault(value, split) != split:
        raise UserError(
          f"{kind} {value!r} is in {sides[value]} and in {split}: what is "
          "tested on would be trained on; keep it on one side"
        )


def check_apart(
  source: "CleanAudioBuilder", held_out: "CleanAudioBuilder"
) -> None:
  """Checks that one data set's training is not another's validation or test.

  Raises:
    UserError: they share excerpts, to the sample.
  """
  trained, held = (
    json.loads((Path(builder.data_dir) / DIGESTS_FILE).read_text())
    for builder in (source, held_out)
  )
  tested = {x for split in ("valid", "test") for x in held.get(split, ())}
  shared = tested.intersection(trained.get("train", ()))
  if shared:
    raise UserError(
      f"{source.data_dir}: trains on {len(shared)} excerpts that "
      f"{held_out.data_dir} holds out; pin their groups in a splits.csv and "
      "prepare it with --overwrite"
    )
