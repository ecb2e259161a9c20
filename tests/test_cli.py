"""The command line: what it starts, and its errors of one line each."""

import json
import subprocess
import sys
import time

import pytest
from conftest import ROOT

from distortion_removal import cli, model_file, prepare, restore, score


def run_main(*arguments, cwd=ROOT, **kwargs):
  """`python -m distortion_removal.main`."""
  return subprocess.run(
    [sys.executable, "-m", "distortion_removal.main", *map(str, arguments)],
    cwd=cwd,
    capture_output=True,
    text=True,
    check=False,
    **kwargs,
  )


def assert_one_line(result, *parts):
  """Status 1 and one line `error: …` that holds the parts."""
  assert result.returncode == 1, result.stdout
  assert result.stdout == ""
  assert result.stderr.startswith("error: "), result.stderr
  assert result.stderr.count("\n") == 1, result.stderr
  for part in parts:
    assert part in result.stderr


QUICKSTART = "--config=configs/quickstart.py"
SURVEY = "--config=configs/aspade_survey.py"


@pytest.mark.parametrize(
  ("arguments", "parts"),
  [
    ([], ["--config=FILE", "--workdir=FOLDER"]),
    (["--workdir=x"], ["training needs --config=FILE"]),
    (["extra"], ["unexpected argument 'extra'"]),
    (["--bogus=3"], ["'bogus'"]),
    (["--worksdir=x"], ["'worksdir'", "Did you mean: workdir"]),
    ([QUICKSTART, "--mode=trian"], ["--mode=trian", "train|evaluate"]),
    (["--distributed=maybe", QUICKSTART], ["--distributed=maybe"]),
    (["--config"], ["Missing value for flag --config"]),
    ([f"{QUICKSTART}:smok"], ["'smok'", "'smoke'"]),
    (["--config=no.py"], ["No such file", "'no.py'"]),
    (["--config=no.py", "--config.seed=1"], ["No such file", "'no.py'"]),
    (["--config=configs"], ["Is a directory", "'configs'"]),
    (["--config=setup.cfg"], ["setup.cfg", "not Python", "line "]),
    (["--config=distortion_removal/errors.py"], ["no attribute 'get_config'"]),
    (
      [QUICKSTART, "--config.batchsize=3"],
      ["no such field", "'batchsize'; did you mean \"batch_size\""],
    ),
    ([QUICKSTART, "--config.data.tsk=x"], ["'tsk'", '"task"']),
    ([QUICKSTART, "--config.zzz=1"], ["'zzz'", "configs/default.py"]),
    ([QUICKSTART, "--config.batch_size=x"], ["--config.batch_size=x", "int"]),
    ([QUICKSTART, "--config.data=3"], ["--config.data=3"]),
    ([SURVEY], ["no network to train", "--mode=evaluate"]),
    ([SURVEY, "--mode=describe"], ["no network to describe"]),
    ([SURVEY, "--mode=evaluate"], ["44.1 kHz", "--sample-rate=44100"]),
    (["--config.seed=3", QUICKSTART], ["--config.seed=3", "--config"]),
    (["--mode=evaluate", "--workdir=no/run"], ["no/run: no trained run here"]),
    (["--mode=time", "--workdir=no/run"], ["no/run: no trained run here"]),
    (["--mode=time"], ["--config=FILE", "--workdir=FOLDER"]),
    (["--mode=report"], ["--workdirs=RUN,RUN", "--output=FOLDER"]),
    (["--mode=report", "--workdirs=no/run"], ["--output=FOLDER"]),
    (["--mode=report", "--output=no/report"], ["--workdirs=RUN,RUN"]),
    (
      ["--mode=report", "--workdirs=no/run", "--output=no/report"],
      ["no/run: no evaluation here", "--mode=evaluate"],
    ),
    (["--mode=report", "--page_seconds=x"], ["--page_seconds=x"]),
    (
      ["--mode=report", "--workdirs=a", "--output=b", "--page_seconds=-1"],
      ["--page_seconds", "above 0"],
    ),
  ],
)
def test_mistakes(arguments, parts):
  assert_one_line(run_main(*arguments), *parts)


@pytest.mark.parametrize(
  ("field", "parts"),
  [
    ("loss=l3", ["'l3'", "neg_si_sdr"]),
    ("data.task=fuzz", ["'fuzz'", "overdrive"]),
    ("data.dataset=mnist", ["'mnist'", "plucked_strings"]),
    ("model.name=demux", ["'demux'", "demucs"]),
  ],
)
def test_unknown_names_in_a_configuration(tmp_path, field, parts):
  result = run_main(
    f"{QUICKSTART}:smoke", f"--config.{field}", f"--workdir={tmp_path / 'run'}"
  )
  assert_one_line(result, *parts)
  assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
  "command",
  [
    ["-m", "distortion_removal.main"],
    ["-c", "from distortion_removal import cli; cli.main()", "train"],
  ],
)
def test_help_lists_our_flags(command):
  result = subprocess.run(
    [sys.executable, *command, "--help"],
    cwd=ROOT,
    capture_output=True,
    text=True,
    check=False,
  )
  assert "Traceback" not in result.stderr
  for flag in ("config", "workdir", "mode", "workdirs", "output"):
    assert f"--{flag}:" in result.stdout
  assert "--[no]distributed:" in result.stdout


