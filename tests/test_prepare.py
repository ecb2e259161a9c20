"""The command: what it says, where it writes, and how it fails."""

import resource
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from conftest import files_of
from prepared import put

from distortion_removal import prepare
from distortion_removal.common.errors import UserError
from distortion_removal.datasets import opening, splits
from distortion_removal.datasets.sources.signaltrain_sounds import (
  SignalTrainSounds,
)

ROOT = Path(__file__).parents[1]
RATE = 16_000


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
  path = tmp_path_factory.mktemp("music")
  rng = np.random.default_rng(0)
  for i in range(4):
    put(path / f"{i}.wav", 0.1 * rng.standard_normal((12 * RATE, 1)))
  (path / "notes.wav").write_text("buy strings")
  return path


def test_what_the_command_says(folder, tmp_path, capsys):
  out = tmp_path / "out"
  arguments = [f"--path={folder}", f"--data-dir={out}", "--excerpt-seconds=6"]
  prepare.main([*arguments, "--task=hard_clip_sdr"])
  printed = capsys.readouterr()
  (line,) = printed.err.splitlines()
  assert line.startswith("skipped notes.wav: not audio in a known format")
  *lines, command = printed.out.splitlines()
  where = out / "audio_folder/hard_clip_sdr_6s/1.0.0"
  assert (where / "report.json").is_file()
  assert (where / "spectrum_1024_256.json").is_file()
  assert [line.split()[:4] for line in lines[1:4]] == [
    ["train", "4", "excerpts", "0.4"],
    ["valid", "2", "excerpts", "0.2"],
    ["test", "2", "excerpts", "0.2"],
  ]
  assert "skipped 1 file: see report.json" in lines[4]
  assert lines[5] == f"in {where}"
  fields = f"dataset=audio_folder task=hard_clip_sdr data_dir={out}"
  fields += " sample_rate=16000 channels=1 excerpt_seconds=6.0"
  assert shlex.split(command) == [
    *("python", "-m", "distortion_removal.main"),
    "--config=configs/demucs_guitar_overdrive.py",
    *(f"--config.data.{field}" for field in fields.split()),
  ]


@pytest.mark.e2e
def test_a_write_that_fails_leaves_nothing_and_one_line(folder, tmp_path):
  """A limit on file sizes fails where a full disk would."""
  limit = (resource.RLIMIT_FSIZE, (200_000, 200_000))
  result = python(
    *("-m", "distortion_removal.prepare", f"--path={folder}"),
    f"--data-dir={tmp_path / 'out'}",
    preexec_fn=lambda: resource.setrlimit(*limit),
  )
  assert result.returncode == 1
  last = result.stderr.splitlines()[-1]
  assert last.startswith("error: ")
  assert last.endswith("File too large")
  assert not [p for p in (tmp_path / "out").rglob("*") if "1.0.0" in p.name]


@pytest.mark.parametrize(
  ("arguments", "message"),
  [
    ("", "--path: not a folder of recordings"),
    ("--dataset=mnist", "unknown data set 'mnist'; choose one of"),
    ("--task=fuzz", "unknown task 'fuzz'"),
    ("--task=recorded", "use paired_folder"),
    ("--channels=3", "3 channels: choose 1 or 2"),
    ("--excerpt-seconds=0.1", "choose 1 to 3600 s"),
    ("--excerpt-seconds=nan", "excerpts of nan s"),
    ("--sample-rate=16", "excerpts of 10 s at 16 Hz"),
    ("--seed=1", "audio_folder takes no seed"),
    ("--dataset=plucked_strings --path=/tmp", "plucked_strings takes no"),
    ("--dataset=plucked_strings --seed=-1", "seed -1: choose 0 or more"),
    ("--dataset=plucked_strings --test-minutes=nan", "minutes nan: choose"),
    ("--jobs=-1", "'-1' is no number of processes"),
  ],
)
def test_mistakes(tmp_path, arguments, message):
  with pytest.raises(SystemExit) as caught:
    prepare.main([f"--data-dir={tmp_path}", *arguments.split()])
  assert caught.value.code.startswith("error: ")
  assert message in caught.value.code
  assert "\n" not in caught.value.code


def test_how_much_to_make_of_a_synthetic_set(tmp_path, capsys):
  minutes = ["--train-minutes=0.5", "--valid-minutes=0.25", "--test-minutes=1"]
  form = [f"--data-dir={tmp_path}", "--excerpt-seconds=5", "--seed=7"]
  prepare.main(["--dataset=signaltrain_sounds", *minutes, *form])
  lines = capsys.readouterr().out.splitlines()[1:4]
  assert [int(line.split()[1]) for line in lines] == [6, 3, 12]
  place = {"data_dir": str(tmp_path), "excerpt_seconds": 5.0}
  builder = opening.open_builder("signaltrain_sounds", **place)
  record = opening.read_split(builder, "test")[11]
  audio = record["clean"] * record["peak"]
  form = {"seed": 7, "sample_rate": RATE, "seconds": 5.0}
  expected = SignalTrainSounds.render(2_000_000_011, **form)
  np.testing.assert_allclose(audio, expected, rtol=0, atol=1 / 32767)


def open_folder(folder, tmp_path):
  out = str(tmp_path / "out")
  return opening.open_builder("audio_folder", data_dir=out, path=str(folder))


