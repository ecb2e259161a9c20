"""Title, artist, cover and the like, between the systems that formats use.

ID3 frames (MP3, and a chunk of WAV and AIFF), Vorbis comments (FLAC, Ogg), MP4
atoms and the text chunks of WAV and AIFF all become `Tags`, whose texts have
the names of Vorbis comments. mutagen reads and writes all but text chunks.
"""

import base64
import dataclasses
import io
import re
from typing import Any

_ID3 = {
  **{"title": "TIT2", "artist": "TPE1", "album": "TALB"},
  **{"albumartist": "TPE2", "conductor": "TPE3", "composer": "TCOM"},
  **{"lyricist": "TEXT", "date": "TDRC", "originaldate": "TDOR"},
  **{"genre": "TCON", "grouping": "TIT1", "subtitle": "TIT3"},
  **{"copyright": "TCOP", "isrc": "TSRC", "bpm": "TBPM", "initialkey": "TKEY"},
  **{"organization": "TPUB", "language": "TLAN", "media": "TMED"},
  **{"mood": "TMOO", "encoded-by": "TENC", "compilation": "TCMP"},
  **{"artistsort": "TSOP", "albumsort": "TSOA", "titlesort": "TSOT"},
  **{"albumartistsort": "TSO2", "composersort": "TSOC"},
  **{"tracknumber": "TRCK", "discnumber": "TPOS"},
}
_MP4 = {
  **{"\xa9nam": "title", "\xa9ART": "artist", "\xa9alb": "album"},
  **{"aART": "albumartist", "\xa9wrt": "composer", "\xa9day": "date"},
  **{"\xa9gen": "genre", "\xa9cmt": "comment", "\xa9lyr": "lyrics"},
  **{"\xa9grp": "grouping", "cprt": "copyright", "tmpo": "bpm"},
  **{"trkn": "tracknumber", "disk": "discnumber", "cpil": "compilation"},
  **{"soar": "artistsort", "soal": "albumsort", "sonm": "titlesort"},
  **{"soaa": "albumartistsort", "soco": "composersort"},
}
# LIST/INFO of WAV; AIFF's chunks.
INFO = {
  **{b"INAM": "title", b"IART": "artist", b"IPRD": "album"},
  **{b"ICRD": "date", b"IGNR": "genre", b"ICMT": "comment"},
  **{b"ICOP": "copyright", b"ITRK": "tracknumber", b"IPRT": "tracknumber"},
}
AIFF_TEXTS = {
  **{b"NAME": "title", b"AUTH": "artist"},
  **{b"(c) ": "copyright", b"ANNO": "comment"},
}
_TOTALS = {"tracknumber": "tracktotal", "discnumber": "disctotal"}
# Facts of the old samples or their encoding, and nobody's words.
_OF_THE_FILE = re.compile(
  "encoder|encoding|\xa9too|itunsmpb|aspi|mllt|seek|tsse|tlen|tsiz|tflt|isft|"
  "waveformatextensible_channel_mask",
  re.I,
)
_LOUDNESS = re.compile(
  "(replaygain_|r128_|mp3gain_|itunnorm|rva2|rvad|rgad).*", re.I
)
REPLAY_GAIN = "ReplayGain (no longer true)"


@dataclasses.dataclass
class Tags:
  """What is known of a recording.

  `texts` has lower-case names of Vorbis comments, `pictures` FLAC's pictures of
  mutagen, `id3` the frames as they were, `blocks` FLAC's other blocks; `others`
  names what has no counterpart outside its own system, `lost` what is no longer
  true.
  """

  texts: dict[str, list[str]] = dataclasses.field(default_factory=dict)
  pictures: list[Any] = dataclasses.field(default_factory=list)
  id3: Any = None
  blocks: list[Any] = dataclasses.field(default_factory=list)
  others: list[str] = dataclasses.field(default_factory=list)
  lost: list[str] = dataclasses.field(default_factory=list)

  def add(self, name: str, text: str) -> None:
    """Adds a text, unless it is there or belongs to the old samples."""
    name = name.lower()
    if self.holds_for(name) and text and text not in self.texts.get(name, ()):
      self.texts.setdefault(name, []).append(text)

  def holds_for(self, name: str) -> bool:
    """Returns whether a tag is still true of the restored recording."""
    if _LOUDNESS.fullmatch(name):
      if REPLAY_GAIN not in self.lost:
        self.lost.append(REPLAY_GAIN)
      return False
    return not _OF_THE_FILE.fullmatch(name)

  def __bool__(self) -> bool:
    return bool(self.texts or self.pictures or self.blocks or self.others)


def from_vorbis(comments: Any, pictures: list[Any]) -> Tags:
  """Takes over Vorbis comments, and FLAC's pictures."""
  from mutagen.flac import Picture

  tags = Tags(pictures=list(pictures))
  for name, text in comments or ():
    if name.lower() == "metadata_block_picture":
      tags.pictures.append(Picture(base64.b64decode(text)))
    else:
      tags.add(name, text)
  return tags


