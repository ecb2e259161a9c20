"""Prepares a data set: written aside, and put in its place once complete."""

import contextlib
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from distortion_removal.common.errors import UserError

if TYPE_CHECKING:
  from distortion_removal.datasets.preparation.write import RecordingBuilder


def prepare(
  builder: "RecordingBuilder",
  *,
  overwrite: bool = False,
  jobs: int = 1,
  beam_options: Sequence[str] = (),
) -> "RecordingBuilder":
  """Stores a data set; one that lies there already is taken as it is.

  The data set is written to a folder of another name and renamed once it is
  complete; a failure removes that folder. The recordings that were read by then
  stay in a folder `parts` beside it, and the next preparation goes on there.

  Args:
    builder: from `opening.open_builder`; another, ready to read, is returned.
    overwrite: replace what lies there, once the new one is complete.
    jobs: processes that read recordings; 0 chooses from the size of the data.
      What is stored does not depend on it.
    beam_options: `--runner=DirectRunner` and the like; with any, Apache Beam's
      workers read the recordings.
  """
  folder = Path(builder.data_dir)
  if builder.is_stored and not overwrite:
    _check_same_source(builder)
    return builder
  # Here, for TFDS takes seconds to import.
  from distortion_removal.datasets.preparation.write import PARTS_FOLDER

  with _set_aside(folder):
    builder = _reopen(builder)
    builder.jobs = jobs
    try:
      builder.download_and_prepare(**_beam(beam_options))
    except OSError:
      # Another process of the same run may have been faster.
      if not builder.is_stored:
        raise
  shutil.rmtree(folder.with_name(PARTS_FOLDER), ignore_errors=True)
  return _reopen(builder)


def _beam(options: Sequence[str]) -> dict:
  """Makes the arguments by which TFDS tells any builder to use Beam."""
  if not options:
    return {}
  import tensorflow_datasets as tfds

  try:
    from apache_beam.options.pipeline_options import PipelineOptions
  except ImportError:
    raise UserError(
      "Apache Beam is not installed; run: "
      "pip install 'distortion_removal[beam]'"
    ) from None
  parsed = PipelineOptions(list(options))
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


def _reopen(builder: "RecordingBuilder") -> "RecordingBuilder":
  """Opens a builder anew: they look only then at what is stored."""
  return type(builder)(
    config=builder.builder_config, data_dir=builder.data_dir_root
  )


def _check_same_source(builder: "RecordingBuilder") -> None:
  stored, source = builder.info.metadata.get("source", {}), builder.source()
  # A source may be known in less detail: SignalTrain's content only where a
  # folder of it was given.
  changed = [k for k in source if k in stored and stored[k] != source[k]]
  if changed:
    raise UserError(
      f"{builder.data_dir}: holds a data set of different "
      f"{', '.join(changed)}; choose another --data-dir or pass --overwrite"
    )
