"""A network for one device, from takes recorded through it, 44.1 kHz.

Ten seconds are a beginning, minutes are better. A folder of takes
(solo_input.wav next to solo_output.wav), and the general network to start from:

    python -m distortion_removal.prepare --dataset=paired_folder \
        --path=MY_PEDAL --data-dir=data/pedal --sample-rate=44100
    python -m distortion_removal.main --config=configs/correction_pedal.py \
        --config.initialize_from=runs/correction_random_distortion

Time and score: 400 steps, five minutes on one core of an AMD EPYC, from random
weights and 9.8 s of two notes, commit 1424543: SI-SDR of another note -4.3 to
-1.3 dB (TubeScreamer Mini), -3.9 to -3.1 (ProCo RAT2), -16.9 to -12.6 (Boss
BD-2).
"""

import ml_collections

from distortion_removal.config import sibling

default = sibling(__file__, "default")
general = sibling(__file__, "correction_random_distortion")


def get_config(arg: str = "") -> ml_collections.ConfigDict:
  """Returns the run; `arg` is '' or 'smoke'."""
  config = general.get_config()
  config.data.dataset = "paired_folder"
  config.data.task = "recorded"
  config.data.levels = ()
  config.data.data_dir = "data/pedal"
  config.data.hint = "record takes through your device"
  config.data.sources = ()
  # A device answers to the level and the sum of what it is played. It answers
  # to the pitch as well, but a few pitches alone would be learnt by heart.
  speeds = (0.5, 0.6, 0.7, 0.8, 0.9, 1.0, 1.12, 1.25, 1.4, 1.6, 1.8, 2.0)
  config.data.augment.speeds = speeds
  config.data.augment.tilt_db = 0.0
  config.data.augment.sums = 0.0
  config.data.augment.polarity = False
  config.steps = 400
  config.ema_decay = 0.98
  config.optimizer.learning_rate = 1e-3
  config.optimizer.warmup_steps = 50
  config.validate_every = 100
  config.checkpoint_every = 100
  config.validation_pairs = 8
  return default.sized(config, arg)
