"""Preparing a data set: written aside, and put in its place once complete."""

import contextlib
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from distortion_removal.common.errors import UserError
from distortion_removal.datasets import stored

if TYPE_CHECKING:
  from distortion_removal.datasets.sources.builder import CleanAudioBuilder


def prepare(
  builder: "CleanAudioBuilder",
  *,
  overwrite: bool = False,
  jobs: int = 1,
  beam_options: Sequence[str] = (),
) -> "CleanAudioBuilder":
  """Stores a data set; one that lies there already is taken as it is.

  The statistics that some networks scale their input by are stored along.

  The data set is written to a folder of another name and renamed once it is
  complete; a failure removes that folder. The recordings that were read by then
  stay in a folder `parts` beside it, and the next preparation goes on there.

  Args:
    builder: from `datasets.open_builder`.
    overwrite: replace what lies there, once the new one is complete.
    jobs: processes that read recordings; 0 for as many as are worth it. What is
      stored does not depend on it.
    beam_options: Apache Beam's, `--runner=DirectRunner` and the like; with any,
      Beam's workers read the recordings.

  Returns:
    The builder, ready to read.

  Raises:
    UserError: there is nothing to store, or the data set that lies there came
      from another source.
    OSError: the disk is full, or the folder cannot be written.
  """
  folder = Path(builder.data_dir)
  if stored.is_prepared(builder) and not overwrite:
    _check_same_source(builder)
    return builder
  with _set_aside(folder):
    builder = _reopen(builder)
    builder.jobs = jobs
    try:
      builder.download_and_prepare(**_beam(beam_options))
    except OSError:
      # Another process of the same run may have been faster.
      if not stored.is_prepared(builder):
        raise
  shutil.rmtree(folder.with_name(stored.PARTS), ignore_errors=True)
  builder = _reopen(builder)
  from distortion_removal.datasets import (
    spectrum_statistics,  # needs JAX: seconds
  )

  rate = builder.builder_config.sample_rate
  spectrum_statistics.spectrum_statistics(
    builder, **spectrum_statistics.usual_transform(rate)
  )
  return builder


def _beam(options: Sequence[str]) -> dict:
  """What tells TFDS to use Beam, which is how other builders are told, too."""
  if not options:
    return {}
  import tensorflow_datasets as tfds

  from distortion_removal.datasets.preparation import beam_pipeline

  parsed = beam_pipeline.parse_options(options)
  return {"download_config": tfds.download.DownloadConfig(beam_options=parsed)}


@contextlib.contextmanager
def _set_aside(folder: Path) -> Iterator[None]:
  """Moves a data set away, to put it back if its replacement fails."""
  aside = folder.with_name(f"{folder.name}.replaced")
  if folder.exists():
    # Left behind by a process that was killed.
    shutil.rmtree(aside, ignore_errors=True)
    folder.rename(aside)
  try:
    yield
  except BaseException:
    if aside.exists():
      aside.rename(folder)
    raise
  shutil.rmtree(aside, ignore_errors=True)


def _reopen(builder: "CleanAudioBuilder") -> "CleanAudioBuilder":
  """A builder that knows what lies there now; they look only when made."""
  return type(builder)(
    config=builder.builder_config, data_dir=builder.data_dir_root
  )


def _check_same_source(builder: "CleanAudioBuilder") -> None:
  stored, source = builder.info.metadata.get("source", {}), builder.source()
  # A set prepared by an older version says less of its source.
  changed = [k for k in source if k in stored and stored[k] != source[k]]
  if changed:
    raise UserError(
      f"{builder.data_dir}: holds a data set of different "
      f"{', '.join(changed)}; choose another --data-dir or pass --overwrite"
    )
