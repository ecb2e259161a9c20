"""Tags, pictures, chunks and channel layouts survive, or are named."""

import errno
import json
import logging
import re
import shutil
import struct
import subprocess

import mutagen
import numpy as np
import pytest
import soundfile
from mutagen import id3
from mutagen.flac import FLAC, Picture

from distortion_removal.audio import files
from distortion_removal.audio.files import iff, writing
from distortion_removal.inference.declip import declip_file

RATE = 8_000
AUDIO = 0.3 * np.sin(np.arange(2_001) * 0.3)[:, None]
PNG = bytes.fromhex("89504e470d0a1a0a") + b"not really a picture"
TAGS = {
  **{"title": "Tïtle", "artist": "A 1", "album": "Album", "date": "1999"},
  **{"genre": "Rock", "comment": "Hello", "tracknumber": "3"},
}
EVERY = ["wav", "aiff", "flac", "mp3", "ogg", "opus"]


def chunks_of(path):
  """Reads the chunks of a WAV, RF64 or AIFF file, apart from the package."""
  data, found, position = path.read_bytes(), [], 12
  order = "big" if data[:4] == b"FORM" else "little"
  if data[:4] == b"RF64":
    assert int.from_bytes(data[20:28], "little") == len(data) - 8
  else:
    assert int.from_bytes(data[4:8], order) == len(data) - 8
  while position < len(data):
    name = data[position : position + 4]
    size = int.from_bytes(data[position + 4 : position + 8], order)
    if (data[:4], name) == (b"RF64", b"data"):
      size = int.from_bytes(data[28:36], "little")
    found.append((name, data[position + 8 : position + 8 + size]))
    position += 8 + size + size % 2
  assert position == len(data)
  return found


def add_chunks(path, *chunks, order="<"):
  body = path.read_bytes()
  body += b"\0" * (len(body) % 2)
  for name, content in chunks:
    body += struct.pack(order + "4sI", name, len(content)) + content
    body += b"\0" * (len(content) % 2)
  size = struct.pack(order + "I", len(body) - 8)
  path.write_bytes(body[:4] + size + body[8:])


def copy(source, target, **options):
  """Copies a recording as a restoration writes it; returns the warning."""
  records, handler = [], logging.Handler()
  handler.emit = lambda record: records.append(record.getMessage())
  writing.logger.addHandler(handler)
  try:
    with files.open_reader(source) as reader:
      files.write_blocks(
        target,
        reader.blocks(dtype="float64"),
        reader.sample_rate,
        reader.channels,
        frames=reader.frames,
        source=reader,
        **options,
      )
  finally:
    writing.logger.removeHandler(handler)
  assert len(records) < 2
  return records[0] if records else ""


@pytest.fixture
def flac(tmp_path):
  """A FLAC file with all tags, ReplayGain and a cover."""
  path = tmp_path / "in.flac"
  soundfile.write(path, AUDIO, RATE)
  file, picture = FLAC(path), Picture()
  picture.data, picture.type, picture.mime = PNG, 3, "image/png"
  file.tags.extend((name.upper(), text) for name, text in TAGS.items())
  file.tags.extend([("TRACKTOTAL", "12"), ("X-MINE", "kept")])
  file.tags.append(("REPLAYGAIN_TRACK_GAIN", "-7.00 dB"))
  file.add_picture(picture)
  file.save()
  return path


def texts_and_cover(path):
  """Reads tags by mutagen alone, under the names of Vorbis comments."""
  file = mutagen.File(path)
  if isinstance(file.tags, id3.ID3):
    names = {"TIT2": "title", "TPE1": "artist", "TALB": "album"}
    names |= {"TDRC": "date", "TCON": "genre", "TRCK": "tracknumber"}
    texts = {name: str(file.tags[code]) for code, name in names.items()}
    texts["comment"] = str(file.tags.getall("COMM")[0])
    texts["x-mine"] = str(file.tags["TXXX:x-mine"])
    texts["tracknumber"], texts["tracktotal"] = texts["tracknumber"].split("/")
    (cover,) = file.tags.getall("APIC")
    return texts, cover.data, cover.type
  texts = {name.lower(): text for name, text in file.tags}
  if "metadata_block_picture" not in texts:
    return texts, file.pictures[0].data, file.pictures[0].type
  import base64

  picture = Picture(base64.b64decode(texts.pop("metadata_block_picture")))
  return texts, picture.data, picture.type


