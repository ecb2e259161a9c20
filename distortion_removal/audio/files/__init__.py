"""Reads and writes audio files in blocks of bounded memory.

Audio is `[time, channels]` float32, or float64 on request. A file that cannot
be used (not audio, cut short, NaN) raises an `AudioFileError` with its name and
the reason. Pipes are read within `spooling`, and written by `piped_output`;
arrays are both within `as_files`.
"""

from distortion_removal.audio.files.arrays import as_files, written
from distortion_removal.audio.files.integrity import AudioFileError
from distortion_removal.audio.files.pipes import piped_output, spooling
from distortion_removal.audio.files.quantisation import (
  linear_bits,
  quantise,
)
from distortion_removal.audio.files.reading import (
  BLOCK_FRAMES,
  Reader,
  info,
  open_reader,
  read,
)
from distortion_removal.audio.files.writing import (
  FORMATS,
  check_format,
  scratch_file,
  usual_subtype,
  write,
  write_blocks,
)

# Recordings in a folder. Its other files may hold sound for ffmpeg, but not on
# purpose.
SUFFIXES = {
  *FORMATS,
  *(".aac", ".ac3", ".ape", ".au", ".caf", ".m4a", ".m4b", ".mka", ".mov"),
  *(".mp2", ".mp4", ".rf64", ".tta", ".webm", ".wma", ".wv"),
}

__all__ = [
  "BLOCK_FRAMES",
  "FORMATS",
  "SUFFIXES",
  "AudioFileError",
  "Reader",
  "as_files",
  "check_format",
  "info",
  "linear_bits",
  "open_reader",
  "piped_output",
  "quantise",
  "read",
  "scratch_file",
  "spooling",
  "usual_subtype",
  "write",
  "write_blocks",
  "written",
]
