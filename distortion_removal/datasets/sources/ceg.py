"""The paper's clean electric guitar, from a user's own recordings.

The authors' recordings are not public; any folder of clean, direct-input
electric guitar takes their place. Without `--path` it is looked for where TFDS
keeps what is fetched by hand: `DATA_DIR/downloads/manual/ceg`.

Splits go by group, a group being a first-level folder: one for each player,
instrument or song, whichever a system is to be tested on without knowing it.
`splits.csv` names other groups and pins them, see `splits.py`.

The paper degrades each training excerpt at five gains drawn from 20 to 50 dB
before training. Here a gain is drawn from the same range each time that an
excerpt is visited, which is those five and more; the evaluation is at the
paper's 20, 25, …, 50 dB (`tasks.py`).
"""

import functools
from pathlib import Path
from typing import ClassVar

from distortion_removal.datasets.sources import audio_folder
from distortion_removal.datasets.splits import top_folder
from distortion_removal.effects.tasks import TASKS


class Ceg(audio_folder.AudioFolder):
  """Excerpts of clean electric guitar, split by groups of recordings."""

  BUILDER_CONFIGS: ClassVar = [
    audio_folder.AudioFolderConfig(task=TASKS[name])
    for name in ("overdrive", "hard_clip")
  ]

  @functools.cached_property
  def root(self) -> Path:
    """The given folder, or TFDS's for manual data."""
    manual = Path(self.data_dir_root) / "downloads" / "manual" / self.name
    if not self.builder_config.path and manual.is_dir():
      return manual.absolute()
    return super().root

  def recording_group(self, name: str) -> str:
    """Returns the first folder of a recording's path."""
    return top_folder(name)