@pytest.mark.parametrize("first", EVERY)
@pytest.mark.parametrize("second", ["wav", "flac"])
def test_tags_go_from_each_system_to_each(tmp_path, flac, first, second):
  """By way of the first format into the second."""
  warning = copy(flac, tmp_path / f"1.{first}")
  assert "ReplayGain" in warning
  assert ":" not in warning.rpartition("in.flac: ")[2]  # Nothing else.
  assert not copy(tmp_path / f"1.{first}", tmp_path / f"2.{second}")
  for name in (f"1.{first}", f"2.{second}"):
    texts, cover, kind = texts_and_cover(tmp_path / name)
    texts.pop("encoder", None)
    assert texts == TAGS | {"tracktotal": "12", "x-mine": "kept"}
    assert (cover, kind) == (PNG, 3)
    assert len(files.read(tmp_path / name)[0]) == len(AUDIO)
  if second == "flac" and first in ("wav", "aiff", "flac"):
    np.testing.assert_array_equal(
      files.read(tmp_path / "2.flac")[0], files.read(flac)[0]
    )


@pytest.mark.skipif(not shutil.which("ffprobe"), reason="no ffmpeg")
@pytest.mark.parametrize("suffix", EVERY)
def test_ffmpeg_reads_the_tags(tmp_path, flac, suffix):
  copy(flac, tmp_path / f"a.{suffix}")
  entries = "format_tags=title,artist:stream_tags=title,artist"
  command = ["ffprobe", "-v", "error", "-show_entries", entries, "-of", "json"]
  command.append(tmp_path / f"a.{suffix}")
  out = subprocess.run(command, capture_output=True, check=True).stdout
  assert "Tïtle" in json.dumps(json.loads(out), ensure_ascii=False)
  assert "A 1" in out.decode()


def _bext(version, loudness):
  body = bytearray(602)
  body[:11] = b"Description"
  body[346:348] = struct.pack("<H", version)
  body[412:422] = loudness
  return bytes(body) + b"A=PCM,F=8000,W=16,M=mono\r\n"


RICH = (
  (b"bext", _bext(1, bytes(10))),
  (b"iXML", b"<BWFXML>odd</BWFXML>"[:-1]),
  (b"cue ", struct.pack("<7I", 1, 7, 500, 0x61746164, 0, 0, 500)),
  (b"smpl", bytes(36)),
  (b"LIST", b"adtllabl\x08\0\0\0\x07\0\0\0Cue\0"),
  (b"LIST", b"INFOINAM\x03\0\0\0T1\0\0IENG\x03\0\0\0Me\0\0"),
  (b"zzzz", b"unknown"),
)


@pytest.mark.parametrize("is_large", [False, True])
def test_chunks_of_wav_are_copied(tmp_path, monkeypatch, is_large):
  source, target = tmp_path / "in.wav", tmp_path / "out.wav"
  files.write(source, AUDIO, RATE, subtype="PCM_24")
  add_chunks(source, *RICH, (b"PEAK", bytes(16)), (b"JUNK", bytes(28)))
  if is_large:
    monkeypatch.setattr(writing, "LARGEST_BYTES", 1_000)
  assert not copy(source, target, subtype="PCM_24")
  names = {b"ds64", b"fmt ", b"fact", b"data"}
  found = [chunk for chunk in chunks_of(target) if chunk[0] not in names]
  assert found == list(RICH)
  np.testing.assert_array_equal(files.read(target)[0], files.read(source)[0])
  with soundfile.SoundFile(target) as file:
    assert (file.format == "RF64") == is_large
    if not is_large:  # libsndfile loses its place after odd sizes in RF64.
      assert re.search(r"Cue ID :\s+7\s+Pos :\s+500", file.extra_info)


