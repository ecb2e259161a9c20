"""Which channel belongs to which speaker, in formats that differ in it.

WAV and FLAC store channels in the order of WAV's mask of speakers, Vorbis and
Opus in their own; libsndfile passes channels on as they are stored.
"""

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
