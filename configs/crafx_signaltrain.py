"""CRAFx on SignalTrain-HC: music, hard-clipped to an input SDR of 1 to 20 dB.

Imort et al. 2022 leave this pair out (distorted, their median SI-SDR is 8.6
dB). Only the set's `input` recordings are used; preparing downloads it (20 GB)
unless `--path` names the archive or its folder.

    python -m distortion_removal.prepare --dataset=signaltrain \
        --data-dir=data/signaltrain
    python -m distortion_removal.main --config=configs/crafx_signaltrain.py

Time and score: not yet run.
"""

import ml_collections

from distortion_removal.config import sibling

default = sibling(__file__, "default")


def get_config(arg: str = "") -> ml_collections.ConfigDict:
  """Returns the run; `arg` is '' or 'smoke'."""
  return default.paper_run("signaltrain", "crafx", arg)