def from_id3(frames: Any) -> Tags:
  """Takes over ID3 frames; removes from them what is no longer true."""
  tags, names = Tags(id3=frames), {code: name for name, code in _ID3.items()}
  for key, frame in list(frames.items()):
    code = frame.FrameID
    described = code in ("TXXX", "COMM") and getattr(frame, "desc", "")
    if not tags.holds_for(described or code):
      del frames[key]
    elif code == "TCON":
      for text in frame.genres:
        tags.add("genre", text)
    elif code in names:
      for text in frame.text:
        add_number(tags, names[code], str(text))
    elif code == "TXXX":
      for text in frame.text:
        tags.add(frame.desc, text)
    elif code == "COMM":
      for text in frame.text:
        tags.add("comment", text)
    elif code == "USLT":
      tags.add("lyrics", frame.text)
    elif code == "APIC":
      tags.pictures.append(
        _picture(frame.data, frame.mime, frame.type, frame.desc)
      )
    else:
      tags.others.append(f"ID3 {code}")
  return tags


def add_number(tags: Tags, name: str, text: str) -> None:
  """Adds "3/12" as number and total, which are two Vorbis comments."""
  if name in _TOTALS and "/" in text:
    text, total = text.split("/", 1)
    tags.add(_TOTALS[name], total)
  tags.add(name, text)


def from_mp4(atoms: Any) -> Tags:
  """Takes over MP4's atoms."""
  tags = Tags()
  for key, values in (atoms or {}).items():
    name = _MP4.get(key) or key.removeprefix("----:com.apple.iTunes:")
    is_text = key in _MP4 or key.startswith("----:com.apple.iTunes:")
    for value in values if isinstance(values, list) else [values]:
      if key == "covr":
        kind = "image/png" if value.imageformat == 14 else "image/jpeg"
        tags.pictures.append(_picture(bytes(value), kind, 3, ""))
      elif isinstance(value, tuple):
        add_number(tags, name, "/".join(str(part) for part in value if part))
      elif is_text:
        if isinstance(value, bytes):
          value = value.decode("utf-8", "replace")
        tags.add(name, str(int(value) if isinstance(value, bool) else value))
      elif tags.holds_for(key):
        tags.others.append(key)
  return tags


def _picture(data: bytes, mime: str, kind: int, description: str) -> Any:
  from mutagen.flac import Picture

  picture = Picture()
  picture.data, picture.mime, picture.type = data, mime, kind
  picture.desc = description
  return picture


def joined_texts(tags: Tags) -> dict[str, list[str]]:
  """Returns the texts as ID3 and text chunks have them: "3/12", a comment."""
  texts = dict(tags.texts)
  for number, total in _TOTALS.items():
    if number in texts and total in texts:
      texts[number] = [f"{texts[number][0]}/{texts.pop(total)[0]}"]
  if "comment" not in texts and "description" in texts:
    texts["comment"] = texts.pop("description")
  return texts


def to_id3(tags: Tags) -> Any:
  """Returns ID3 frames: those that were there, and new ones for the rest."""
  from mutagen import id3

  frames, texts = tags.id3, joined_texts(tags)
  if frames is None:
    frames = id3.ID3()
    for picture in tags.pictures:
      _add_picture(frames, picture)
  for name in joined_texts(from_id3(frames)):
    texts.pop(name, None)
  for name, values in texts.items():
    if name == "comment":
      frame = id3.COMM(encoding=3, lang="XXX", desc="", text=values)
    elif name == "lyrics":
      frame = id3.USLT(encoding=3, lang="XXX", desc="", text="\n".join(values))
    elif name in _ID3:
      frame = id3.Frames[_ID3[name]](encoding=3, text=values)
    else:
      frame = id3.TXXX(encoding=3, desc=name, text=values)
    frames.add(frame)
  return frames


def _add_picture(frames: Any, picture: Any) -> None:
  from mutagen.id3 import APIC

  description = picture.desc
  while f"APIC:{description}" in frames:  # ID3 tells pictures apart by it.
    description += " "
  kind, data = picture.type, picture.data
  facts = {"mime": picture.mime, "type": kind, "desc": description}
  frames.add(APIC(encoding=3, data=data, **facts))


def id3_bytes(frames: Any) -> bytes:
  """Returns frames as the body of an ID3 chunk."""
  file = io.BytesIO()
  frames.save(file, v1=0, padding=lambda _: 0)
  return file.getvalue()


def to_vorbis(tags: Tags, *, with_pictures: bool) -> list[tuple[str, str]]:
  """Returns Vorbis comments; Ogg has its pictures among them."""
  comments = [
    (name.upper(), value)
    for name, values in tags.texts.items()
    for value in values
  ]
  for picture in tags.pictures if with_pictures else ():
    text = base64.b64encode(picture.write()).decode("ascii")
    comments.append(("METADATA_BLOCK_PICTURE", text))
  return comments
