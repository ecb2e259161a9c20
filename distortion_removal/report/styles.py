"""How a method is drawn: the same in every figure and on the page."""

import zlib
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Style:
  """What tells a method from the others, with colours or without.

  Attributes:
    colour: "#RRGGBB".
    marker: of points, as matplotlib names it.
    dash: of lines, as matplotlib's `linestyle`.
  """

  colour: str
  marker: str
  dash: str | tuple[int, tuple[float, ...]]


_SOLID, _DASHED, _DOTTED = "-", "--", (0, (1.0, 1.2))
_DASH_DOT = (0, (5.0, 1.2, 1.0, 1.2))
_LONG = (0, (7.0, 1.6))
_SHORT = (0, (3.0, 1.2))

# Okabe and Ito (2008), less their yellow, which white paper swallows. The input
# and the oracle, which bound the methods, are black and grey. Any two differ by
# more than 15 (CIE 1976) to any colour-blind reader; in grey print it is dashes
# and markers that tell them apart.
_KNOWN = {
  "distorted": Style("#000000", "x", _DASHED),
  "demucs": Style("#0072B2", "o", _SOLID),
  "wave_unet": Style("#D55E00", "s", _LONG),
  "crafx": Style("#CC79A7", "D", _DASH_DOT),
  "umx": Style("#009E73", "^", _SHORT),
  "aspade": Style("#E69F00", "v", _SOLID),
  "sspade": Style("#56B4E9", ">", _LONG),
  "social_sparsity": Style("#5D3A00", "<", _DASH_DOT),
  "ideal_ratio_mask": Style("#666666", "P", _DOTTED),
}
# Of curves that are not of methods.
COLOURS = tuple(look.colour for look in _KNOWN.values())
_SPARE_COLOURS = ("#332288", "#882255", "#999933", "#44AA99")
_SPARE_MARKERS = ("*", "d", "p", "h")
_SPARE_DASHES = (_SOLID, _LONG, _DASH_DOT, _SHORT)
_SPARE = tuple(
  Style(colour, marker, dash)
  for dash in _SPARE_DASHES
  for marker in _SPARE_MARKERS
  for colour in _SPARE_COLOURS
)


def style(method: str) -> Style:
  """The style of one method; of one that nobody knows, by its name alone."""
  return _KNOWN.get(method, _SPARE[_position(method)])


def styles(methods: Iterable[str]) -> dict[str, Style]:
  """The styles of methods in one figure: as `style`, but no two alike.

  Where marker and dash would be, the later method's differ; its colour stays.
  """
  found: dict[str, Style] = {}
  taken = set()
  for method in methods:
    drawn = style(method)
    position = _position(method)
    for _ in range(len(_SPARE) // len(_SPARE_COLOURS)):
      if (drawn.marker, drawn.dash) not in taken:
        break
      position = (position + len(_SPARE_COLOURS)) % len(_SPARE)
      drawn = _SPARE[position]
    found[method] = drawn
    taken.add((drawn.marker, drawn.dash))
  return found


def _position(method: str) -> int:
  return zlib.crc32(method.encode()) % len(_SPARE)
