"""A-SPADE on SignalTrain-HC: music, hard-clipped to input SDRs of 1 to 20 dB.

Imort et al. 2022, section 4 (published medians: SI-SDR 13.4 dB against 8.6 dB
distorted). There is nothing to train. Only the set's `input` recordings are
used; preparing downloads it (20 GB) unless `--path` names the archive or its
folder.

    python -m distortion_removal.prepare --dataset=signaltrain \
        --data-dir=data/signaltrain
    python -m distortion_removal.main --config=configs/aspade_signaltrain.py \
        --mode=evaluate

Time and score: not yet run.
"""

import ml_collections

from distortion_removal.config import sibling

default = sibling(__file__, "default")


def get_config(arg: str = "") -> ml_collections.ConfigDict:
  """Returns the evaluation; `arg` is '' or 'smoke'."""
  return default.paper_run("signaltrain", "", arg)