def test_reading_before_preparing_says_how_to_prepare(folder, tmp_path):
  builder = open_folder(folder, tmp_path)
  with pytest.raises(UserError, match="not prepared; run: python -m") as caught:
    opening.read_split(builder, "train")
  command = shlex.split(str(caught.value).partition("run: ")[2])
  command[command.index("--path=FOLDER")] = f"--path={folder}"
  prepare.main(command[3:])
  builder = open_folder(folder, tmp_path)
  assert len(opening.read_split(builder, "train")) == 4
  with pytest.raises(UserError, match="no split 'dev', only train, valid, te"):
    opening.read_split(builder, "dev")


def test_a_faster_process_wins(folder, tmp_path, monkeypatch):
  """Two processes of one run prepare the same data set at the same time."""
  assign = splits.assign

  def overtaken(*arguments):
    monkeypatch.undo()
    prepare.prepare(open_folder(folder, tmp_path))
    return assign(*arguments)

  builder = open_folder(folder, tmp_path)
  monkeypatch.setattr(splits, "assign", overtaken)
  builder = prepare.prepare(builder)
  assert len(opening.read_split(builder, "train")) == 4
  version = Path(builder.data_dir)
  assert list(version.parent.iterdir()) == [version]


def test_a_failed_overwrite_keeps_what_was_there(folder, tmp_path):
  out = tmp_path / "out"
  prepare.main([f"--path={folder}", f"--data-dir={out}", "--jobs=1"])
  before = files_of(out)
  (tmp_path / "empty").mkdir()
  empty = [f"--path={tmp_path / 'empty'}", f"--data-dir={out}", "--overwrite"]
  with pytest.raises(SystemExit, match="no file matches"):
    prepare.main(empty)
  assert files_of(out) == before


def data_files(folder):
  """The files of a prepared data set but for TFDS's, which hold the date."""
  return {
    path.name: path.read_bytes()
    for path in folder.glob("audio_folder/*/1.0.0/*")
    if path.name not in ("dataset_info.json", "features.json")
  }


@pytest.mark.e2e
@pytest.mark.parametrize("option", ["--jobs=3", "--beam-options"])
def test_processes_and_machines_store_the_same(folder, tmp_path, option):
  if option == "--beam-options":
    pytest.importorskip("apache_beam")
    option += "=--runner=DirectRunner"
  for name, how in (("one", "--jobs=1"), ("many", option)):
    prepare.main([f"--path={folder}", f"--data-dir={tmp_path / name}", how])
  one = data_files(tmp_path / "one")
  assert one == data_files(tmp_path / "many")
  assert sum(".array_record-" in name for name in one) == 3


@pytest.mark.e2e
def test_a_killed_preparation_leaves_no_data_set_and_loses_nothing(
  folder, tmp_path
):
  """Killed while it reads its third recording; the next one reads the rest."""
  program = (
    "import os, sys; from distortion_removal import prepare\n"
    "from distortion_removal.audio import files\n"
    "whole, names = files.open_reader, []\n"
    "def fatal(path):\n"
    "  names.append(path.name)\n"
    "  len(names) == 3 and os.kill(os.getpid(), 9)\n"
    "  return whole(path)\n"
    "files.open_reader = fatal\n"
    "prepare.main(sys.argv[1:])"
  )
  arguments = [f"--path={folder}", f"--data-dir={tmp_path / 'out'}", "--jobs=1"]
  assert python("-c", program, *arguments).returncode == -9
  assert not open_folder(folder, tmp_path).is_stored
  assert len(list((tmp_path / "out").rglob("parts/*.json"))) == 2
  prepare.main(arguments)
  prepare.main([f"--path={folder}", f"--data-dir={tmp_path / 'new'}"])
  assert data_files(tmp_path / "out") == data_files(tmp_path / "new")
  assert not (tmp_path / "out/audio_folder/overdrive/parts").exists()


def put_noise(path, minutes, seed):
  """A recording at 8 kHz; ten seconds of noise, again and again."""
  block = np.random.default_rng(seed).integers(-9_000, 9_000, 80_000, np.int16)
  put(path, np.tile(block, 6 * minutes), 8_000)


@pytest.mark.e2e
def test_memory_grows_neither_with_a_recording_nor_with_their_number(tmp_path):
  """Four times as much, 77 MB in 16 bits, in many files and in one."""
  for i in range(40):
    for folder in ["few", "many"] if i < 10 else ["many"]:
      put_noise(tmp_path / folder / f"{i}.wav", 2, seed=i)
  put_noise(tmp_path / "long/0.wav", 80, seed=0)
  program = (
    "import resource, sys; from distortion_removal import prepare\n"
    "for folder in sys.argv[1:]:\n"
    "  prepare.main([f'--path={folder}', f'--data-dir={folder}/.out',\n"
    "    '--sample-rate=8000', '--jobs=1'])\n"
    "  print('KiB', resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)"
  )
  folders = [str(tmp_path / name) for name in ("few", "many", "long")]
  result = python("-c", program, *folders)
  lines = [line.split() for line in result.stdout.splitlines()]
  counts = [int(words[1]) for words in lines if words[2:3] == ["excerpts"]]
  assert sum(counts) == 120 + 480 + 480
  peaks = [int(words[1]) for words in lines if words[0] == "KiB"]
  # Where a whole recording is held it is 146 MiB, a whole split 88 MiB.
  assert (peaks[2] - peaks[0]) / 1024 < 45


def test_home_is_expanded(monkeypatch):
  monkeypatch.setenv("HOME", "/home/someone")
  builder = opening.open_builder("audio_folder", data_dir="~/sets")
  assert builder.data_dir == "/home/someone/sets/audio_folder/overdrive/1.0.0"


def python(*arguments, **kwargs):
  command = [sys.executable, *arguments]
  return subprocess.run(
    command, cwd=ROOT, capture_output=True, text=True, **kwargs
  )
