"""Finds which recording is the output of which.

By their names: that of an input has the word `input` where that of its output
has any other text, and is the same otherwise, but for the suffix. So
`clip1_input.wav` goes with `clip1_Blues Driver.flac`, and `input/a.wav` with
`tape/a.wav`. One input may have many outputs.

Or by a `pairs.csv`, with paths below its folder; `group` may be left out, and
is then the input:

  input,output,group
  di/riff.wav,amp/riff loud.wav,anna
"""

import dataclasses
import posixpath
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from distortion_removal.common.errors import UserError
from distortion_removal.datasets.splits import read_csv

PAIRS_CSV = "pairs.csv"
_INPUT = re.compile(r"(?<![^\W_])input(?![^\W_])", re.IGNORECASE)


@dataclasses.dataclass(frozen=True)
class PairNames:
  """Outputs with their inputs and groups, and files that have no partner."""

  inputs: Mapping[str, str]
  groups: Mapping[str, str]
  alone: Sequence[str] = ()


def find_pairs(names: Sequence[str]) -> PairNames:
  """Pairs files by their names, see the module's text.

  An output that fits several inputs belongs to the one whose name has the most
  in common with it.
  """
  outputs = {}  # of each input, the pattern of their names
  for name in names:
    if words := list(_INPUT.finditer(_stem(name))):
      before = re.escape(_stem(name)[: words[-1].start()])
      after = re.escape(_stem(name)[words[-1].end() :])
      outputs[name] = re.compile(f"{before}[^/]+{after}")
  pairs, alone = {}, []
  for name in names:
    if name in outputs:
      continue
    fits = [
      each
      for each, pattern in outputs.items()
      if pattern.fullmatch(_stem(name))
    ]
    if fits:
      pairs[name] = max(fits, key=lambda each: (len(_stem(each)), each))
    else:
      alone.append(name)
  alone += outputs.keys() - set(pairs.values())
  return PairNames(pairs, pairs, sorted(alone))


def _stem(name: str) -> str:
  """Returns a path without its suffix."""
  return str(Path(name).with_suffix(""))


def read_pairs(path: Path) -> PairNames:
  """Reads a `pairs.csv`, and checks that its files are there."""
  columns, rows = read_csv(path)
  if not {"input", "output"} <= columns:
    raise UserError(f"{path}: the first line must be input,output[,group]")
  inputs, groups = {}, {}
  for where, row in rows:
    # One file, however its path is written.
    name, output = (
      row[key] and posixpath.normpath(row[key]) for key in ("input", "output")
    )
    for each in (name, output):
      if not (path.parent / each).is_file():
        raise UserError(f"{where} names {each!r}, which is not there")
    if output == name:
      raise UserError(f"{where} names {name!r} as its own output")
    if output in inputs:
      raise UserError(f"{where} names the output {output!r} again")
    inputs[output] = name
    groups[output] = row.get("group", "")
  if not inputs:
    raise UserError(f"{path}: names no pair")
  for output, group in groups.items():
    groups[output] = group or _source(inputs, output, path)
  for output, name in inputs.items():
    if groups.get(name, groups[output]) != groups[output]:
      raise UserError(
        f"{path}: {output} is made of {name}, but in another group; put both "
        "into one"
      )
  return PairNames(inputs, groups)


def _source(inputs: Mapping[str, str], output: str, path: Path) -> str:
  """Follows an output to its first input, through any number of devices."""
  name = inputs[output]
  while name in inputs:
    name = inputs[name]
    if name == output:
      raise UserError(f"{path}: {output} is an input of itself")
  return name
