"""Methods as reports have them: labels, families, order and looks.

A method is called by its key in results, `demucs`; of two runs of one network
the second has its folder in parentheses, `demucs (RUNFOLDER)`.
"""

import itertools
from collections.abc import Iterable
from typing import NamedTuple

from distortion_removal.declipping import DECLIPPERS

DISTORTED = "distorted"
CLEAN = "clean"


class Style(NamedTuple):
  """The look of a method, distinct with colours or without."""

  colour: str  # "#RRGGBB"
  marker: str  # of points, as matplotlib names it
  dash: str | tuple[int, tuple[float, ...]]  # matplotlib's `linestyle`


class _Method(NamedTuple):
  label: str
  family: str
  style: Style


_SOLID, _DASHED, _DOTTED = "-", "--", (0, (1.0, 1.2))
_DASH_DOT = (0, (5.0, 1.2, 1.0, 1.2))
_LONG = (0, (7.0, 1.6))
_SHORT = (0, (3.0, 1.2))

# In the order of tables and figures: the input, the paper's networks, (other
# networks,) ours, declippers, inversion, and oracles, which know the clean
# signal and are a bound, not a competitor.
#
# Colours: Okabe and Ito (2008), less their yellow, which white paper swallows;
# the input and the oracle, which bound the methods, are black and grey. Any two
# differ by more than 15 (CIE 1976) to any colour-blind reader; in grey print
# dashes and markers tell them apart.
_METHODS = {
  DISTORTED: _Method("distorted", "input", Style("#000000", "x", _DASHED)),
  "demucs": _Method("Demucs", "network", Style("#0072B2", "o", _SOLID)),
  "wave_unet": _Method("Wave-U-Net", "network", Style("#D55E00", "s", _LONG)),
  "crafx": _Method("CRAFx", "network", Style("#CC79A7", "D", _DASH_DOT)),
  "umx": _Method("UMX", "network", Style("#009E73", "^", _SHORT)),
  "hybrid": _Method("Hybrid", "network", Style("#9C84FC", "3", _SOLID)),
  "inverses": _Method("Inverses", "network", Style("#A8CC9C", "|", _LONG)),
  "correction": _Method("Correction", "network", Style("#FCC0D8", ".", _SHORT)),
  "aspade": _Method("A-SPADE", "declipper", Style("#E69F00", "v", _SOLID)),
  "sspade": _Method("S-SPADE", "declipper", Style("#56B4E9", ">", _LONG)),
  "social_sparsity": _Method(
    "social sparsity", "declipper", Style("#5D3A00", "<", _DASH_DOT)
  ),
  "parabola": _Method(
    "weighted l1", "declipper", Style("#A53CFF", "X", _SHORT)
  ),
  "nmf": _Method("NMF", "declipper", Style("#3C0096", "H", _SOLID)),
  "janssen": _Method("Janssen", "declipper", Style("#780069", "8", _DOTTED)),
  "fast": _Method("fusion, fast", "declipper", Style("#B7B766", "2", _SHORT)),
  "normal": _Method(
    "fusion, normal", "declipper", Style("#2A3F2C", "1", _LONG)
  ),
  "best": _Method("fusion, best", "declipper", Style("#1C0DFB", "+", _SOLID)),
  "inversion": _Method(
    "inverse effect", "inversion", Style("#A86030", "4", _SOLID)
  ),
  "ideal_ratio_mask": _Method(
    "ideal ratio mask", "oracle", Style("#666666", "P", _DOTTED)
  ),
}
_ORDER = tuple(_METHODS)
_SPARE_COLOURS = ("#332288", "#882255", "#999933", "#44AA99")
_SPARE = tuple(
  Style(_SPARE_COLOURS[i % 4], marker, dash)
  for i, (dash, marker) in enumerate(
    itertools.product((_SOLID, _LONG, _DASH_DOT, _SHORT), "*dph")
  )
)


def _key(method: str) -> str:
  """Returns the key without the run: `demucs` of `demucs (RUNFOLDER)`."""
  return method.partition(" (")[0]


def family(method: str) -> str:
  """Returns "input", "target", "network", "declipper", "inversion" or
  "oracle".

  Unknown methods count as networks: each run has its own.
  """
  key = _key(method)
  if key == CLEAN:
    return "target"
  if key in _METHODS:
    return _METHODS[key].family
  return "declipper" if key in DECLIPPERS else "network"


def method_label(method: str) -> str:
  """Returns a method's name for people; unknown keys stay as they are."""
  key = _key(method)
  label = _METHODS[key].label if key in _METHODS else key
  return label + method[len(key) :]


def in_order(methods: Iterable[str]) -> tuple[str, ...]:
  """Returns the methods in the order of all tables, each once.

  Unknown networks, sorted, follow the paper's; runs of one network stay in the
  order in which they are given.
  """
  return tuple(sorted(dict.fromkeys(methods), key=_rank))


def _rank(method: str) -> tuple[float, str]:
  key = _key(method)
  if key in _ORDER:
    return _ORDER.index(key), ""
  return _ORDER.index("umx") + 0.5, key


def styles(methods: Iterable[str]) -> dict[str, Style]:
  """Returns a style for each method.

  Unknown networks and second runs get spare ones in the order they are given.
  """
  spare = itertools.cycle(_SPARE)
  return {
    method: _METHODS[method].style if method in _METHODS else next(spare)
    for method in dict.fromkeys(methods)
  }
