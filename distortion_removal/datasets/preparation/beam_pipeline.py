"""Preparation on many machines: the parts of a data set through Apache Beam.

TFDS takes Beam's options in its `DownloadConfig`; `prepare --beam-options`
passes them on. Beam only hands out the work: each part is stored by the same
function as on one machine (`parts.store`), into a folder beside the data set,
so the recordings and `--data-dir` must lie where every machine sees them. What
remains, copying the parts into the data set's files, is done by the process
that started the pipeline.
"""

import functools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from distortion_removal.common.errors import UserError
from distortion_removal.datasets.preparation import parts


def parse_options(words: Sequence[str]) -> Any:
  """Beam's `PipelineOptions` of `--runner=DirectRunner` and the like.

  Raises:
    UserError: Beam is not installed.
  """
  try:
    from apache_beam.options.pipeline_options import PipelineOptions
  except ImportError:
    raise UserError(
      "Apache Beam is not installed; run: "
      "pip install 'distortion_removal[beam]'"
    ) from None
  return PipelineOptions(list(words))


def store_all(
  work: Sequence[parts.Part],
  *,
  folder: Path,
  encoder: parts.Encoder,
  runner: Any = None,
  options: Any = None,
) -> None:
  """Stores parts with Beam and waits until all are there.

  Args:
    work: the parts.
    folder: where parts lie, on every machine.
    encoder: of their examples.
    runner: Beam's; None leaves it to the options.
    options: Beam's `PipelineOptions`.
  """
  import apache_beam as beam

  store = functools.partial(parts.store, folder=folder, encoder=encoder)
  with beam.Pipeline(runner=runner, options=options) as pipeline:
    _ = (
      pipeline
      | "parts" >> beam.Create(work)
      # Otherwise one worker gets them all.
      | "spread" >> beam.Reshuffle()
      | "store" >> beam.Map(store)
    )
