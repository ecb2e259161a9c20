"""Makes audio files that are broken, extreme, or no files at all.

Each case says what has to be made of it: `frames` samples per channel, or None
for a refusal. What tests of single formats hold already is not repeated.
"""

import io
import os
import socket
import struct
from pathlib import Path
from typing import NamedTuple

import numpy as np
import soundfile

RATE = 8_000
FRAMES = 1_000
OTHER_FORMATS = ("AIFF", "AU", "CAF", "FLAC", "OGG", "RF64", "W64", "MP3")
EITHER = -1  # `frames` of what may be read or refused


class Case(NamedTuple):
  """A file, and what has to be made of it."""

  path: Path
  frames: int | None  # samples per channel to be read; None: it is refused
  kind: str


def sound(frames=FRAMES, channels=1, rate=RATE):
  """A clipped chord `[time, channels]`, in each channel a bit quieter."""
  time = np.arange(frames) / rate
  chord = sum(np.sin(2 * np.pi * k * 110.0 * time + k) for k in (2, 3, 5))
  loudness = 0.9 ** np.arange(channels)
  return (0.5 * np.clip(chord, -0.8, 0.8))[:, None] * loudness


def encoded(format_, audio=None, rate=RATE, subtype=None):
  """A file's bytes in one of libsndfile's formats."""
  file = io.BytesIO()
  audio = sound() if audio is None else audio
  soundfile.write(file, audio, rate, subtype=subtype, format=format_)
  return file.getvalue()


def wav(
  *,
  tag=1,
  channels=1,
  rate=RATE,
  bits=16,
  align=2,
  fmt_bytes=16,
  data_bytes=2 * FRAMES,
  before=b"",
  form=b"RIFF",
):
  """A WAV of 16-bit samples that says what is asked for."""
  layout = struct.pack(
    "<HHIIHH", tag, channels, rate, rate * align % 2**32, align, bits
  )
  body = np.int16(32_767 * sound()).tobytes()
  fmt = b"fmt " + struct.pack("<I", fmt_bytes) + layout
  data = b"data" + struct.pack("<I", data_bytes) + body
  riff = struct.pack("<I", 4 + len(before + fmt + data))
  return form + riff + b"WAVE" + before + fmt + data


def ds64(declared_bytes, *sizes):
  """A ds64 chunk, which holds sizes of 64 bits."""
  return b"ds64" + struct.pack(f"<I{len(sizes)}Q", declared_bytes, *sizes)


def patched(content, place, new):
  """Bytes with others from `place` on."""
  return content[:place] + new + content[place + len(new) :]


def _lies():
  """Headers that claim what is not there: bytes by name."""
  flac, mp3 = encoded("FLAC"), encoded("MP3")
  total = flac[21] & 0xF0 | 0xF, b"\xff" * 4  # the last 36 bits of 8 bytes
  info = mp3.index(b"Xing")
  rf64 = wav(form=b"RF64", data_bytes=2**32 - 1, before=ds64(0))
  return {
    "data_2^31.wav": wav(data_bytes=2**31 - 5_000),
    "channels_65535.wav": wav(channels=65_535, align=0xFFFE),
    "channels_0.wav": wav(channels=0),
    "align_0.wav": wav(align=0, channels=0, bits=0),
    "bits_65535.wav": wav(bits=65_535),
    "codec_unknown.wav": wav(tag=0x1234),
    "fmt_2^31.wav": wav(fmt_bytes=2**31),
    "fmt_0.wav": wav(fmt_bytes=0),
    "ds64_cut.wav": rf64[: rf64.index(b"data") + 8],
    "ds64_last.wav": rf64[:20] + b"data" + b"\xff" * 4,
    "total_2^36.flac": patched(flac, 21, bytes([total[0]]) + total[1]),
    "frames_2^31.mp3": patched(mp3, info + 8, struct.pack(">I", 2**31)),
    "id3_256M.mp3": b"ID3\4\0\0\x7f\x7f\x7f\x7f" + bytes(500),
    "pages_cut.ogg": encoded("OGG")[:200],
  }


def _no_audio():
  """Other content under the name of audio: bytes by name."""
  return {
    "zeros.wav": bytes(4_096),
    "ones.flac": b"\xff" * 4_096,
    "zip.wav": b"PK\3\4" + bytes(100),
    "pickle.aiff": b"\x80\4\x95\x10" + bytes(100),
    "page.ogg": b"<!DOCTYPE html><title>404</title>" * 20,
    "list.mp3": b"#EXTM3U\n#EXTINF:1,\n../secret.wav\n",
  }


