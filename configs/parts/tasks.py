"""The paper's data sets and tasks (Imort et al. 2022, section 4).

`set_task(config, "signaltrain")` changes of a run what the task decides.
"""

import ml_collections

_URL = (
  "https://zenodo.org/records/3824876/files/SignalTrain_LA2A_Dataset_1.1.tgz"
)
_CEG_HINT = (
  "CEG is not published: use a folder of clean, direct-input electric guitar"
)
_SIGNALTRAIN_HINT = (
  f"download {_URL} (about 20 GB), unpack it here into "
  "SignalTrain_LA2A_Dataset_1.1/ (with Train/, Val/ and Test/), and prepare "
  "it with --path=SignalTrain_LA2A_Dataset_1.1 --include='input_*'"
)

# The task, the folder of the prepared data, and what to say without it.
_TASKS = {
  "ceg_overdrive": ("overdrive", "data/ceg", _CEG_HINT),
  "ceg_hard_clip": ("hard_clip", "data/ceg", _CEG_HINT),
  "signaltrain": ("hard_clip_sdr", "data/signaltrain", _SIGNALTRAIN_HINT),
}


def set_task(config: ml_collections.ConfigDict, name: str) -> None:
  """Takes the paper's task `name` and its data."""
  config.data.dataset = "audio_folder"
  config.data.task, config.data.data_dir, config.data.hint = _TASKS[name]
  if config.data.task != "overdrive":
    config.baselines = ("ideal_ratio_mask", "aspade")
