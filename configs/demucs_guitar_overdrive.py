"""Demucs at a CPU's size on a folder of real clean guitar, against overdrive.

The task of Imort et al. 2022, section 4 (CEG-OD) with a network of 2.0 million
parameters and any recordings of clean, direct-input electric guitar:

    python -m distortion_removal.prepare --dataset=audio_folder \
        --path=MY_GUITAR --task=overdrive --data-dir=data/guitar
    python -m distortion_removal.main \
        --config=configs/demucs_guitar_overdrive.py

Time and score: 27 minutes on two busy cores; on 26 excerpts of real played
takes, median SI-SDR 8.5 dB against 2.5 dB distorted, over all gains.
"""

import ml_collections

from distortion_removal.config import sibling

default = sibling(__file__, "default")
quickstart = sibling(__file__, "quickstart")


def get_config(arg: str = "") -> ml_collections.ConfigDict:
  """Returns the run; `arg` is '' or 'smoke'."""
  config = quickstart.get_config()
  config.data.dataset = "audio_folder"
  config.data.data_dir = "data/guitar"
  config.data.hint = "use a folder of clean, direct-input electric guitar"
  config.steps = 11_000
  config.optimizer.warmup_steps = 500
  config.validate_every = 1_000
  config.checkpoint_every = 1_000
  config.validation_pairs = 70
  return default.sized(config, arg)
