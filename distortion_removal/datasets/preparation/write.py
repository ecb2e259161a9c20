"""From parts to a data set: stored, sorted into splits, written, described.

The parts of `parts.py` are stored by as many processes as there are, or by
Apache Beam; then they are sorted into splits, what leaks is left out, and the
records are copied, in order, into array_record files. So the files' bytes do
not depend on who stored the parts. They stay in the folder `parts` beside the
data set until it is complete: what a preparation that was interrupted has
stored, the next one takes. Meanwhile the disk holds the audio twice.
"""

import collections
import dataclasses
import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import tensorflow_datasets as tfds
from tqdm import tqdm

from distortion_removal.common import cores
from distortion_removal.common.errors import UserError
from distortion_removal.common.log import Progress
from distortion_removal.datasets.preparation import (
  beam_pipeline,
  description,
  leaks,
)
from distortion_removal.datasets.preparation.parts import (
  Content,
  Encoder,
  Excerpt,
  Part,
  load,
  records,
  store_all,
)
from distortion_removal.datasets.preparation.shards import write_shards
from distortion_removal.datasets.stored import PARTS

if TYPE_CHECKING:
  from distortion_removal.datasets.sources.builder import CleanAudioBuilder

_SHARD_BYTES = 256 << 20


def write(
  builder: "CleanAudioBuilder", download_config: tfds.download.DownloadConfig
) -> list[tfds.core.SplitInfo]:
  """Writes all files of a data set into `builder.data_dir`.

  Args:
    builder: delivers parts, see `builder.CleanAudioBuilder`.
    download_config: with `beam_options` or `beam_runner`, Beam is used.

  Returns:
    What TFDS keeps of each split that is not empty.

  Raises:
    UserError: there is nothing to train on, or a mistake in the splits.
    OSError: the disk is full, or the folder cannot be written.
  """
  builder.info.metadata["source"] = builder.source()  # as it is read from here
  parts = builder.parts()
  builder.assign([part.name for part in parts])  # mistakes show early
  folder = Path(builder.data_dir).parent / PARTS
  folder.mkdir(exist_ok=True)
  _store(builder, parts, folder, download_config)
  contents = {part.name: load(part, folder) for part in parts}
  names = builder.assign(_usable(builder.report, contents))
  kept, doubles = leaks.without_leaks(
    {split: _excerpts(builder, names[split], contents) for split in names}
  )
  if not kept.get("train"):
    why = f": {len(doubles)} are held out, too" if doubles else ""
    raise UserError(f"{builder.name}: not a single excerpt to train on{why}")
  infos = [
    _write_split(builder, split, records(kept[split], folder))
    for split in kept
    if kept[split]
  ]
  left_out = {
    split: _left_out(contents[name] for name in names[split]) for split in names
  }
  _report(builder, kept, left_out, doubles)
  return infos


def _store(
  builder: "CleanAudioBuilder",
  work: Sequence[Part],
  folder: Path,
  download_config: tfds.download.DownloadConfig,
) -> None:
  """Stores the parts that are not there yet."""
  rate = builder.builder_config.sample_rate
  place = {"folder": folder, "encoder": Encoder(builder.info.features, rate)}
  beam = {
    "runner": download_config.beam_runner,
    "options": download_config.beam_options,
  }
  if any(beam.values()):
    beam_pipeline.store_all(work, **place, **beam)
    return
  size = sum(part.size for part in work)
  long = builder.BYTES_PER_PROCESS
  jobs = builder.jobs or min(cores.available(), 1 + size // long)
  with Progress(
    max(1, size), "prepared %.0f %%", unit="B", is_shown=size > long
  ) as progress:
    for done in store_all(work, jobs, **place):
      progress.advance(done)


def _usable(report: dict, contents: Mapping[str, Content]) -> list[str]:
  """The parts that hold anything; the others are told, with the reason."""
  skipped = {n: c.reason for n, c in contents.items() if c.reason is not None}
  for name, reason in skipped.items():
    report.setdefault("skipped", []).append({"file": name, "reason": reason})
    tqdm.write(f"skipped {name}: {reason}", file=sys.stderr)
  return [name for name in contents if name not in skipped]


def _excerpts(
  builder: "CleanAudioBuilder",
  names: Sequence[str],
  contents: Mapping[str, Content],
) -> list[Excerpt]:
  return [
    dataclasses.replace(excerpt, group=builder.group(excerpt.id))
    for name in names
    for excerpt in contents[name].excerpts
  ]


def _write_split(
  builder: "CleanAudioBuilder", split: str, stored: Iterable[bytes]
) -> tfds.core.SplitInfo:
  config = builder.builder_config
  excerpt_bytes = 2 * config.excerpt_frames * config.channels
  template = tfds.core.ShardedFileTemplate(
    data_dir=builder.data_path,
    dataset_name=builder.name,
    split=split,
    filetype_suffix="array_record",
  )
  lengths, size = write_shards(
    stored, template, max(1, _SHARD_BYTES // excerpt_bytes)
  )
  return tfds.core.SplitInfo(
    name=split,
    shard_lengths=lengths,
    num_bytes=size,
    filename_template=template,
  )


def _left_out(contents: Iterable[Content]) -> collections.Counter:
  """How many excerpts of some parts were left out, by reason."""
  return sum(
    (collections.Counter(content.left_out) for content in contents),
    collections.Counter(),
  )


def _report(
  builder: "CleanAudioBuilder",
  kept: Mapping[str, Sequence[Excerpt]],
  left_out: Mapping[str, Mapping[str, int]],
  doubles: list[dict[str, str]],
) -> None:
  """Stores what was met, what the set is like, and what it was made of."""
  rate = builder.builder_config.sample_rate
  total = sum(left_out.values(), collections.Counter())
  counts = {
    split: {
      "excerpts": len(excerpts),
      "minutes": round(sum(e.frames for e in excerpts) / rate / 60, 3),
    }
    for split, excerpts in kept.items()
  }
  builder.report = {
    "skipped": [],
    "silent_excerpts": total["silent"],
    "short_remainders": total["short"],
    "leaks": doubles,
    "splits": counts,
  } | builder.report
  builder.info.metadata.update(
    task=dataclasses.asdict(builder.builder_config.task),
    splits=counts,
  )
  described = {
    split: description.describe(excerpts, rate, left_out[split]["silent"])
    for split, excerpts in kept.items()
    if excerpts
  }
  for name, content in (
    ("report.json", builder.report),
    (description.FILE, described),
    (leaks.FILE, leaks.digests(kept)),
  ):
    text = json.dumps(content, indent=2) + "\n"
    (Path(builder.data_dir) / name).write_text(text)
