"""Plans a batch: which recordings are read, and where their results go.

Only names are looked at: no recording is opened, nothing is written.
"""

import contextlib
import glob
import os
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from distortion_removal.audio import files
from distortion_removal.common.errors import UserError

_BESIDE_SUFFIX = "_restored"
_STDIN = "-"


class Job(NamedTuple):
  """One recording, and where its result goes.

  Attributes:
    source: the recording, or a pipe.
    target: the file to write, or a pipe.
    may_make_folder: the target's folder is made where it is missing.
  """

  source: Path
  target: Path
  may_make_folder: bool = False

  @property
  def receipt(self) -> Path:
    """The file beside the result that says how it was made."""
    return self.target.with_name(f"{self.target.name}.json")

  def outputs(self, with_receipt: bool) -> list[Path]:
    """Returns the files that are written; pipes have no content to lose."""
    if is_pipe(self.target):
      return []
    return [self.target, self.receipt] if with_receipt else [self.target]

  @contextlib.contextmanager
  def folder(self) -> Iterator[None]:
    """Makes the target's folder; removes what it made if the work fails."""
    parent = self.target.parent
    missing = [x for x in (parent, *parent.parents) if not x.exists()]
    if not self.may_make_folder or not missing:
      yield
      return
    parent.mkdir(parents=True, exist_ok=True)
    try:
      yield
    except BaseException:
      with contextlib.suppress(OSError):  # It holds others' results by now.
        for folder in missing:
          folder.rmdir()
      raise


def is_pipe(path: Path) -> bool:
  """Tells whether a path is stdin or stdout, a pipe or a device."""
  if str(path) == _STDIN:
    return True
  return path.exists() and not path.is_file() and not path.is_dir()


def plan(
  inputs: Sequence[str],
  output: str | None = None,
  suffix: str | None = None,
  *,
  skip_existing: bool = False,
) -> list[Job]:
  """Returns a job for each recording, in the order given.

  Args:
    inputs: files, folders (searched recursively), patterns that match neither,
      or a pipe.
    output: a file for one recording, or a folder, in which the searched
      folders' structure is kept; None: each result goes beside its recording.
    suffix: what is added to the names; None: nothing in an output folder, and
      "_restored" beside the recordings.
    skip_existing: results stay that are there, so that they may be named.

  Raises:
    UserError: a pattern or a folder has no recording, or `output` does not
      suit the number of inputs.
  """
  if suffix and os.path.basename(suffix) != suffix:
    raise UserError(f"--suffix={suffix}: is the end of a name, not a path")
  apart = os.path.realpath(output) if output else None
  found = {}
  for word in inputs:
    for source, place in _recordings(word, apart):
      found.setdefault(os.path.abspath(source), (source, place))
  pairs = list(found.values())
  for source, _ in pairs:
    if is_pipe(source):
      _check_pipe(source, len(pairs), output)
  if output is None:
    end = _BESIDE_SUFFIX if suffix is None else suffix
    jobs = [Job(source, result_name(source, end)) for source, _ in pairs]
  elif _is_folder(inputs, len(pairs), output):
    jobs = [
      Job(source, Path(output, result_name(place, suffix or "")), True)
      for source, place in pairs
    ]
  elif suffix is not None:
    raise UserError(f"--suffix={suffix}: -o {output} names the result already")
  else:
    jobs = [Job(pairs[0][0], Path(output))]
  named = () if skip_existing else inputs
  return _without_results(jobs, {os.path.abspath(word) for word in named})


def _recordings(word: str, apart: str | None) -> Iterator[tuple[Path, Path]]:
  """Yields the recordings that a word stands for, and their places in a folder.

  What lies in the folder `apart`, to which results go, is left out.
  """
  path = Path(word)
  if path.is_dir():
    found = list(_in_folder(path, apart))
    if not found:
      raise UserError(f"{word}: no recordings in this folder")
    yield from ((x, x.relative_to(path)) for x in found)
  elif glob.has_magic(word) and not os.path.lexists(word):
    names = sorted(glob.glob(word, recursive=True))
    if not names:
      raise UserError(f"{word}: no file has such a name")
    for name in names:
      above = Path(os.path.realpath(name)).parents
      if not apart or Path(apart) not in above:
        yield from _recordings(name, apart)
  else:
    yield path, Path(path.name)


