"""A-SPADE as the declipping survey ran it: 44.1 kHz, frames of 8192 samples.

Záviška, Rajmic, Ozerov and Rencker, "A survey and an extensive evaluation of
popular audio declipping methods", 2021: clipped to input SDRs of 1 to 20 dB.
There is nothing to train. The survey's ten recordings are short excerpts of
the EBU's SQAM disc; this takes any folder of clean recordings.

    python -m distortion_removal.prepare --dataset=audio_folder \
        --path=MY_RECORDINGS --task=hard_clip_sdr --sample-rate=44100 \
        --data-dir=data/survey
    python -m distortion_removal.main --config=configs/aspade_survey.py \
        --mode=evaluate

Time and score: six excerpts of 5 s took 15 minutes with S-SPADE, on two cores
beside other work; see docs/benchmarks.md. Social sparsity takes 15 s or more
for a second of audio. `--config=configs/aspade_survey.py:fast` has faster
options for both, which are not the survey's.
"""

import ml_collections

from distortion_removal.config import sibling

default = sibling(__file__, "default")


def get_config(arg: str = "") -> ml_collections.ConfigDict:
  """Returns the evaluation; `arg` is '', 'smoke' or 'fast'."""
  config = default.paper_run("signaltrain", "")
  config.data.dataset = "audio_folder"
  config.data.data_dir = "data/survey"
  config.data.hint = "use a folder of clean recordings at 44.1 kHz or more"
  config.data.sample_rate = 44_100
  is_fast = arg == "fast"
  default.declippers.set_declippers(config, "fast" if is_fast else "survey")
  # The metrics of the survey's tables, and the SDR itself.
  config.metrics = (
    "sdr",
    "delta_sdr",
    "delta_sdr_clipped",
    "peaq",
    "r_nonlin",
  )
  return default.sized(config, "" if is_fast else arg)
