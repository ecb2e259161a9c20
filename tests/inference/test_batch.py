"""Planning a batch: names in, names out, and no result in anything's place."""

import os
import re
from pathlib import Path

import pytest

from distortion_removal.common.errors import UserError
from distortion_removal.inference import batch
from distortion_removal.inference.batch import Job


@pytest.fixture(autouse=True)
def album(tmp_path, monkeypatch):
  """An album in the current folder; none of its files is a recording."""
  monkeypatch.chdir(tmp_path)
  for name in (
    *("album/1.wav", "album/2.FLAC", "album/more/3.m4a", "album/cover.jpg"),
    *("album/._1.wav", "album/.cache/4.wav", "single.wav"),
  ):
    Path(name).parent.mkdir(parents=True, exist_ok=True)
    Path(name).write_text(name)


def _plan(*words, **how):
  return {str(x.source): str(x.target) for x in batch.plan(words, **how)}


def test_a_folder_keeps_its_structure_in_another():
  """Hidden files and other kinds stay; what cannot be written becomes WAV."""
  assert _plan("album", output="out/new") == {
    "album/1.wav": "out/new/1.wav",
    "album/2.FLAC": "out/new/2.FLAC",
    "album/more/3.m4a": "out/new/more/3.wav",
  }


def test_without_an_output_results_lie_beside():
  expected = {
    "album/1.wav": "album/1_restored.wav",
    "album/2.FLAC": "album/2_restored.FLAC",
    "album/more/3.m4a": "album/more/3_restored.wav",
  }
  assert _plan("album") == expected
  # Once they are there, another run plans the same.
  for name in expected.values():
    Path(name).touch()
  assert _plan("album") == expected
  assert _plan("album/**") == expected | {
    "album/cover.jpg": "album/cover_restored.wav"
  }


@pytest.mark.parametrize("output", ["album/out", "album/out/", "./album/out"])
def test_results_within_the_folder_are_not_taken_for_recordings(output):
  Path("album/out").mkdir()
  Path("album/out/1.wav").touch()
  place = os.path.normpath(output)
  assert _plan("album", output=output) == {
    "album/1.wav": f"{place}/1.wav",
    "album/2.FLAC": f"{place}/2.FLAC",
    "album/more/3.m4a": f"{place}/more/3.wav",
  }


@pytest.mark.parametrize(
  ("output", "suffix", "target"),
  [
    (None, None, "single_restored.wav"),
    (None, "-x", "single-x.wav"),
    ("a.flac", None, "a.flac"),
    ("-", None, "-"),
    ("album", None, "album/single.wav"),
    ("new/", None, "new/single.wav"),
    ("new/", "_x", "new/single_x.wav"),
  ],
)
def test_a_file(output, suffix, target):
  assert _plan("single.wav", output=output, suffix=suffix) == {
    "single.wav": target
  }


def test_files_folders_and_patterns_together_once_each():
  words = ("single.wav", "album/?.*", "album", "./single.wav")
  assert _plan(*words, output="out") == {
    "single.wav": "out/single.wav",
    "album/1.wav": "out/1.wav",
    "album/2.FLAC": "out/2.FLAC",
    "album/more/3.m4a": "out/more/3.wav",
  }


def test_results_among_what_the_shell_or_a_pattern_names():
  Path("out").mkdir()
  Path("out/1.wav").touch()
  expected = {"album/1.wav": "out/1.wav", "single.wav": "out/single.wav"}
  assert _plan("**/*.wav", output="out") == expected
  # Named results are recordings like others, unless all results are to stay.
  names = "single.wav", "single_restored.wav"
  Path(names[1]).touch()
  assert len(_plan(*names)) == 2
  assert _plan(*names, skip_existing=True) == {names[0]: names[1]}


def test_a_name_with_brackets_is_a_name():
  Path("take [1].wav").touch()
  assert _plan("take [1].wav") == {"take [1].wav": "take [1]_restored.wav"}


def test_a_missing_file_is_a_job_that_will_fail():
  assert _plan("no.wav", "single.wav", output="out")["no.wav"] == "out/no.wav"


def test_a_folder_is_not_searched_for_pipes():
  """They would be waited for, and stop the whole folder."""
  before = _plan("album", output="out")
  os.mkfifo("album/pipe.wav")
  assert _plan("album", output="out") == before


def test_pipes():
  assert _plan("-", output="a.wav") == {"-": "a.wav"}
  os.mkfifo("pipe")
  assert _plan("pipe", output="-") == {"pipe": "-"}
  batch.check(batch.plan(["pipe"], "-"), with_receipts=False)


