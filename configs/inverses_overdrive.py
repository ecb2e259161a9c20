"""A network behind eight inverses of SoX's overdrive, 16 kHz.

The task of Imort et al. 2022, section 4 (CEG-OD), with .7 million parameters.
Clean, direct-input guitar and other music, prepared as `audio_folder` each, and
generated guitar:

    python -m distortion_removal.prepare --dataset=audio_folder \
        --task=overdrive --path=GUITAR --data-dir=data/guitar
    (the same for data/notes and data/music)
    python -m distortion_removal.main --config=configs/inverses_overdrive.py

Commit 5e40c2e, 70 minutes on half of a core of an AMD EPYC: median SI-SDR of 56
test excerpts at seven gains 33.0 dB, distorted 2.7 dB. The weights come along
as `inverses-overdrive-16k`.
"""

import ml_collections

from distortion_removal.config import sibling

default = sibling(__file__, "default")


def get_config(arg: str = "") -> ml_collections.ConfigDict:
  """Returns the run; `arg` is '' or 'smoke'."""
  config = default.get_config()
  default.networks.set_network(config, "inverses")
  config.data.dataset = "audio_folder"
  config.data.task = "overdrive"
  config.data.data_dir = "data/guitar"
  config.data.hint = "use a folder of clean, direct-input electric guitar"
  config.data.sources = (
    ("audio_folder", "data/guitar", 0.45),
    ("audio_folder", "data/notes", 0.1),
    ("audio_folder", "data/music", 0.2),
    ("plucked_strings", "data/plucked_strings", 0.25),
  )
  config.data.augment.polarity = True
  config.data.augment.speeds = (0.75, 0.8, 0.87, 0.93, 1.0, 1.07, 1.15, 1.25)
  config.data.augment.tilt_db = 3.0
  config.data.augment.sums = 0.3
  config.steps = 8_000
  config.optimizer.warmup_steps = 500
  config.validate_every = 1_000
  config.checkpoint_every = 500
  config.validation_pairs = 70
  config.validation_examples = 0
  return default.sized(config, arg)
