"""The paper's data sets and tasks (Imort et al. 2022, section 4).

`set_task(config, "signaltrain")` sets the fields that depend on the task.
"""

import ml_collections

_CEG_HINT = (
  "CEG is not published: use a folder of clean, direct-input electric guitar"
)
_SIGNALTRAIN_HINT = (
  "preparing downloads SignalTrain_LA2A_Dataset_1.1.tgz (about 20 GB) from "
  "https://zenodo.org/records/3824876, or takes that file, or the unpacked "
  "folder, as --path=PLACE"
)

# The data set, the task, and the hint if the data are not prepared.
_TASKS = {
  "ceg_overdrive": ("ceg", "overdrive", _CEG_HINT),
  "ceg_hard_clip": ("ceg", "hard_clip", _CEG_HINT),
  "signaltrain": ("signaltrain", "hard_clip_sdr", _SIGNALTRAIN_HINT),
}


def set_task(config: ml_collections.ConfigDict, name: str) -> None:
  """Sets the paper's task `name` and its data."""
  data = config.data
  data.dataset, data.task, data.hint = _TASKS[name]
  data.data_dir = f"data/{data.dataset}"
  if config.data.task != "overdrive":
    config.baselines = ("ideal_ratio_mask", "aspade")
