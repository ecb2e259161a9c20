"""The options of the declippers, in two settings of the literature and ours.

`set_declippers(config, "paper")` is Imort et al. 2022, for 16 kHz; "survey" is
Záviška, Rajmic, Ozerov and Rencker, "A survey and an extensive evaluation of
popular audio declipping methods", 2021, for 44.1 kHz; "fast" has the survey's
frames, but lets the sparse methods take a fifteenth of its time. What these
settings do not have is ours.
"""

import ml_collections

from distortion_removal.declipping import (
  DECLIPPERS,
  fusion,
  social_sparsity,
)


def set_declippers(config: ml_collections.ConfigDict, setting: str) -> None:
  """Sets the options of all declippers as in "paper", "survey" or "fast"."""
  frames, sparsity = _FRAMES[setting], _SPARSITY[setting]
  for method in ("aspade", "sspade"):
    config[method] = ml_collections.ConfigDict(frames | _SPADE | sparsity)
  config.social_sparsity = ml_collections.ConfigDict(frames | _SOCIAL)
  # Samples of the fade back to the reliable ones; None: they stay replaced.
  config.social_sparsity.crossfade = ml_collections.config_dict.placeholder(int)
  # A constant gamma; None: as its authors have it.
  config.social_sparsity.relaxation = ml_collections.config_dict.placeholder(
    float
  )
  if setting == "fast":
    config.social_sparsity.update(social_sparsity.FAST)
  for method, options in (("parabola", _PARABOLA), ("nmf", _NMF)):
    config[method] = ml_collections.ConfigDict(_LONG_FRAMES[setting] | options)
  config.janssen = ml_collections.ConfigDict(_JANSSEN[setting])
  for method in fusion.PRESETS:
    config[method] = ml_collections.ConfigDict(_FUSION[setting])
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
  config.janssen.update(frame=1024, hop=512, order=32, iterations=2)
  for method in fusion.PRESETS:
    config[method].update(frame=1024, hop=256)


_FRAMES = {
  "paper": {
    "frame": 1024,  # samples, under a Hann window
    "hop": 256,  # samples
    "redundancy": 2,  # DFT bins for each sample of a frame
  },
  "survey": {"frame": 8192, "hop": 2048, "redundancy": 2},
  "fast": {"frame": 8192, "hop": 2048, "redundancy": 2},
}

_SPARSITY = {
  "paper": {
    "s": 1,  # coefficients added at a time
    "r": 1,  # iterations between two additions
  },
  "survey": {"s": 1, "r": 2},
  # Of frames of w samples: s is w / 1024, epsilon the root of w / 4096. At
  # 3 dB of input SDR a smaller, slower s can be 2 dB better.
  "fast": {"s": 8, "r": 1, "epsilon": 2**0.5, "relative": True},
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
  "tolerance": 1e-4,  # norm of a change that ends a lambda; 0: none does
  # Lambdas and tolerance are relative to the farther clipping level.
  "relative": False,
  "precision": "float32",  # or "float64"
}

_LONG_FRAMES = {
  "paper": {"frame": 2048, "hop": 512},
  "survey": {"frame": 8192, "hop": 2048},
}
_LONG_FRAMES["fast"] = _LONG_FRAMES["survey"]

_PARABOLA = {
  "redundancy": 2,
  "iterations": 500,
  "step": 10.0,  # primal, in units of the rail
  "precision": "float32",  # or "float64"
}

_NMF = {
  "rank": 128,  # templates, at most
  "iterations": 400,
  # First and last lambda, in units of the recording's largest coefficient.
  "thresholds": (1e-1, 1e-4),
  "precision": "float32",  # or "float64"
}

_FUSION = {  # of the longest frame
  "paper": {"frame": 4096, "hop": 1024, "precision": "float32"},
  "survey": {"frame": 8192, "hop": 2048, "precision": "float32"},
}
_FUSION["fast"] = _FUSION["survey"]

_JANSSEN = {
  # Samples of a frame, which is not windowed, and that a prediction looks back.
  "paper": {"frame": 4096, "hop": 2048, "order": 256, "iterations": 5},
  "survey": {"frame": 8192, "hop": 4096, "order": 512, "iterations": 5},
}
_JANSSEN["fast"] = _JANSSEN["survey"]