@pytest.mark.parametrize(
  ("words", "output", "suffix", "message"),
  [
    ("- single.wav", "out/", None, "-: a pipe is restored alone"),
    ("-", None, None, "-: has no name; name the result"),
    ("-", "new/", None, "-: has no name; name the result"),
    ("album", "out.wav", None, "-o out.wav: is one file"),
    ("album", "-", None, "-o -: is one file"),
    ("album", "album/cover.jpg", None, "-o album/cover.jpg: is one file"),
    ("single.wav album/1.wav", "single.flac", None, "is one file"),
    ("album/.cache", None, None, None),
    ("none*.wav", None, None, "none*.wav: no file has such a name"),
    ("empty", None, None, "empty: no recordings in this folder"),
    ("single.wav", "a.wav", "_x", "--suffix=_x: -o a.wav names the result"),
    ("single.wav", None, "a/b", "--suffix=a/b: is the end of a name"),
  ],
)
def test_what_does_not_fit_together(words, output, suffix, message):
  Path("empty").mkdir()
  if message is None:  # A hidden folder that is named is meant.
    assert _plan(*words.split(), output=output, suffix=suffix)
    return
  with pytest.raises(UserError, match=re.escape(message)):
    batch.plan(words.split(), output, suffix)


def _check(*words, with_receipts=False, **how):
  batch.check(batch.plan(words, **how), with_receipts)


@pytest.mark.parametrize(
  ("words", "how"),
  [
    (["single.wav"], {"output": "single.wav"}),
    (["single.wav"], {"suffix": ""}),
    (["single.wav"], {"output": "soft.wav"}),
    (["single.wav"], {"output": "hard.wav"}),
    (["soft.wav"], {"output": "single.wav"}),
    (["album"], {"output": "album"}),
    (["album"], {"output": "linked/"}),
    (["single.wav", "single_restored.wav"], {}),
  ],
)
def test_an_input_is_never_overwritten(words, how):
  Path("soft.wav").symlink_to("single.wav")
  Path("hard.wav").hardlink_to("single.wav")
  Path("linked").symlink_to("album")
  Path("single_restored.wav").touch()
  with pytest.raises(UserError, match="is an input, which is never overwritte"):
    _check(*words, **how)


def test_one_place_for_two_results_is_refused():
  Path("album/1.m4a").touch()
  with pytest.raises(UserError, match=r"both album/1\.m4a and album/1\.wav"):
    _check("album", output="out")
  Path("album/1.m4a").unlink()
  Path("again").symlink_to("album")
  _check("album", output="out", with_receipts=True)
  with pytest.raises(UserError, match="would be written there"):
    _check("album/1.wav", "again/1.wav")
  with pytest.raises(UserError, match="is a folder"):
    Path("out/1.wav").mkdir(parents=True)
    _check("album", output="out")
  with pytest.raises(UserError, match="no place for a receipt"):
    _check("single.wav", output="-", with_receipts=True)


def test_results_that_exist():
  jobs = batch.plan(["album"], "out")
  find = batch.existing
  assert find(jobs, True, may_skip=False) == set()
  (Path("out") / "more").mkdir(parents=True)
  Path("out/2.FLAC").symlink_to("nowhere")
  Path("out/1.wav.json").touch()
  # A receipt alone is left of a run that was interrupted: that one is redone.
  for with_receipts in (True, False):
    assert find(jobs, with_receipts, may_skip=True) == {jobs[1]}
  both = r"^out/1\.wav\.json \(and 1 more\).*--overwrite .*--skip-existing"
  with pytest.raises(UserError, match=both):
    find(jobs, True, may_skip=False)


def test_a_folder_is_made_for_a_result_and_goes_with_it():
  job = Job(Path("single.wav"), Path("a/b/c.wav"), may_make_folder=True)
  with pytest.raises(ValueError, match="work"), job.folder():
    assert Path("a/b").is_dir()
    raise ValueError("work")
  assert not Path("a").exists()
  with job.folder():
    pass
  assert Path("a/b").is_dir()
  # One that others need stays, and one for a file that is named is not made.
  Path("a/other.wav").touch()
  Path("a/b").rmdir()
  with pytest.raises(ValueError, match="work"), job.folder():
    raise ValueError("work")
  assert list(Path("a").iterdir()) == [Path("a/other.wav")]
  with job._replace(target=Path("x/y.wav"), may_make_folder=False).folder():
    assert not Path("x").exists()
