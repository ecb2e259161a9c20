"""A network for recordings of unknown distortion, 44.1 kHz.

Overdrive, clips, folding and bit crushing of any strength, between tone
filters; a quarter of what it is trained on is hardly distorted, so that it
learns to leave alone what is clean. Any clean recordings, prepared as
`audio_folder`, and generated sounds:

    python -m distortion_removal.prepare --dataset=audio_folder \
        --task=random_distortion --path=CLEAN --data-dir=data/clean44 \
        --sample-rate=44100
    (the same for data/guitar44, data/notes44 and data/music44, parts of it)
    python -m distortion_removal.main \
        --config=configs/correction_random_distortion.py

Time and score: not yet run to its end (1,000 steps: nothing gained).
"""

import ml_collections

from distortion_removal.config import sibling

default = sibling(__file__, "default")


def get_config(arg: str = "") -> ml_collections.ConfigDict:
  """Returns the run; `arg` is '' or 'smoke'."""
  config = default.get_config()
  default.networks.set_network(config, "correction")
  config.data.dataset = "audio_folder"
  config.data.task = "random_distortion"
  config.data.levels = (-5.0, 50.0)
  config.data.data_dir = "data/clean44"
  config.data.sample_rate = 44_100
  config.data.hint = "use a folder of clean recordings, guitar and music"
  config.data.sources = (
    ("audio_folder", "data/guitar44", 0.45),
    ("audio_folder", "data/notes44", 0.2),
    ("audio_folder", "data/music44", 0.35),
  )
  config.data.augment.polarity = True
  config.data.augment.speeds = (0.8, 0.9, 1.0, 1.1, 1.2)
  config.data.augment.tilt_db = 2.0
  config.data.augment.sums = 0.2
  config.steps = 20_000
  config.optimizer.learning_rate = 5e-4
  config.optimizer.warmup_steps = 500
  config.validate_every = 1_000
  config.checkpoint_every = 500
  config.validation_pairs = 50
  config.validation_examples = 0
  config.baselines = ()
  return default.sized(config, arg)
