"""Declippers as the declipping survey ran them: 44.1 kHz, long frames.

Záviška, Rajmic, Ozerov and Rencker, "A survey and an extensive evaluation of
popular audio declipping methods", 2021: clipped to input SDRs of 1 to 20 dB.
There is nothing to train. The survey's ten recordings are short excerpts of
the EBU's SQAM disc; this takes any folder of clean recordings.

    python experiments/declipping_survey.py --path=MY_RECORDINGS

cuts an excerpt of each, scores all methods on them and writes tables and
figures. `--config=configs/declipping_survey.py:fast` has faster options, which
are not the survey's.

Time and score: see docs/benchmarks.md. A-SPADE takes 5 s for a second of audio
and level, social sparsity 15 s or more.
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
  config.baselines = default.declippers.DECLIPPERS
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