def test_loudness_in_bext_is_blanked(tmp_path):
  """EBU Tech 3285: 0x7FFF stands for unknown."""
  source, target = tmp_path / "in.wav", tmp_path / "out.wav"
  files.write(source, AUDIO, RATE)
  body = _bext(2, struct.pack("<5h", -2300, 500, -100, -2000, -2100))
  add_chunks(source, (b"bext", body))
  assert "loudness" in copy(source, target)
  result = dict(chunks_of(target))[b"bext"]
  assert result[412:422] == 5 * struct.pack("<h", 0x7FFF)
  assert result[:412] + result[422:] == body[:412] + body[422:]
  assert not copy(target, tmp_path / "again.wav")


def test_chunks_of_aiff_are_copied(tmp_path):
  source, target = tmp_path / "in.aiff", tmp_path / "out.aiff"
  files.write(source, AUDIO, RATE)
  mark = struct.pack(">HHIB3s", 1, 1, 500, 3, b"Cue")
  extra = ((b"NAME", b"odd"), (b"MARK", mark), (b"ANNO", b"note"))
  add_chunks(source, *extra, order=">")
  assert not copy(source, target)
  found = [c for c in chunks_of(target) if c[0] not in (b"COMM", b"SSND")]
  assert found == list(extra)
  np.testing.assert_array_equal(files.read(target)[0], files.read(source)[0])


def test_what_has_no_counterpart_is_named(tmp_path):
  source = tmp_path / "in.wav"
  files.write(source, AUDIO, RATE)
  add_chunks(source, *RICH)
  warning = copy(source, tmp_path / "out.flac")
  for name in ("bext", "iXML", "cue", "smpl", "IENG", "zzzz"):
    assert name in warning
  assert FLAC(tmp_path / "out.flac").tags["title"] == ["T1"]
  assert "title" in copy(source, tmp_path / "out.w64")


def test_replay_gain_leaves_an_id3_chunk(tmp_path, flac):
  frames = id3.ID3()
  frames.add(id3.TIT2(encoding=3, text=["T1"]))
  frames.add(id3.POPM(email="me", rating=255))
  frames.add(id3.TXXX(encoding=3, desc="replaygain_track_gain", text=["-7"]))
  frames.add(id3.RVA2(desc="track", channel=1, gain=-7, peak=1))
  source = tmp_path / "in.mp3"
  files.write(source, AUDIO, RATE)
  frames.save(source)
  assert "ReplayGain" in copy(source, tmp_path / "1.wav")
  kept = mutagen.File(tmp_path / "1.wav").tags
  assert sorted(kept) == ["POPM:me", "TIT2"]
  assert not copy(tmp_path / "1.wav", tmp_path / "2.wav")
  assert "POPM" in copy(tmp_path / "2.wav", tmp_path / "3.ogg")


def test_pictures_with_one_description_all_stay(tmp_path, flac):
  file, back = FLAC(flac), Picture()
  back.data, back.type, back.mime = PNG[::-1], 4, "image/png"
  file.add_picture(back)
  file.save()
  copy(flac, tmp_path / "out.mp3")
  pictures = mutagen.File(tmp_path / "out.mp3").tags.getall("APIC")
  assert {(p.type, p.data) for p in pictures} == {(3, PNG), (4, PNG[::-1])}


@pytest.mark.parametrize("content", [b"ID3\xff junk", b"", b"ID3\4\0\0\0\0\7"])
def test_damaged_tags_do_not_stop_the_work(tmp_path, content):
  source = tmp_path / "in.wav"
  files.write(source, AUDIO, RATE)
  chunks = [(b"bext", b"short"), (b"id3 ", content), (b"cue ", b"x")]
  add_chunks(source, *chunks)
  for name in ("out.wav", "out.flac", "out.mp3"):
    copy(source, tmp_path / name)
    assert len(files.read(tmp_path / name)[0]) == len(AUDIO)
  assert chunks_of(tmp_path / "out.wav")[2:] == chunks


