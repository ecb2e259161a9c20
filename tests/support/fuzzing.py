"""Reads damaged audio files by the thousand, in a process of its own.

  python tests/support/fuzzing.py --inputs=10000 --seed=1 [--ffmpeg]
  python tests/support/fuzzing.py --inputs=10000 --coverage CORPUS_FOLDER

The first damages files of every format at random; the second lets atheris
(`pip install atheris`) look for inputs that reach new lines of the package, and
keeps these in the folder. Each input is read as `restore` reads it. What ends
the process, and leaves its input behind: an error that is not one line on the
file, other samples than were counted, and more than ten seconds.
"""

import argparse
import collections
import faulthandler
import json
import os
import random
import resource
import struct
import sys
import tempfile
import time
from pathlib import Path

import hostile_files

_HANG_SECONDS = 10
_NUMBERS = (0, 1, 2, 0x7F, 0x80, 0xFF, 0x7FFF, 0x8000, 0xFFFF)
_NUMBERS += (2**31 - 1, 2**31, 2**32 - 1, 2**32 - 9, 2**63 - 1, 2**64 - 1)
_HEADER_BYTES = 120


def seeds():
  """Returns whole files to damage, by suffix."""
  found = []
  for format_ in ("WAV", "WAVEX", *hostile_files.OTHER_FORMATS):
    audio = hostile_files.sound(400, channels=2)
    found.append((format_.lower(), hostile_files.encoded(format_, audio)))
  for subtype in ("FLOAT", "DOUBLE", "PCM_24", "MS_ADPCM", "IMA_ADPCM"):
    found.append(("wav", hostile_files.encoded("WAV", subtype=subtype)))
  found.append(("opus", hostile_files.encoded("OGG", subtype="OPUS")))
  for format_ in ("MP3", "OGG", "FLAC"):
    found.append((format_.lower(), 2 * hostile_files.encoded(format_)))
  found.append(("wav", hostile_files.wav(data_bytes=0)))
  sizes = hostile_files.ds64(28, 2**62, 2**62, 2**62) + bytes(4)
  form = {"form": b"RF64", "data_bytes": 2**32 - 1, "before": sizes}
  found.append(("rf64", hostile_files.wav(**form)))
  text = struct.pack("<4sI4s4sI", b"LIST", 16, b"INFO", b"INAM", 4) + b"name"
  extension = b"bext" + struct.pack("<I", 602) + bytes(602)
  found.append(("wav", hostile_files.wav(before=extension) + text))
  return found


def mutated(rng, content, others):
  """Damages a file in one to four places."""
  data = bytearray(content)
  for _ in range(rng.randint(1, 4)):
    end = _HEADER_BYTES if rng.random() < 0.7 else len(data)
    place = rng.randrange(max(1, min(end, len(data))))
    kind = rng.randrange(7)
    if kind == 0:
      data[place : place + 1] = bytes([rng.randrange(256)])
    elif kind == 1:
      code = rng.choice("<>") + rng.choice("BHIQ")
      size = struct.calcsize(code)
      number = rng.choice(_NUMBERS) % 2 ** (8 * size)
      data[place : place + size] = struct.pack(code, number)
    elif kind == 2:
      del data[rng.randrange(len(data) + 1) :]
    elif kind == 3:
      del data[place : place + rng.randint(1, 16)]
    elif kind == 4:
      data[place:place] = rng.randbytes(rng.randint(1, 16))
    elif kind == 5:
      data[place:place] = data[place : place + rng.randint(1, 200)]
    else:
      other = rng.choice(others)[1]
      data[place:] = other[rng.randrange(len(other)) :]
  return bytes(data)


def examine(path, target):
  """Reads a file and what it holds next to the samples; returns its fate."""
  from distortion_removal.audio.files import (
    AudioFileError,
    extras,
    open_reader,
    speakers,
  )

  try:
    with open_reader(path) as reader:
      count = sum(len(x) for x in reader.blocks(dtype="float64"))
      assert count == reader.frames
      assert reader.sample_rate > 0
      layout = speakers.layout_of(reader, path)
  except AudioFileError as error:
    assert str(error).startswith(f"{path}: ")
    assert "\n" not in str(error)
    return "refused"
  target.write_bytes(hostile_files.encoded("WAV"))
  extras.carry_over(path, target, "WAV", layout=None)
  return "read with speakers" if layout else "read"


def examine_content(folder, suffix, content):
  """As `examine`; what fails leaves the input behind."""
  path = folder / f"input.{suffix}"
  path.write_bytes(content)
  faulthandler.dump_traceback_later(_HANG_SECONDS, exit=True)
  fate = examine(path, folder / "target.wav")
  faulthandler.cancel_dump_traceback_later()
  path.unlink()
  return fate


def _at_random(folder, inputs, seed):
  rng, wholes = random.Random(seed), seeds()
  fates, slowest_s = collections.Counter(), 0.0
  # What reading takes at all is no growth.
  for suffix, content in wholes:
    assert examine_content(folder, suffix, content) != "refused", suffix
  before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
  for _ in range(inputs):
    suffix, content = rng.choice(wholes)
    start = time.process_time()
    damaged = mutated(rng, content, wholes)
    fates[examine_content(folder, suffix, damaged)] += 1
    slowest_s = max(slowest_s, time.process_time() - start)
  after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
  found = {"slowest_s": slowest_s, "grown_bytes": 1024 * (after - before)}
  print(json.dumps(fates | found))


def _by_coverage(folder, inputs, corpus):
  import atheris

  with atheris.instrument_imports(include=["distortion_removal.audio"]):
    import distortion_removal.audio.files

    del distortion_removal
  wholes = seeds()
  for number, (suffix, content) in enumerate(wholes):
    (corpus / f"{number}.{suffix}").write_bytes(content)

  def one(content):
    if content:
      examine_content(folder, "wav", content)

  words = [sys.argv[0], f"-runs={inputs}", "-rss_limit_mb=2048"]
  words += ["-max_len=4096", "-print_final_stats=1", "-verbosity=1"]
  atheris.Setup([*words, str(corpus)], one)
  atheris.Fuzz()


def main():
  """Runs the command line."""
  parser = argparse.ArgumentParser()
  parser.add_argument("--inputs", type=int, required=True)
  parser.add_argument("--seed", type=int, default=0)
  parser.add_argument("--coverage", type=Path, metavar="CORPUS")
  parser.add_argument("--ffmpeg", action="store_true")
  given = parser.parse_args()
  if not given.ffmpeg:
    os.environ["PATH"] = ""  # A process for each input takes a day.
  folder = Path(tempfile.mkdtemp(prefix="fuzzing-"))
  if given.coverage:
    _by_coverage(folder, given.inputs, given.coverage)
  else:
    _at_random(folder, given.inputs, given.seed)


if __name__ == "__main__":
  main()
