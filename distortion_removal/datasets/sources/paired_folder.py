"""A folder of recordings of real devices, each with what went into it.

Which file is the output of which is told by their names or a `pairs.csv`, see
`pair_names.py`; one input may have the outputs of many devices.

Each pair is brought to one rate and one channel count as `audio_folder` does
it, then aligned to the sample; polarity and energy of the output are made those
of the input, over the whole recording (see `pairing.py`). A pair that this
cannot mend is left out, and the report says why.

Splits are as in `audio_folder`, by groups (`splits.py`): all outputs of an
input are one. A pair is held in memory as a whole.
"""

import dataclasses
import functools
import hashlib
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import ClassVar

import numpy as np
import tensorflow_datasets as tfds

from distortion_removal.audio import files, resampling
from distortion_removal.common.errors import UserError
from distortion_removal.datasets import splits
from distortion_removal.datasets.features import Int16Audio
from distortion_removal.datasets.preparation.parts import Part
from distortion_removal.datasets.sources import (
  audio_folder,
  builder,
  pair_names,
  pairing,
)
from distortion_removal.effects import tasks

# What the record tells of a pair, besides its audio.
_FACTS = {
  "lag_samples": np.int32,
  "polarity": np.int32,
  "gain_db": np.float32,
  "clarity": np.float32,
  "rival": np.float32,
  "drift_ppm": np.float32,
  "residual_db": np.float32,
}


@dataclasses.dataclass(eq=False)
class PairedFolderConfig(audio_folder.AudioFolderConfig):
  """Which recordings to prepare; nothing is applied to them on the fly."""

  task: tasks.Task = tasks.TASKS["recorded"]


class PairedFolder(audio_folder.AudioFolder):
  """Excerpts of recorded pairs: `degraded` is `clean` through a device.

  A record has, besides `clean` and `peak`, `degraded`, of the same length, at a
  peak of 1, and `degraded_peak`: multiplied, it has the input's energy over the
  whole recording. `lag_samples`, `polarity` and `gain_db` are what was undone,
  `drift_ppm` and `residual_db` what was not; `clarity` and `rival` tell how
  sure the lag is, see `pairing.Pairing`.
  """

  CONFIG = PairedFolderConfig
  BUILDER_CONFIGS: ClassVar = [PairedFolderConfig()]
  builder_config: PairedFolderConfig

  def source(self) -> dict:
    """As of `audio_folder`, and a digest of which file belongs to which."""
    pairs = dataclasses.astuple(self._pairs)
    digest = hashlib.sha256(json.dumps(pairs, sort_keys=True).encode())
    return super().source() | {"pairs": digest.hexdigest()}

  def parts(self) -> list[Part]:
    """One for each output, good or bad, and for each file without partner."""
    root = self.root()
    pairs = [
      self._pair(root, output, name)
      for output, name in self._pairs.inputs.items()
    ]
    alone = [
      Part(name, functools.partial(_refuse, root / name), version="alone")
      for name in self._pairs.alone
    ]
    return sorted(pairs + alone, key=lambda part: part.name)

  def _pair(self, root: Path, output: str, name: str) -> Part:
    paths = root / name, root / output
    versions = map(audio_folder.file_version, paths)
    return Part(
      output,
      functools.partial(read, *paths, output, self.builder_config),
      version=" ".join([str(self.VERSION), name, *versions]),
      size=sum(path.stat().st_size for path in paths),
    )

  @functools.cached_property
  def _pairs(self) -> pair_names.Pairs:
    root = self.root()
    path = root / pair_names.CSV
    if path.is_file():
      return pair_names.read_csv(path)
    return pair_names.find_pairs(self._names)

  def assign(self, names: Sequence[str]) -> dict[str, list[str]]:
    """As of `audio_folder`; without any pair, the rule of names is told."""
    if not self._pairs.inputs:
      raise UserError(f"{self.root()}: {pair_names.NO_PAIR}")
    return super().assign(names)

  def recording_group(self, name: str) -> str:
    """The group of an output: that of `pairs.csv`, else its input."""
    return self._pairs.groups.get(name, name)

  @functools.cached_property
  def _pins(self) -> splits.Pins:
    path = self.root() / splits.CSV
    pairs = self._pairs
    names = [*pairs.inputs, *pairs.alone]
    pins = splits.read_pins(path, names, self.recording_group)
    sides = {}
    for output, name in pairs.inputs.items():
      if sides.setdefault(name, pins.groups[output]) != pins.groups[output]:
        raise UserError(
          f"{path}: outputs of {name} are in two groups, {sides[name]!r} and "
          f"{pins.groups[output]!r}; put them into one"
        )
    return pins

  def _info(self) -> tfds.core.DatasetInfo:
    config = self.builder_config
    audio = Int16Audio((None, config.channels))
    features = {"clean": audio, "peak": np.float32}
    features |= {"degraded": audio, "degraded_peak": np.float32, **_FACTS}
    return tfds.core.DatasetInfo(
      builder=self,
      description=self.__doc__,
      features=tfds.features.FeaturesDict(
        features | {"id": tfds.features.Text()}
      ),
      metadata=tfds.core.MetadataDict(),
      disable_shuffling=True,
    )


def _refuse(path: Path) -> Iterator[dict | str]:
  raise files.AudioFileError(path, pair_names.ALONE)


def read(
  clean_path: Path,
  output_path: Path,
  name: str,
  config: builder.TaskConfig,
) -> Iterator[dict | str]:
  """The examples of a pair, called `name#000`, `name#001` and so on.

  Args:
    clean_path: the recording of the input.
    output_path: the recording of the output.
    name: of the pair.
    config: the form to store it in.

  Yields:
    An example, or the `fate` of an excerpt that is left out.

  Raises:
    AudioFileError: one of them is not audio, damaged, or silent throughout, or
      they cannot be made to fit.
  """
  sides = [_load(path, config) for path in (clean_path, output_path)]
  found = pairing.analyse(*sides, config.sample_rate)
  if reason := pairing.fault(found, config.sample_rate):
    raise files.AudioFileError(output_path, reason)
  clean, degraded = pairing.align(*sides, found)
  facts = {key: getattr(found, key) for key in _FACTS}
  kept = False
  for index, start in enumerate(range(0, len(clean), config.excerpt_frames)):
    pair = [s[start : start + config.excerpt_frames] for s in (clean, degraded)]
    fates = [audio_folder.fate(side, config.sample_rate) for side in pair]
    if fates != ["kept", "kept"]:
      yield next(fate for fate in fates if fate != "kept")
      continue
    kept = True
    identity = f"{name}#{index:03d}"
    second = builder.to_example(identity, pair[1])
    yield (
      builder.to_example(identity, pair[0])
      | facts
      | {
        "degraded": second["clean"],
        "degraded_peak": second["peak"],
      }
    )
  if not kept:
    reason = f"silent: nowhere above {audio_folder.SILENCE_DBFS:g} dBFS RMS"
    raise files.AudioFileError(output_path, reason)


def _load(path: Path, config: builder.TaskConfig) -> np.ndarray:
  """A whole recording, `[time, channels]`, in the form to store."""
  if path.suffix.lower() not in files.FORMATS:
    raise files.AudioFileError(
      path, f"not an audio format read here ({path.suffix or 'no suffix'})"
    )
  audio, rate = files.read(path)
  audio = audio_folder.remix(audio, config.channels)
  return resampling.resample(audio, rate, config.sample_rate)
