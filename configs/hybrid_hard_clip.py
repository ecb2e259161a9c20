"""A network behind four declippers, for hard clipping of any level, 16 kHz.

One model for both clipping tasks of Imort et al. 2022, CEG-HC and
SignalTrain-HC, with .7 million parameters. It learns how to weight NMF and
A-SPADE with two frame lengths each, and what to add where audio is clipped.
Clean guitar and music, prepared as `audio_folder` each, and generated sounds:

    python -m distortion_removal.prepare --dataset=audio_folder \
        --task=hard_clip --path=CLEAN --data-dir=data/clean
    (the same for data/guitar, data/notes and data/music, parts of it)
    python -m distortion_removal.main --config=configs/hybrid_hard_clip.py

stores two and a half hours of clipped pairs with the declippers' estimates
first (an hour of one core; it goes on where it was interrupted), then trains.

Commit 75dcf3e, step 14,000 after about 2.7 hours on one busy core of an AMD
EPYC: mean SI-SDR of 70 validation pairs 15.9 dB, by the mean of the declippers
15.0. Six test recordings: 11.1 dB (CEG-HC) and 19.4 dB (SignalTrain-HC),
A-SPADE 9.3 and 17.5. The weights come along as `hybrid-hard-clip-16k`.
"""

import ml_collections

from distortion_removal.config import sibling

default = sibling(__file__, "default")


def get_config(arg: str = "") -> ml_collections.ConfigDict:
  """Returns the run; `arg` is '' or 'smoke'."""
  config = default.get_config()
  default.networks.set_network(config, "hybrid")
  config.data.dataset = "audio_folder"
  config.data.task = "hard_clip"
  config.data.data_dir = "data/clean"
  config.data.hint = "use a folder of clean recordings, guitar and music"
  config.data.sources = (
    ("audio_folder", "data/guitar", 0.35),
    ("audio_folder", "data/notes", 0.1),
    ("audio_folder", "data/music", 0.2),
    ("plucked_strings", "data/plucked_strings", 0.15),
    ("signaltrain_sounds", "data/signaltrain_sounds", 0.2),
  )
  config.data.augment.polarity = True
  config.data.augment.speeds = (0.75, 0.8, 0.87, 0.93, 1.0, 1.07, 1.15, 1.25)
  config.data.augment.tilt_db = 3.0
  config.data.augment.sums = 0.3
  # Wider than the tests' levels.
  config.data.clipped.tasks = (
    ("hard_clip", 15.0, 55.0),
    ("hard_clip_sdr", 0.5, 25.0),
  )
  config.data.clipped.minutes = 150.0
  config.steps = 50_000
  config.optimizer.warmup_steps = 500
  config.validate_every = 1_000
  config.checkpoint_every = 500
  config.validation_pairs = 70
  config.validation_examples = 0
  config.baselines = ("aspade", "nmf")
  return default.sized(config, arg)
