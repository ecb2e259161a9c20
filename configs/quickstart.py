"""A small Demucs against overdrive, on generated guitar, in minutes on a CPU.

Not a result of the paper: the shortest way to hear the whole system work. The
data is rendered, the network has 2.0 million parameters.

    make quickstart

or, in an environment where the package is installed,

    python -m distortion_removal.main --config=configs/quickstart.py
    python -m distortion_removal.main --mode=evaluate --workdir=runs/quickstart

Time and score: 4 minutes on two cores; median SI-SDR 11.9 dB against 3.1 dB
distorted, over all gains.
"""

import ml_collections

from distortion_removal.config import sibling

default = sibling(__file__, "default")


def get_config(arg: str = "") -> ml_collections.ConfigDict:
  """Returns the run; `arg` is '' or 'smoke'."""
  config = default.get_config()
  config.data.dataset = "plucked_strings"
  config.data.task = "overdrive"
  config.data.data_dir = "runs/data"
  config.data.segment_seconds = 2.0
  config.model.fields.channels = 32
  config.model.fields.depth = 5
  config.model.fields.growth = 1.5
  config.model.fields.resample = False
  # Unlike neg_si_sdr, which leaves them open, this pins level and polarity.
  config.loss = "neg_sdr"
  config.batch_size = 8
  config.steps = 2_500
  config.optimizer.learning_rate = 1e-3
  config.optimizer.final_learning_rate = 1e-5
  config.optimizer.warmup_steps = 100
  config.validate_every = 500
  config.checkpoint_every = 500
  config.validation_pairs = 28
  # The network normalises what it sees: chunks as long as in training.
  config.apply.chunk_seconds = 2.0
  config.apply.overlap_seconds = 0.5
  return default.sized(config, arg)
