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
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

import numpy as np

from distortion_removal.audio import files
from distortion_removal.audio.resampling import resample
from distortion_removal.common.errors import UserError
from distortion_removal.datasets import splits
from distortion_removal.datasets.features import to_example
from distortion_removal.datasets.preparation.recordings import Recording
from distortion_removal.datasets.sources import (
  audio_folder,
  pair_names,
  pairing,
)
from distortion_removal.effects.tasks import TASKS, Task

_TABLE = pair_names.PAIRS_CSV
# The record's fields of a pair, besides its audio.
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
  """Recordings to prepare; nothing is applied to them on the fly."""

  task: Task = TASKS["recorded"]


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
    """Adds a digest of the pairs to what `audio_folder` returns."""
    pairs = dataclasses.astuple(self._pairs)
    digest = hashlib.sha256(json.dumps(pairs, sort_keys=True).encode())
    return super().source() | {"pairs": digest.hexdigest()}

  def recordings(self) -> list[Recording]:
    """Lists outputs, good or bad, and files without partner."""
    if not self._pairs.inputs:
      raise UserError(
        f"{self.root}: no two names pair; they must differ in the word 'input' "
        f"alone, as riff_input.wav and riff_amp.wav do, or stand in {_TABLE}"
      )
    pairs = [
      self.recording(
        output, _read_examples, [self.root / name, self.root / output], name
      )
      for output, name in self._pairs.inputs.items()
    ]
    alone = [
      Recording(
        name,
        group=self.pins.groups[name],
        read=functools.partial(_refuse, self.root / name),
        version="alone",
      )
      for name in self._pairs.alone
    ]
    return sorted(pairs + alone, key=lambda recording: recording.name)

  @functools.cached_property
  def _pairs(self) -> pair_names.PairNames:
    path = self.root / _TABLE
    if path.is_file():
      return pair_names.read_pairs(path)
    return pair_names.find_pairs(self._names)

  def recording_group(self, name: str) -> str:
    """Returns an output's group: that of `pairs.csv`, else its input."""
    return self._pairs.groups.get(name, name)

  @functools.cached_property
  def pins(self) -> splits.Pins:
    """Groups, and splits of some of them; an input's outputs are in one."""
    path = self.root / splits.SPLITS_CSV
    pairs = self._pairs
    names = [*pairs.inputs, *pairs.alone]
    pins = splits.read_pins(path, names, self.recording_group)
    groups = {}
    for output, name in pairs.inputs.items():
      if groups.setdefault(name, pins.groups[output]) != pins.groups[output]:
        raise UserError(
          f"{path}: outputs of {name} are in two groups, {groups[name]!r} and "
          f"{pins.groups[output]!r}; put them into one"
        )
    return pins

  def features(self) -> dict:
    """Adds the degraded side and what is known of the pair."""
    features = super().features()
    identity = features.pop("id")  # stays the last
    degraded = {"degraded": features["clean"], "degraded_peak": np.float32}
    return features | degraded | _FACTS | {"id": identity}


def _refuse(path: Path) -> Iterator[dict | str]:
  reason = "no partner: names must differ in the word 'input' alone, or use"
  raise files.AudioFileError(path, f"{reason} {_TABLE}")


def _read_examples(
  clean_path: Path, output_path: Path, name: str, config: PairedFolderConfig
) -> Iterator[dict | str]:
  """Yields the examples of a pair, or why an excerpt is left out."""
  sides = [_load(path, config) for path in (clean_path, output_path)]
  found = pairing.analyse(*sides, config.sample_rate)
  if reason := pairing.fault(found, config.sample_rate):
    raise files.AudioFileError(output_path, reason)
  clean, degraded = pairing.align(*sides, found)
  facts = {key: getattr(found, key) for key in _FACTS}
  is_silent = True
  for index, start in enumerate(range(0, len(clean), config.excerpt_frames)):
    pair = [s[start : start + config.excerpt_frames] for s in (clean, degraded)]
    fates = [audio_folder.fate(side, config.sample_rate) for side in pair]
    if fates != ["kept", "kept"]:
      yield next(each for each in fates if each != "kept")
      continue
    is_silent = False
    first, second = (to_example(f"{name}#{index:03d}", s) for s in pair)
    second = {"degraded": second["clean"], "degraded_peak": second["peak"]}
    yield first | facts | second
  if is_silent:
    reason = f"silent: nowhere above {audio_folder.SILENCE_DBFS:g} dBFS RMS"
    raise files.AudioFileError(output_path, reason)


def _load(path: Path, config: PairedFolderConfig) -> np.ndarray:
  """Reads a whole recording, `[time, channels]`, in the form to store."""
  audio_folder.check_suffix(path)
  audio, rate = files.read(path)
  audio = audio_folder.remix(audio, config.channels)
  audio = resample(audio, rate, config.sample_rate)
  return audio_folder.check_finite(audio, path)
