"""How reports call methods, and in which order they come.

A method is called by its key in results, `demucs`; of two runs of one network
the second has its folder in parentheses, `demucs (RUNFOLDER)`.
"""

from collections.abc import Iterable

from distortion_removal import declipping

DISTORTED = "distorted"
CLEAN = "clean"
# In the order of the paper.
NETWORKS = ("demucs", "wave_unet", "crafx", "umx")
# Those that are told the clean signal: a bound, not a competitor.
ORACLES = ("ideal_ratio_mask",)

_LABELS = {
  "demucs": "Demucs",
  "wave_unet": "Wave-U-Net",
  "crafx": "CRAFx",
  "umx": "UMX",
  "aspade": "A-SPADE",
  "sspade": "S-SPADE",
  "social_sparsity": "social sparsity",
  "ideal_ratio_mask": "ideal ratio mask",
}


def family(method: str) -> str:
  """The key without the run: `demucs` of `demucs (RUNFOLDER)`."""
  return method.partition(" (")[0]


def is_network(method: str) -> bool:
  """Whether it is trained: what a run has of its own.

  Keys that nobody knows count as networks.
  """
  key = family(method)
  known = (DISTORTED, CLEAN, *ORACLES, *declipping.DECLIPPERS)
  return key not in known


def is_oracle(method: str) -> bool:
  """Whether it is told the clean signal."""
  return family(method) in ORACLES


def is_baseline(method: str) -> bool:
  """Whether it is what a network has to beat: the input, or a declipper."""
  return not (is_network(method) or is_oracle(method) or method == CLEAN)


def method_label(method: str) -> str:
  """A method's name for people; keys that nobody knows stay as they are."""
  key = family(method)
  return _LABELS.get(key, key) + method[len(key) :]


def in_order(methods: Iterable[str]) -> tuple[str, ...]:
  """The methods as every table has them, each once.

  Distorted, the paper's networks, others, declippers, oracles; runs of one
  network in the order they are given.
  """
  return tuple(sorted(dict.fromkeys(methods), key=_rank))


def _rank(method: str) -> tuple[int, int, str]:
  key = family(method)
  if key in NETWORKS:
    return 1, NETWORKS.index(key), ""
  if key in declipping.DECLIPPERS:
    return 3, declipping.DECLIPPERS.index(key), ""
  if key in ORACLES:
    return 4, ORACLES.index(key), ""
  return (0 if key == DISTORTED else 2), 0, key