def test_a_disk_that_fills_up_leaves_nothing(tmp_path, monkeypatch):
  source = tmp_path / "in.wav"
  files.write(source, AUDIO, RATE)
  add_chunks(source, *RICH)

  def fail(path, *_):
    path.write_bytes(b"spoilt")
    raise OSError(errno.ENOSPC, "No space left on device")

  monkeypatch.setattr(iff, "append", fail)
  with pytest.raises(OSError, match="No space left"):
    copy(source, tmp_path / "out.wav")
  assert [path.name for path in tmp_path.iterdir()] == ["in.wav"]


def test_a_source_that_is_gone_has_no_tags(tmp_path):
  """A pipe cannot be read a second time."""
  files.write(tmp_path / "in.wav", AUDIO, RATE)
  source = files.info(tmp_path / "in.wav")
  (tmp_path / "in.wav").unlink()
  files.write_blocks(tmp_path / "out.wav", [AUDIO], RATE, 1, source=source)
  assert len(files.read(tmp_path / "out.wav")[0]) == len(AUDIO)


def test_a_restored_file_has_the_tags(tmp_path, flac):
  declip_file(flac, tmp_path / "out.wav", "aspade")
  assert str(mutagen.File(tmp_path / "out.wav").tags["TIT2"]) == "Tïtle"


def _mask(path):
  return int.from_bytes(dict(chunks_of(path))[b"fmt "][20:24], "little")


def test_speakers_stay(tmp_path):
  """Side instead of back speakers, through WAV, RF64 and FLAC."""
  source = tmp_path / "in.wav"
  audio = np.repeat(AUDIO, 6, axis=1)
  soundfile.write(source, audio, RATE, "PCM_24", format="WAVEX")
  data = bytearray(source.read_bytes())
  assert data[40:44] == bytes([0x3F, 0, 0, 0])
  data[40:44] = struct.pack("<I", 0x60F)
  source.write_bytes(data)
  for number, suffix in enumerate(("wav", "flac", "wav")):
    target = tmp_path / f"{number}.{suffix}"
    assert not copy(source, target, subtype="PCM_24")
    source = target
  assert _mask(tmp_path / "0.wav") == _mask(tmp_path / "2.wav") == 0x60F
  assert "channel layout" in copy(source, tmp_path / "out.aiff")


def test_ogg_has_another_order_of_channels(tmp_path):
  """Vorbis stores L C R BL BR LFE; WAV and FLAC L R C LFE BL BR.

  Vorbis keeps only low frequencies of the last channel.
  """
  time = np.arange(24_000)[:, None] / 48_000
  pitch_hz = {"L": 300, "R": 500, "C": 800, "LFE": 60, "BL": 1_300, "BR": 2_100}
  audio = 0.2 * np.sin(2 * np.pi * np.array([*pitch_hz.values()]) * time)
  soundfile.write(tmp_path / "in.wav", audio, 48_000)
  copy(tmp_path / "in.wav", tmp_path / "a.ogg")
  copy(tmp_path / "a.ogg", tmp_path / "b.ogg")
  copy(tmp_path / "b.ogg", tmp_path / "out.flac")
  for name, order in (
    ("a.ogg", "L C R BL BR LFE"),
    ("b.ogg", "L C R BL BR LFE"),
    ("out.flac", "L R C LFE BL BR"),
  ):
    sound, _ = soundfile.read(tmp_path / name)
    spectrum = np.abs(np.fft.rfft(sound[:24_000], axis=0))
    loudest_hz = 2 * spectrum.argmax(axis=0)
    np.testing.assert_allclose(
      loudest_hz, [pitch_hz[speaker] for speaker in order.split()], atol=4
    )