def _program(text):
  return subprocess.run(
    [sys.executable, "-c", text],
    cwd=ROOT,
    capture_output=True,
    text=True,
    check=True,
  ).stdout


def test_imports_are_light():
  start = time.perf_counter()
  _program("import distortion_removal")
  assert time.perf_counter() - start < 3.0
  modules = _program(
    "import sys, distortion_removal.cli, distortion_removal.main;"
    "print(*sys.modules)"
  ).split()
  heavy = {"jax", "flax", "tensorflow", "torch", "tensorflow_datasets", "grain"}
  assert not heavy & set(modules)


def test_neither_tensorflow_nor_pytorch_is_needed():
  modules = _program(
    "import sys; from distortion_removal import restore;"
    "from distortion_removal.training import train;"
    "from distortion_removal.evaluation import evaluate;"
    "from distortion_removal.datasets.sources import"
    " audio_folder, plucked_strings; print(*sys.modules)"
  ).split()
  assert "jax" in modules
  assert not {"tensorflow", "torch"} & set(modules)


def test_usage(monkeypatch, capsys):
  for arguments in ([], ["--help"], ["help"]):
    monkeypatch.setattr(sys, "argv", ["distortion-removal", *arguments])
    cli.main()
    text = capsys.readouterr().out
    for command in ("train", "evaluate", "time", "report", "prepare", "score"):
      assert f"\n  {command} " in text
    assert "--method=" in text


def test_an_unknown_command(monkeypatch):
  monkeypatch.setattr(sys, "argv", ["distortion-removal", "trian"])
  with pytest.raises(SystemExit) as caught:
    cli.main()
  assert caught.value.code == (
    "error: unknown command 'trian': choose from train, describe, evaluate, "
    "time, report, prepare, model-file, restore, score"
  )


@pytest.mark.parametrize("module", [prepare, model_file, restore, score])
def test_commands_get_their_arguments(monkeypatch, module):
  seen = []
  monkeypatch.setattr(module, "main", seen.append)
  command = module.__name__.rpartition(".")[2].replace("_", "-")
  monkeypatch.setattr(sys, "argv", ["distortion-removal", command, "a", "-b"])
  cli.main()
  assert seen == [["a", "-b"]]


@pytest.mark.parametrize("command", ["train", "evaluate", "time"])
def test_what_is_about_a_run_passes_on_to_main(command):
  """Overrides, too: ml_collections reads them from the command line."""
  program = (
    "import sys; from distortion_removal import cli, main;"
    "main._main = lambda argv: print("
    "argv[1:], main._MODE.value, main._CONFIG.value.seed, main._workdir());"
    f"sys.argv = ['distortion-removal', '{command}',"
    f"'{QUICKSTART}:smoke', '--config.seed=5']; cli.main()"
  )
  assert _program(program) == f"[] {command} 5 runs/quickstart_smoke\n"


def test_report_gets_its_folders_and_what_made_it():
  program = (
    "import sys; from distortion_removal import cli;"
    "from distortion_removal.report import report;"
    "report.report = lambda *words, **options: print(words, options);"
    "sys.argv = ['distortion-removal', 'report', '--workdirs=a,b',"
    "'--output=my report', '--page_seconds=3', '--page_wav',"
    "'--page_megabytes=9']; cli.main()"
  )
  assert _program(program) == (
    "([PosixPath('a'), PosixPath('b')], PosixPath('my report')) {'command': "
    '"python -m distortion_removal.main --mode=report --workdirs=a,b '
    "'--output=my report' --page_seconds=3 --page_wav --page_megabytes=9\", "
    "'page_options': {'excerpts': None, 'seconds': 3.0, 'loudness_lufs': None, "
    "'megabytes': 9.0, 'wav': True}}\n"
  )


def test_describe_prints_one_json_object_and_on_demand_the_layers():
  config = "--config=configs/umx_signaltrain.py:smoke"
  result = run_main(config, "--mode=describe")
  assert result.returncode == 0, result.stderr
  found = json.loads(result.stdout)
  assert found["network"] == "umx"
  assert found["hop_samples"] == 64
  table = run_main(config, "--mode=describe", "--table").stdout
  assert table.startswith(result.stdout.rstrip("\n"))
  rows = table.removeprefix(result.stdout).splitlines()
  counts = [int(row.split()[-1].replace(",", "")) for row in rows[1:]]
  assert sum(counts[:-1]) == counts[-1] == found["parameters"]
  assert_one_line(run_main("--mode=describe"), "--config=FILE")
