"""As demucs_guitar_overdrive, against a pedal instead of the paper's effect.

SoX's overdrive at its default colour, which adds even harmonics that the
paper's task does not have, with the bass cut before it and the treble after it;
oversampled, because analogue devices do not alias. For another pedal, change
the fields of `config.data.effect` in a config like this one or on the command
line:

    python -m distortion_removal.main --config=configs/demucs_guitar_pedal.py \
        --config.data.effect.colour=60 \
        --config.data.effect.before='(("low_shelf", 400.0, -9.0),)'

Time and score: not yet run at this size.
"""

import ml_collections

from distortion_removal.config import sibling

default = sibling(__file__, "default")
guitar = sibling(__file__, "demucs_guitar_overdrive")


def get_config(arg: str = "") -> ml_collections.ConfigDict:
  """Returns the run; `arg` is '' or 'smoke'."""
  config = guitar.get_config()
  config.data.effect.colour = 20.0
  config.data.effect.oversample = 4
  config.data.effect.before = (("low_shelf", 200.0, -6.0, 0.7071),)
  config.data.effect.after = (("high_shelf", 3_000.0, -9.0, 0.7071),)
  return default.sized(config, arg)
