"""The stages of a task: their commands, and mistakes in asking for them.

`python -m tests.reproduction.test_chain` writes `dry_run.txt`, the commands of
the paper's tasks.
"""

import contextlib
import io
import os
import tempfile
from pathlib import Path

import pytest

from experiments import reproduce
from experiments.reproduction import chain
from experiments.reproduction.chain import Options

GOLDEN = Path(__file__).with_name("dry_run.txt")
CASES = (
  "--task=ceg_overdrive --path=MY_GUITAR",
  "--task=ceg_hard_clip --path=MY_GUITAR --networks=umx -- --config.steps=500",
  "--task=signaltrain",
  "--task=ceg_hard_clip --smoke --networks=crafx,umx",
)


def _dry_run(case):
  with contextlib.redirect_stdout(io.StringIO()) as out:
    reproduce.main(["--dry-run", *case.split()])
  commands = out.getvalue().replace(os.path.relpath(chain.CONFIGS), "configs")
  return f"$ {case}\n{commands}"


def test_the_commands_of_the_papers_tasks(monkeypatch, tmp_path):
  monkeypatch.chdir(tmp_path)  # Where there are no results of other tasks.
  assert "\n".join(map(_dry_run, CASES)) == GOLDEN.read_text()


def _words(**fields):
  """The words of each stage, by title."""
  options = Options(**{"workdir": Path("w"), "networks": ("umx",)} | fields)
  return {s.title: s.command[1:] for s in chain.stages(options)}


def test_crafx_on_signaltrain_only_if_asked_for():
  assert "train crafx" not in _words(task="signaltrain", networks=())
  assert "train crafx" in _words(task="signaltrain", networks=("crafx",))


def test_any_music_in_place_of_signaltrain():
  words = _words(task="signaltrain", dataset="audio_folder", path="m/usic")
  assert {"--dataset=audio_folder", "--task=hard_clip_sdr", "--path=m/usic"} < (
    set(words["prepare audio_folder"])
  )
  for title in ("train umx", "evaluate umx", "time baselines"):
    assert "--config.data.dataset=audio_folder" in words[title]
    assert "--config.data.data_dir=data/audio_folder" in words[title]
  words = _words(task="signaltrain", dataset="audio_folder", data_dir="d")
  assert "--data-dir=d" in words["prepare audio_folder"]
  assert "--config.data.data_dir=d" in words["evaluate baselines"]


def test_overrides_are_those_of_all_that_they_concern():
  fields = "--config.data.sample_rate=8000", "--config.model.fields.features=9"
  words = _words(task="ceg_overdrive", overrides=fields)
  assert "--sample-rate=8000" in words["prepare ceg"]
  for title in ("train umx", "evaluate umx", "time umx"):
    assert set(fields) < set(words[title])
  for title in ("evaluate baselines", "time baselines"):
    assert fields[0] in words[title]
    assert fields[1] not in words[title]


def test_a_folder_elsewhere_finds_the_configurations(monkeypatch, tmp_path):
  monkeypatch.chdir(tmp_path)
  word = _words(task="ceg_overdrive")["train umx"][0]
  file = word.removeprefix("--config=")
  assert (tmp_path / file).samefile(chain.CONFIGS / "umx_ceg_overdrive.py")


def test_the_report_is_also_about_the_other_tasks(tmp_path):
  (tmp_path / "ceg_overdrive/crafx/evaluation").mkdir(parents=True)
  (tmp_path / "signaltrain/umx/evaluation").mkdir(parents=True)
  (tmp_path / "signaltrain/demucs").mkdir()
  words = _words(task="ceg_hard_clip", workdir=tmp_path)["report"]
  folders = words[1].removeprefix("--workdirs=").split(",")
  assert [str(Path(x).relative_to(tmp_path)) for x in folders] == [
    "ceg_overdrive/crafx",
    "ceg_hard_clip/umx",
    "ceg_hard_clip/baselines",
    "signaltrain/umx",
  ]


@pytest.mark.parametrize(
  ("words", "part"),
  [
    (["--task=signaltrain", "--networks=umx,unet"], "unknown network 'unet'"),
    (["--task=signaltrain", "--smoke", "--path=x"], "leave out --path"),
    (["--task=signaltrain", "--", "--steps=3"], "'--steps=3': only fields"),
    (["--task=signaltrain", "--dataset=cds"], "unknown data set 'cds'"),
    (["--task=signaltrain", "--", "--config.data.channels=two"], "=two: "),
  ],
)
def test_mistakes(words, part):
  with pytest.raises(SystemExit) as caught:
    reproduce.main(["--dry-run", *words])
  assert caught.value.code.startswith("error: ")
  assert "\n" not in caught.value.code
  assert part in caught.value.code


if __name__ == "__main__":
  with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
    GOLDEN.write_text("\n".join(map(_dry_run, CASES)))
