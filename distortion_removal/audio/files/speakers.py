"""Which channel belongs to which speaker, in formats that differ in it.

WAV and FLAC store channels in the order of WAV's mask of speakers, Vorbis and
Opus in their own; libsndfile passes channels on as they are stored.
"""

import struct
from pathlib import Path

from distortion_removal.audio.files import iff
from distortion_removal.audio.files.reading import Reader

# The masks that FLAC (RFC 9639) implies, by number of channels.
USUAL_MASKS = {
  **{1: 0x4, 2: 0x3, 3: 0x7, 4: 0x33},
  **{5: 0x37, 6: 0x3F, 7: 0x70F, 8: 0x63F},
}
# Places in WAV's order of the channels in Vorbis's (Vorbis I, 4.3.9).
_VORBIS = {
  3: (0, 2, 1),
  5: (0, 2, 1, 3, 4),
  6: (0, 2, 1, 4, 5, 3),
  7: (0, 2, 1, 5, 6, 4, 3),
  8: (0, 2, 1, 6, 7, 4, 5, 3),
}

# The sub-format of plain speakers, see `iff.set_layout`.
USUAL_FLAVOUR = bytes.fromhex("0000 00001000 800000aa00389b71")
# Speakers at the side instead of the back, which FLAC, Vorbis and Opus take as
# the same.
_SAME_MASKS = {0x603: 0x33, 0x607: 0x37, 0x60F: 0x3F}
MASK_COMMENT = "waveformatextensible_channel_mask"


def channel_order(source: str, target: str, channels: int) -> list[int] | None:
  """Returns, for each channel of the target, its place in the source.

  Args:
    source: libsndfile's name of the source's format.
    target: that of the target's.
    channels: number of channels.

  Returns:
    None where the order stays.
  """
  order = _VORBIS.get(channels)
  if order is None or (source == "OGG") == (target == "OGG"):
    return None
  if target == "OGG":
    return list(order)
  return [order.index(channel) for channel in range(channels)]


def layout_of(source: Reader, path: Path) -> bytes | None:
  """Returns the speakers of the channels, as `iff.set_layout` takes them.

  None if the file does not say.
  """
  if not path.is_file():
    return None
  if container := iff.read_container(path):
    return container.layout()
  mask = None
  if source.channels > 2 and source.format in ("FLAC", "OGG"):
    mask = USUAL_MASKS.get(source.channels)
  if source.format == "FLAC":
    mask = _mask_in_comments(path) or mask
  return None if mask is None else struct.pack("<I", mask)


def _mask_in_comments(path: Path) -> int | None:
  import mutagen

  try:
    comments = mutagen.File(path).tags or {}
    mask = int(comments[MASK_COMMENT][0], 16)
  except (mutagen.MutagenError, AttributeError, LookupError, ValueError):
    return None
  return mask if 0 <= mask < 1 << 32 else None


def is_usual(layout: bytes, *, exact: bool = False) -> bool:
  """Returns whether the speakers are those that FLAC and Vorbis imply."""
  mask = struct.unpack("<I", layout[:4])[0]
  if not exact:
    mask = _SAME_MASKS.get(mask, mask)
  is_implied = mask == 0 or mask == USUAL_MASKS.get(mask.bit_count())
  return is_implied and layout[4:] in (b"", USUAL_FLAVOUR)