def _in_folder(folder: Path, apart: str | None) -> Iterator[Path]:
  def fail(error: OSError) -> None:
    raise error  # os.walk passes over what it may not read.

  for place, folders, names in os.walk(folder, onerror=fail):
    folders[:] = sorted(
      name
      for name in folders
      if not name.startswith(".")
      and os.path.realpath(os.path.join(place, name)) != apart
    )
    for name in sorted(names):
      path = Path(place, name)
      is_audio = path.suffix.lower() in files.SUFFIXES and not is_pipe(path)
      if is_audio and not name.startswith("."):
        yield path


def _check_pipe(path: Path, count: int, output: str | None) -> None:
  if count > 1:
    raise UserError(f"{path}: a pipe is restored alone; call it again")
  if output is None or _is_open_folder(output):
    raise UserError(f"{path}: has no name; name the result, -o FILE or -o -")


def _is_open_folder(output: str) -> bool:
  return output.endswith(("/", os.sep)) or os.path.isdir(output)


def _is_folder(inputs: Sequence[str], count: int, output: str) -> bool:
  """Tells whether results go into a folder `output`, or into that file."""
  if _is_open_folder(output):
    return True
  if count == 1 and not any(os.path.isdir(word) for word in inputs):
    return False
  path = Path(output)
  is_named_file = path.suffix.lower() in files.FORMATS
  if str(path) == _STDIN or path.exists() or is_named_file:
    raise UserError(
      f"-o {output}: is one file, for one recording; name a folder, such as "
      "-o restored/"
    )
  return True


def result_name(path: Path, end: str = _BESIDE_SUFFIX) -> Path:
  """Returns a result's name: in the recording's format if that is written."""
  is_written = path.suffix.lower() in files.FORMATS
  return path.with_name(
    f"{path.stem}{end}{path.suffix if is_written else '.wav'}"
  )


def _without_results(jobs: list[Job], named: Collection[str]) -> list[Job]:
  """Leaves out what an earlier run has made of others, unless it is named."""
  makers = {}
  for job in jobs:
    if os.path.abspath(job.target) != os.path.abspath(job.source):
      makers.setdefault(os.path.abspath(job.target), job.source)

  def is_result(job: Job) -> bool:
    place = os.path.abspath(job.source)
    return place not in named and place in makers

  return [job for job in jobs if not is_result(job)]


def check(jobs: Sequence[Job], with_receipts: bool) -> None:
  """Refuses to write a file twice, and to overwrite any recording.

  Raises:
    UserError: it would be, also by another name or through a link.
  """
  sources, takers = {}, {}
  for job in jobs:
    if not is_pipe(job.source) and job.source.exists():
      sources[_identity(job.source)] = job.source
  for job in jobs:
    if with_receipts and is_pipe(job.target):
      raise UserError(f"-o {job.target}: there is no place for a receipt")
    for place in job.outputs(with_receipts):
      if place.is_dir():
        raise UserError(f"{place}: is a folder; name a file")
      if place.exists() and _identity(place) in sources:
        raise UserError(
          f"{place}: is an input, which is never overwritten; choose another "
          "-o or --suffix"
        )
      key = Path(os.path.realpath(place.parent), place.name)
      first = takers.setdefault(key, job)
      if first is not job:
        raise UserError(
          f"{place}: the results of both {first.source} and {job.source} would "
          "be written there; restore one of them apart"
        )


def _identity(path: Path) -> tuple[int, int]:
  status = path.stat()
  return status.st_dev, status.st_ino


def existing(
  jobs: Sequence[Job], with_receipts: bool, *, may_skip: bool
) -> set[Job]:
  """Returns the jobs whose results are there, which must be allowed.

  A receipt without its result is of a run that was interrupted: it is replaced.
  """
  there = {
    job: place
    for job in jobs
    for place in reversed(job.outputs(with_receipts))
    if os.path.lexists(place)
  }
  if may_skip:
    return {job for job, place in there.items() if place == job.target}
  if there:
    more = f" (and {len(there) - 1} more)" if len(there) > 1 else ""
    raise UserError(
      f"{next(iter(there.values()))}{more}: exists; --overwrite replaces it, "
      "--skip-existing leaves it"
    )
  return set()
