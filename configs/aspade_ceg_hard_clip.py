"""A-SPADE on CEG-HC: clean electric guitar, hard-clipped after 20 to 50 dB.

Imort et al. 2022, section 4 (published medians: SI-SDR 8.1 dB against 2.4 dB
distorted). There is nothing to train. The authors' guitar is internal: point
this at your own clean, direct-input electric guitar.

    python -m distortion_removal.prepare --dataset=ceg \
        --path=MY_GUITAR --task=hard_clip --data-dir=data/ceg
    python -m distortion_removal.main --config=configs/aspade_ceg_hard_clip.py \
        --mode=evaluate

The authors ran A-SPADE on an input clipped 6.02 dB harder (a clean peak of 1.0
instead of 0.5) than their networks' input; here all get the same.

Time and score: not yet run.
"""

import ml_collections

from distortion_removal.config import sibling

default = sibling(__file__, "default")


def get_config(arg: str = "") -> ml_collections.ConfigDict:
  """Returns the evaluation; `arg` is '' or 'smoke'."""
  return default.paper_run("ceg_hard_clip", "", arg)
