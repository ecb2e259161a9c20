"""Keeps what a recording's file holds next to its samples.

WAV to WAV (or RF64) and AIFF to AIFF, all chunks that do not describe the
samples are copied: their cues and loops stay valid, for length and rate do.
Elsewhere texts and pictures go from one system of tags to the other.
"""

import contextlib
import errno
import io
import struct
from pathlib import Path

from distortion_removal.audio.files import iff, speakers, tags
from distortion_removal.audio.files.iff import Chunk, Container
from distortion_removal.audio.files.tags import Tags

# Chunks that libsndfile writes, that fill gaps, or that hold peaks or sums of
# the old samples.
_OF_THE_SAMPLES = frozenset(
  b"fmt |data|fact|ds64|PEAK|levl|MD5 |JUNK|junk|PAD |FLLR|"
  b"COMM|SSND|FVER|CHAN".split(b"|")
)
_LARGEST_CHUNK = 1 << 26
# Of a broadcast extension (EBU Tech 3285): the version, and, from version 2
# on, five loudness figures.
_VERSION, _LOUDNESS = slice(346, 348), slice(412, 422)
_UNKNOWN_LOUDNESS = 5 * b"\xff\x7f"
# FLAC's blocks, by their codes in RFC 9639.
_FLAC_BLOCKS = {2: "APPLICATION", 5: "CUESHEET"}


def carry_over(
  source: Path, target: Path, format_: str, layout: bytes | None
) -> list[str]:
  """Adds to a written file what the source holds next to its samples.

  Args:
    source: the recording's file; it may be gone.
    target: a whole audio file without anything else.
    format_: libsndfile's name of the target's format.
    layout: what `speakers.layout_of` found.

  Returns:
    Names of what could not be kept.

  Raises:
    OSError: the target is spoilt, for example because the disk is full.
  """
  if not source.is_file():
    return []
  kind = "WAV" if format_ == "WAVEX" else format_
  before = _fingerprint(target)
  try:
    lost = _keep_layout(target, kind, layout)
    container = iff.read_container(source)
    if container and (container.kind == "AIFF", kind) in (
      (True, "AIFF"),
      (False, "WAV"),
      (False, "RF64"),
    ):
      return lost + _copy_chunks(container, target, kind)
    found = _read(source, container)
    if kind == "FLAC" and layout and not speakers.is_usual(layout, exact=True):
      mask = struct.unpack("<I", layout[:4])[0]
      found.texts[speakers.MASK_COMMENT] = [f"0x{mask:04X}"]
    return lost + found.lost + _write(found, target, kind)
  except Exception as error:
    # Tags are no reason to fail, but a file that is half rewritten is one.
    if _fingerprint(target) != before:
      reason = f"its tags were not written: {error}"
      raise OSError(errno.EIO, reason, str(target)) from error
    return [f"tags ({type(error).__name__}: {error})"]


def _fingerprint(path: Path) -> tuple[int, int]:
  status = path.stat()
  return status.st_size, status.st_mtime_ns


def _keep_layout(target: Path, kind: str, layout: bytes | None) -> list[str]:
  if layout is None:
    return []
  if kind in ("WAV", "RF64"):
    iff.set_layout(target, layout)
    return []
  mask = struct.unpack("<I", layout[:4])[0]
  is_kept = kind == "FLAC" and layout[4:] in (b"", speakers.USUAL_FLAVOUR)
  if kind in ("FLAC", "OGG", "MP3") or mask.bit_count() < 3:
    is_kept |= speakers.is_usual(layout)
  return [] if is_kept else ["channel layout"]


def _copy_chunks(container: Container, target: Path, kind: str) -> list[str]:
  lost = []
  for chunk in container.chunks:
    if chunk.name in _OF_THE_SAMPLES:
      continue
    if chunk.size > _LARGEST_CHUNK:
      lost.append(_title(chunk))
      continue
    body, untrue = _still_true(chunk.name, container.body(chunk))
    lost += untrue
    if not iff.append(target, kind, chunk.name, body):
      lost.append(_title(chunk))
  return lost


def _still_true(name: bytes, body: bytes) -> tuple[bytes, list[str]]:
  """Takes out of a chunk what a restoration changes, and names it."""
  if name == b"bext" and _tells_loudness(body):
    before, after = body[: _LOUDNESS.start], body[_LOUDNESS.stop :]
    lost = ["loudness in bext (no longer true)"]
    return before + _UNKNOWN_LOUDNESS + after, lost
  if name.lower() == b"id3 ":
    # A damaged one stays as it is.
    with contextlib.suppress(Exception):
      found = _read_id3(body)
      if found.lost:
        return tags.id3_bytes(found.id3), found.lost
  return body, []


def _title(chunk: Chunk) -> str:
  return chunk.name.decode("latin-1").strip()


def _tells_loudness(body: bytes) -> bool:
  version = int.from_bytes(body[_VERSION], "little")
  figures = body[_LOUDNESS]
  return version >= 2 and figures not in (_UNKNOWN_LOUDNESS, bytes(10))