def _extremes():
  """What is unusual, but sound: bytes and frames by name."""
  loud = 1e30 * sound()
  # Lies about one of two sizes: the other is right.
  aiff, w64, mp3 = map(encoded, ("AIFF", "W64", "MP3"))
  aiff = patched(aiff, aiff.index(b"COMM") + 10, struct.pack(">I", 2**31))
  w64 = patched(w64, w64.index(b"data") + 16, struct.pack("<Q", 2**31))
  found = {
    "one_sample.wav": (encoded("WAV", sound(1)), 1),
    "one_sample.flac": (encoded("FLAC", sound(1)), 1),
    "denormal.wav": (encoded("WAV", 1e-40 * sound(), subtype="FLOAT"), FRAMES),
    "dc.wav": (encoded("WAV", np.full((FRAMES, 1), 0.25)), FRAMES),
    "dc_and_sound.wav": (encoded("WAV", 0.3 + 0.5 * sound()), FRAMES),
    "square.wav": (encoded("WAV", np.sign(sound())), FRAMES),
    "silence.wav": (encoded("WAV", np.zeros((FRAMES, 2))), FRAMES),
    "loud.wav": (encoded("WAV", loud, subtype="FLOAT"), FRAMES),
    "tag_cut.mp3": (mp3 + mp3[: mp3.index(b"Xing") + 4], FRAMES),
    "frames_2^31.aiff": (aiff, FRAMES),
    "size_2^31.w64": (w64, FRAMES),
    "rate_0.wav": (wav(rate=0), EITHER),
    "rate_2^32.wav": (wav(rate=2**32 - 1), EITHER),
  }
  for rate in (1, 7, 192_000, 768_000):
    audio = sound(60 if rate < 10 else FRAMES)
    found[f"rate_{rate}.wav"] = encoded("WAV", audio, rate), len(audio)
  for channels in (2, 3, 8, 32):
    audio = sound(channels=channels)
    found[f"channels_{channels}.wav"] = encoded("WAV", audio), FRAMES
  for subtype in ("PCM_U8", "PCM_24", "PCM_32", "DOUBLE", "ULAW", "ALAW"):
    content = encoded("WAV", subtype=subtype)
    found[f"sample_{subtype}.wav"] = content, FRAMES
  found["sample_PCM_S8.aiff"] = encoded("AIFF", subtype="PCM_S8"), FRAMES
  return found


def _not_numbers():
  """Samples that are no numbers, in the middle and in one channel alone."""
  found = {}
  for name, value in {"nan": np.nan, "inf": np.inf, "minus": -np.inf}.items():
    for subtype in ("FLOAT", "DOUBLE"):
      audio = sound(channels=2)
      audio[FRAMES // 2, 1] = value
      found[f"{name}_{subtype}.wav"] = encoded("WAV", audio, subtype=subtype)
  huge = encoded("WAV", 1e300 * sound(), subtype="DOUBLE")
  return found | {"beyond_float32.wav": huge}


def _names(folder):
  """Names that only bytes can hold, or that look like something else."""
  for name in (
    b"caf\xe9.wav",
    b"two\nlines.wav",
    b"\x1b[31mred.wav",
    b"-o.wav",
    b"%d {} $HOME *.wav",
    b"x" * 240 + b".wav",
  ):
    path = Path(os.fsdecode(os.path.join(os.fsencode(folder), name)))
    path.write_bytes(encoded("WAV"))
    yield Case(path, FRAMES, "names")


def _no_files(folder):
  """What a folder holds next to files."""
  (folder / "folder.wav").mkdir()
  (folder / "loop.wav").symlink_to("loop.wav")
  (folder / "there.wav").symlink_to("back.wav")
  (folder / "back.wav").symlink_to("there.wav")
  (folder / "dangling.wav").symlink_to("nowhere.wav")
  (folder / "around").symlink_to(".")
  os.mkfifo(folder / "fifo.wav")
  here = os.getcwd()
  os.chdir(folder)  # The name of a socket is short.
  with socket.socket(socket.AF_UNIX) as one:
    one.bind("socket.wav")
  os.chdir(here)
  names = "folder loop there back dangling fifo socket"
  return [
    Case(folder / f"{name}.wav", None, "no files") for name in names.split()
  ]


def make_files(folder):
  """Makes them in an empty folder, and returns the cases."""
  refused = {
    "headers that lie": _lies(),
    "other content": _no_audio(),
    "samples that are no numbers": _not_numbers(),
  }
  contents = {
    kind: {name: (content, None) for name, content in found.items()}
    for kind, found in refused.items()
  }
  contents["extreme, but sound"] = _extremes()
  cases = []
  for kind, found in contents.items():
    for name, (content, frames) in found.items():
      (folder / name).write_bytes(content)
      cases.append(Case(folder / name, frames, kind))
  return [*cases, *_names(folder), *_no_files(folder)]


def cut_headers():
  """Yields every beginning of the files of all formats, up to 80 bytes."""
  for format_ in ("WAV", *OTHER_FORMATS):
    content = encoded(format_)
    for size in range(1, 81):
      yield f"{format_.lower()}_{size}", content[:size]
