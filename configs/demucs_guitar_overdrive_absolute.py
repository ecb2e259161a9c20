"""As demucs_guitar_overdrive, for the score: the network knows the level.

Overdrive can be undone almost exactly if its absolute scale is known, and the
paper's task fixes it (clean peak 0.5). Without normalising its input, and with
a loss that leaves level and polarity open, a network of 4.4 million parameters
scores far higher on the task's own pairs, but it is no tool for recordings of
unknown level: an error of one decibel costs most of the gain.

    python -m distortion_removal.main \
        --config=configs/demucs_guitar_overdrive_absolute.py

Time and score: 57 minutes on two busy cores; on 26 excerpts of real played
takes, median SI-SDR 17.5 dB against 2.5 dB distorted, over all gains.
"""

import ml_collections

from distortion_removal.config import sibling

default = sibling(__file__, "default")
guitar = sibling(__file__, "demucs_guitar_overdrive")


def get_config(arg: str = "") -> ml_collections.ConfigDict:
  """Returns the run; `arg` is '' or 'smoke'."""
  config = guitar.get_config()
  config.model.fields.channels = 48
  config.model.fields.normalize = False
  config.loss = "neg_si_sdr"
  config.steps = 14_000
  config.apply.chunk_seconds = 10.0
  config.apply.overlap_seconds = 1.0
  return default.sized(config, arg)