def _read_id3(body: bytes) -> Tags:
  from mutagen import id3

  return tags.from_id3(id3.ID3(io.BytesIO(body)))


def _read(source: Path, container: Container | None) -> Tags:
  """Reads the tags of a file in whatever system it has."""
  if container:
    return _read_chunks(container)
  import mutagen
  from mutagen.flac import FLAC
  from mutagen.id3 import ID3
  from mutagen.mp4 import MP4Tags

  file = mutagen.File(source)
  if file is None:
    return Tags()
  if isinstance(file.tags, ID3):
    return tags.from_id3(file.tags)
  if isinstance(file.tags, MP4Tags):
    return tags.from_mp4(file.tags)
  if isinstance(file, FLAC):
    found = tags.from_vorbis(file.tags, file.pictures)
    found.blocks = [b for b in file.metadata_blocks if b.code in _FLAC_BLOCKS]
    return found
  if isinstance(file.tags, list):
    return tags.from_vorbis(file.tags, [])
  return Tags(others=[f"tags of {type(file).__name__}"] if file.tags else [])


def _read_chunks(container: Container) -> Tags:
  """Reads ID3 and text chunks; the others have no counterpart elsewhere."""
  found, texts, others = Tags(), [], []
  for chunk in container.chunks:
    if chunk.name in _OF_THE_SAMPLES or chunk.size > _LARGEST_CHUNK:
      continue
    body = container.body(chunk)
    if chunk.name.lower() == b"id3 ":
      found = _read_id3(body)
    elif chunk.name == b"LIST" and body[:4] == b"INFO":
      texts += _info_texts(body)
    elif container.kind == "AIFF" and chunk.name in tags.AIFF_TEXTS:
      texts.append((chunk.name, body))
    else:
      others.append(_title(chunk))
  names = tags.INFO | tags.AIFF_TEXTS
  # A field that ID3 has too is often cut short here.
  for name, body in [t for t in texts if names.get(t[0]) not in found.texts]:
    text = body.rstrip(b"\0")
    try:
      text = text.decode()
    except UnicodeDecodeError:
      text = text.decode("cp1252", "replace")
    if name in names:
      tags.add_number(found, names[name], text)
    elif name != b"ISFT":  # the software that wrote the file
      others.append(name.decode("latin-1").strip())
  found.others += others
  return found


def _info_texts(body: bytes) -> list[tuple[bytes, bytes]]:
  texts, position = [], 4
  while position + 8 <= len(body):
    name, size = struct.unpack_from("<4sI", body, position)
    texts.append((name, body[position + 8 : position + 8 + size]))
    position += 8 + size + size % 2
  return texts


def _write(found: Tags, target: Path, kind: str) -> list[str]:
  """Writes tags in the target's system; returns what it has no place for."""
  from mutagen.flac import FLAC
  from mutagen.oggopus import OggOpus
  from mutagen.oggvorbis import OggVorbis

  if not found:
    return []
  blocks = (
    [] if kind == "FLAC" else [_FLAC_BLOCKS[b.code] for b in found.blocks]
  )
  if kind in ("FLAC", "OGG"):
    import mutagen

    file = mutagen.File(target, options=[FLAC, OggVorbis, OggOpus])
    if file.tags is None:
      file.add_tags()
    file.tags.extend(tags.to_vorbis(found, with_pictures=kind == "OGG"))
    if kind == "FLAC":
      for picture in found.pictures:
        file.add_picture(picture)
      file.metadata_blocks.extend(found.blocks)
    file.save()
    return found.others + (blocks if kind == "OGG" else [])
  if kind == "W64":
    pictures = ["pictures"] if found.pictures else []
    return [*found.texts, *pictures, *found.others, *blocks]
  frames = tags.to_id3(found)
  lost = [o for o in found.others if not o.startswith("ID3 ")] + blocks
  if kind == "MP3":
    frames.save(target, v1=0)
    return lost
  return lost + _write_chunks(found, frames, target, kind)


def _write_chunks(
  found: Tags, frames: object, target: Path, kind: str
) -> list[str]:
  """Writes ID3 for those that read it, and the plain texts for the others."""
  names = tags.AIFF_TEXTS if kind == "AIFF" else tags.INFO
  joined = tags.joined_texts(found)
  texts = [
    (name, joined[field][0].encode())
    for name, field in names.items()
    if field in joined
  ]
  chunks = texts if kind == "AIFF" else []
  if kind != "AIFF" and texts:
    body = b"INFO"
    for name, text in texts:
      text += b"\0"
      body += struct.pack("<4sI", name, len(text)) + text
      body += b"\0" * (len(text) % 2)
    chunks = [(b"LIST", body)]
  # Last: some readers let what comes later replace what came before.
  name = b"ID3 " if kind == "AIFF" else b"id3 "
  chunks.append((name, tags.id3_bytes(frames)))
  kept = [iff.append(target, kind, name, body) for name, body in chunks]
  return [] if all(kept) else ["tags (no room below 4 GiB)"]
