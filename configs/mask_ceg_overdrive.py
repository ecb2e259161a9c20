"""The ideal ratio mask on CEG-OD: the oracle, and the distorted input.

Imort et al. 2022, section 4 (published medians: SI-SDR 13.3 dB against 3.3 dB
distorted). There is nothing to train. The authors' guitar is internal: point
this at your own clean, direct-input electric guitar.

    python -m distortion_removal.prepare --dataset=ceg \
        --path=MY_GUITAR --task=overdrive --data-dir=data/ceg
    python -m distortion_removal.main --config=configs/mask_ceg_overdrive.py \
        --mode=evaluate

Time and score: not yet run.
"""

import ml_collections

from distortion_removal.config import sibling

default = sibling(__file__, "default")


def get_config(arg: str = "") -> ml_collections.ConfigDict:
  """Returns the evaluation; `arg` is '' or 'smoke'."""
  return default.paper_run("ceg_overdrive", "", arg)
