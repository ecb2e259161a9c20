"""The options of the declippers, in two settings of the literature.

`set_declippers(config, "paper")` is Imort et al. 2022, for 16 kHz; "survey" is
Záviška, Rajmic, Ozerov and Rencker, "A survey and an extensive evaluation of
popular audio declipping methods", 2021, for 44.1 kHz. What a setting does not
have is ours.
"""

import ml_collections

from distortion_removal.declipping import DECLIPPERS, social_sparsity


def set_declippers(config: ml_collections.ConfigDict, setting: str) -> None:
  """Sets the options of all declippers as in "paper" or "survey"."""
  frames, sparsity = _FRAMES[setting], _SPARSITY[setting]
  for method in ("aspade", "sspade"):
    config[method] = ml_collections.ConfigDict(frames | sparsity | _SPADE)
  config.social_sparsity = ml_collections.ConfigDict(frames | _SOCIAL)
  # Samples of the fade back to the reliable ones; None: they stay replaced.
  config.social_sparsity.crossfade = ml_collections.config_dict.placeholder(int)
  for method, options in (("parabola", _PARABOLA), ("nmf", _NMF)):
    config[method] = ml_collections.ConfigDict(_LONG_FRAMES[setting] | options)
  for method in DECLIPPERS:
    config[method].frames = ()  # not one: the mean of the results with each


def shrink(config: ml_collections.ConfigDict) -> None:
  """Makes declippers so coarse that a second of audio takes less than one."""
  for method in ("aspade", "sspade"):
    config[method].update(frame=1024, hop=256, s=4, r=1)
  config.social_sparsity.update(
    frame=1024, hop=256, lambdas=(1e-1, 1e-2, 1e-3), iterations=10
  )
  for method in ("parabola", "nmf"):
    config[method].update(frame=1024, hop=256, iterations=10)


_FRAMES = {
  "paper": {
    "frame": 1024,  # samples, under a Hann window
    "hop": 256,  # samples
    "redundancy": 2,  # DFT bins for each sample of a frame
  },
  "survey": {"frame": 8192, "hop": 2048, "redundancy": 2},
}

_SPARSITY = {
  "paper": {
    "s": 1,  # coefficients added at a time
    "r": 1,  # iterations between two additions
  },
  "survey": {"s": 1, "r": 2},
}

_SPADE = {
  "epsilon": 0.1,  # norm at which a frame is finished; full scale is 1
  "relative": False,  # epsilon is relative to the clipping level
  "precision": "float32",  # or "float64"
}

_SOCIAL = {
  "shrinkage": "pew",  # "lasso", "wgl", "ew" or "pew"
  "neighbourhood": (3, 7),  # bins and frames, for "wgl" and "pew"
  # Thresholds of the coefficients, full scale is 1: 20 from 0.1 down to
  # 0.0001 in equal ratios.
  "lambdas": social_sparsity.LAMBDAS,
  "iterations": 500,  # at most, for each lambda
  "tolerance": 1e-5,  # relative change that ends a lambda; 0: none does
  "relative": False,  # lambdas are relative to the higher clipping level
  "precision": "float32",  # or "float64"
}

_LONG_FRAMES = {
  "paper": {"frame": 2048, "hop": 512},
  "survey": {"frame": 8192, "hop": 2048},
}

_PARABOLA = {
  "redundancy": 2,
  "iterations": 500,
  "precision": "float32",  # or "float64"
}

_NMF = {
  "rank": 128,  # templates, at most
  "iterations": 400,
  # First and last lambda, in units of the recording's largest coefficient.
  "thresholds": (1e-1, 1e-4),
  "precision": "float32",  # or "float64"
}
