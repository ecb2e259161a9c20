"""Rounds samples to the codes of integer formats.

libsndfile drops the bits that a format lacks: half a code of DC, and twice the
noise's amplitude. So integer formats get integers here, and samples that were
codes of the format before are the same codes again.
"""

from collections.abc import Iterable, Iterator

import numpy as np

_LINEAR_BITS = {
  **{"PCM_S8": 8, "PCM_U8": 8, "PCM_16": 16, "PCM_24": 24, "PCM_32": 32},
  **{"DWVW_12": 12, "DWVW_16": 16, "DWVW_24": 24},
}
# These take float samples as they are; all other codecs take 16-bit integers.
_FLOAT = ("FLOAT", "DOUBLE", "VORBIS", "OPUS", "MPEG_", "ALAC_")


def linear_bits(subtype: str | None) -> int | None:
  """Returns the bits of a linear integer format's codes; None for others."""
  return _LINEAR_BITS.get(subtype)


def sample_bytes(subtype: str) -> int:
  """Returns the bytes of a sample; for compressed ones, at least as many."""
  bits = _LINEAR_BITS.get(subtype, 8)
  return {"FLOAT": 4, "DOUBLE": 8}.get(subtype, -(-bits // 8))


def quantise(
  audio: np.ndarray, subtype: str, noise: np.ndarray | float = 0.0
) -> np.ndarray:
  """Rounds float samples to a format's codes, and clips them at full scale.

  Args:
    audio: float samples, full scale ±1.
    subtype: libsndfile's name of the sample format.
    noise: added before rounding, in codes.

  Returns:
    What libsndfile takes as it is: for linear formats int32 with the code in
    the upper bits, for codecs int16; for formats of floats the audio itself.
  """
  if subtype.startswith(_FLOAT):
    return audio
  bits = _LINEAR_BITS.get(subtype, 16)
  scale = 2.0 ** (bits - 1)
  codes = np.rint(scale * np.asarray(audio, np.float64) + noise)
  codes = np.clip(codes, -scale, scale - 1)
  if subtype not in _LINEAR_BITS:
    # µ-law, A-law and ADPCM compress 16-bit samples. In libsndfile's encoders
    # floats beyond full scale wrap around, and so does an int32 of -1.0.
    return codes.astype(np.int16)
  return codes.astype(np.int32) << (32 - bits)


def quantise_blocks(
  blocks: Iterable[np.ndarray], subtype: str, *, dither: bool = False
) -> Iterator[np.ndarray]:
  """Yields blocks `[time, channels]` as `quantise` makes them.

  Args:
    blocks: consecutive blocks of float samples.
    subtype: the sample format.
    dither: adds triangular noise within ±1 code, of its own in each channel and
      the same in each run, however the audio is cut into blocks.
  """
  generator = np.random.default_rng(0)
  for block in blocks:
    noise = 0.0
    if dither:
      noise = generator.random((*block.shape, 2)).sum(axis=-1) - 1.0
    yield quantise(block, subtype, noise)
