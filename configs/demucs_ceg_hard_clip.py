"""Demucs on CEG-HC: clean electric guitar, hard-clipped after 20 to 50 dB.

Imort et al. 2022, section 4 (published medians: SI-SDR 9.0 dB against 2.4 dB
distorted). The authors' guitar is internal: point this at your own clean,
direct-input electric guitar.

    python -m distortion_removal.prepare --dataset=ceg \
        --path=MY_GUITAR --task=hard_clip --data-dir=data/ceg
    python -m distortion_removal.main --config=configs/demucs_ceg_hard_clip.py

Time and score: not yet run.
"""

import ml_collections

from distortion_removal.config import sibling

default = sibling(__file__, "default")


def get_config(arg: str = "") -> ml_collections.ConfigDict:
  """Returns the run; `arg` is '' or 'smoke'."""
  config = default.paper_run("ceg_hard_clip", "demucs", arg)
  # In a small probe L1 stalled at +2 dB, where a logarithmic loss went on.
  config.loss = "neg_sdr"
  return config
