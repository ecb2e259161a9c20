"""Demucs on CEG-OD: clean electric guitar through SoX overdrive, 20 to 50 dB.

Imort et al. 2022, section 4 (published medians: SI-SDR 37.9 dB against 3.3 dB
distorted). The authors' guitar is internal: point this at your own clean,
direct-input electric guitar.

    python -m distortion_removal.prepare --dataset=ceg \
        --path=MY_GUITAR --task=overdrive --data-dir=data/ceg
    python -m distortion_removal.main --config=configs/demucs_ceg_overdrive.py

Time and score: not yet run.
"""

import ml_collections

from distortion_removal.config import sibling

default = sibling(__file__, "default")


def get_config(arg: str = "") -> ml_collections.ConfigDict:
  """Returns the run; `arg` is '' or 'smoke'."""
  config = default.paper_run("ceg_overdrive", "demucs", arg)
  # In a small probe L1 stalled at +2 dB, where a logarithmic loss went on.
  config.loss = "neg_sdr"
  return config
