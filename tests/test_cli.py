"""The command line: what it starts, and its errors of one line each."""

import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from absl import flags
from absl.testing import flagsaver
from conftest import ROOT

from distortion_removal import (
  cli,
  main,
  model_file,
  prepare,
  restore,
  score,
  serve,
)
from distortion_removal.common import cores, devices
from distortion_removal.common.errors import UserError
from distortion_removal.datasets.preparation import prepare as preparation
from distortion_removal.evaluation import timing
from distortion_removal.report import report
from distortion_removal.training import train as training

QUICKSTART = "--config=configs/quickstart.py"
NAMED = "--config=quickstart:smoke"
SURVEY = "--config=configs/declipping_survey.py"


@pytest.fixture
def run(monkeypatch):
  """Runs the console script in this process; returns how it exits."""
  monkeypatch.setattr(cores, "allow_processes", lambda: None)
  monkeypatch.setattr(preparation, "prepare", None)  # No test gets that far.

  def run(*arguments, folder=ROOT):
    monkeypatch.chdir(folder)
    monkeypatch.setattr(sys, "argv", ["distortion-removal", *arguments])
    handler = signal.getsignal(signal.SIGTERM)
    with flagsaver.flagsaver(), pytest.raises(SystemExit) as caught:
      cli.main()
    signal.signal(signal.SIGTERM, handler)
    flags.FLAGS.mark_as_parsed()
    return caught.value.code

  return run


def _process(*arguments):
  return subprocess.run(
    [sys.executable, *arguments],
    cwd=ROOT,
    capture_output=True,
    text=True,
    check=False,
  )


def _assert_one_line(error, parts):
  assert error.startswith("error: ")
  assert "\n" not in error
  for part in parts:
    assert part in error


@pytest.mark.parametrize(
  ("arguments", "parts"),
  [
    ([], ["--config=FILE", "--workdir=FOLDER"]),
    (["extra"], ["unexpected argument 'extra'"]),
    (["--worksdir=x"], ["'worksdir'", "Did you mean: workdir"]),
    ([QUICKSTART, "--mode=trian"], ["--mode=trian", "train|describe"]),
    (["--config"], ["Missing value for flag --config"]),
    ([f"{QUICKSTART}:smok"], ["'smok'", "'smoke'"]),
    (["--config=setup.cfg"], ["setup.cfg", "not Python", "line "]),
    ([QUICKSTART, "--config.batchsize=3"], ["'batchsize'", '"batch_size"']),
    ([QUICKSTART, "--config.batch_size=x"], ["--config.batch_size=x", "int"]),
    ([SURVEY], ["no network to train", "--mode=evaluate"]),
    ([SURVEY, "--mode=evaluate"], ["44.1 kHz", "--sample-rate=44100"]),
    ([QUICKSTART, "--workdir=gs://a/b"], ["gs://a/b: not a folder; mount"]),
    (["--mode=evaluate", "--workdir=no/run"], ["no/run: no trained run here"]),
    (["--mode=evaluate", "--workdir=no.safetensors"], ["no.safetensors: not"]),
    (["--mode=report"], ["--workdirs=RUN,RUN", "--output=FOLDER"]),
    (
      ["--mode=report", "--workdirs=no/run", "--output=no/report"],
      ["no/run: no evaluation here", "--mode=evaluate"],
    ),
    (
      ["--mode=report", "--workdirs=a", "--output=b", "--page_seconds=-1"],
      ["--page_seconds", "above 0"],
    ),
  ],
)
def test_mistakes(run, arguments, parts, capsys):
  _assert_one_line(run("train", *arguments), parts)
  assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
  ("arguments", "parts"),
  [
    (["--bogus=3"], ["'bogus'"]),
    (["--config=no.py"], ["No such file", "'no.py'"]),
    (["--config=quick"], ["'quick'", "quickstart"]),
    (["--config.seed=3", QUICKSTART], ["--config.seed=3", "--config"]),
  ],
)
def test_mistakes_in_a_process_of_their_own(arguments, parts):
  result = _process("-m", "distortion_removal.main", *arguments)
  assert result.returncode == 1
  assert result.stdout == ""
  _assert_one_line(result.stderr.removesuffix("\n"), parts)


@pytest.mark.parametrize(
  ("field", "parts"),
  [
    ("data.task=fuzz", ["'fuzz'", "overdrive"]),
    ("data.dataset=mnist", ["'mnist'", "plucked_strings"]),
    ("model.name=demux", ["'demux'", "demucs"]),
  ],
)
def test_unknown_names_in_a_configuration(run, tmp_path, field, parts):
  workdir = tmp_path / "run"
  words = f"{QUICKSTART}:smoke", f"--config.{field}", f"--workdir={workdir}"
  _assert_one_line(run("train", *words), parts)
  assert not workdir.exists()


def test_help_lists_our_flags():
  result = _process("-m", "distortion_removal.main", "--help")
  assert "Traceback" not in result.stderr
  for flag in ("config", "workdir", "mode", "workdirs", "output"):
    assert f"--{flag}:" in result.stdout
  assert "--[no]distributed:" in result.stdout


def test_the_command_line_imports_nothing_heavy():
  modules = _process(
    "-c", "import sys, distortion_removal.cli; print(*sys.modules)"
  ).stdout.split()
  assert "distortion_removal.main" in modules
  heavy = {"jax", "flax", "tensorflow", "torch", "tensorflow_datasets", "grain"}
  assert not heavy & set(modules)


@pytest.mark.e2e
def test_neither_tensorflow_nor_pytorch_is_needed():
  modules = _process(
    "-c",
    "import sys; from distortion_removal import restore;"
    "from distortion_removal.training import train;"
    "from distortion_removal.evaluation import evaluate;"
    "from distortion_removal.datasets.sources import"
    " audio_folder, plucked_strings; print(*sys.modules)",
  ).stdout.split()
  assert "jax" in modules
  assert not {"tensorflow", "torch"} & set(modules)


def test_usage_and_an_unknown_command(run, monkeypatch, capsys):
  commands = [*main.MODES, "prepare", "model-file", "restore", "score"]
  commands += ["analyze", "serve"]
  for arguments in ([], ["--help"], ["help"]):
    monkeypatch.setattr(sys, "argv", ["distortion-removal", *arguments])
    cli.main()
    text = capsys.readouterr().out
    for command in commands:
      assert f"\n  {command} " in text
  _assert_one_line(run("trian"), ["'trian'", *commands])


@pytest.fixture(scope="module")
def completion(tmp_path_factory):
  """The file with the script that bash reads."""
  pytest.importorskip("shtab", reason="the extra completion is not installed")
  if not shutil.which("bash"):
    pytest.skip("there is no bash")
  file = tmp_path_factory.mktemp("completion") / "script"
  file.write_text(cli._completion("bash"))
  return file


@pytest.mark.parametrize(
  ("words", "expected"),
  [
    (["mod"], ["model-file"]),
    (["restore", "--on-overflow", "a"], ["attenuate"]),
    (["restore", "in.wav", "--skip"], ["--skip-existing"]),
    (["restore", "-n", "ta"], ["take.wav"]),
    (["score", "take.wav", "--det"], ["--details"]),
    (["evaluate", "--workd"], ["--workdir", "--workdirs"]),
    (["report", "--page_w"], ["--page_wav"]),
  ],
  ids=lambda words: "_".join(words),
)
def test_bash_completes(completion, tmp_path, words, expected):
  (tmp_path / "take.wav").touch()
  line = ["distortion-removal", *words]
  script = f"""source {completion}
    COMP_WORDS=({shlex.join(line)}) COMP_CWORD={len(words)}
    _shtab_distortion_removal
    printf '%s\\n' "${{COMPREPLY[@]}}"
  """
  result = subprocess.run(
    ["bash", "-c", script],
    cwd=tmp_path,
    capture_output=True,
    text=True,
    check=True,
  )
  assert result.stdout.split() == expected


def test_shells_that_can_complete_are_named(run, monkeypatch):
  pytest.importorskip("shtab", reason="the extra completion is not installed")
  for words in ([], ["ksh"], ["bash", "zsh"]):
    error = run("--print-completion", *words)
    _assert_one_line(error, ["--print-completion", "bash", "zsh"])
  monkeypatch.setitem(sys.modules, "shtab", None)
  error = run("--print-completion", "bash")
  _assert_one_line(error, ["distortion_removal[completion]"])


@pytest.mark.parametrize("module", [prepare, model_file, restore, score, serve])
def test_commands_get_their_arguments(monkeypatch, module):
  seen = []
  monkeypatch.setattr(module, "main", seen.append)
  command = module.__name__.rpartition(".")[2].replace("_", "-")
  monkeypatch.setattr(sys, "argv", ["distortion-removal", command, "a", "-b"])
  cli.main()
  assert seen == [["a", "-b"]]


@pytest.mark.parametrize(
  "arguments",
  [
    ["train", f"{QUICKSTART}:smoke", "--workdir={}/run"],
    ["describe", f"{QUICKSTART}:smoke"],
    ["evaluate", "--workdir=no/run"],
    ["time", "--workdir=no/run"],
    ["prepare", "--dataset=plucked_strings_smoke", "--data-dir={}/data"],
    ["restore", "in.wav", "-o", "{}/out.wav", "--method=aspade"],
    ["restore", "in.wav", "-o", "{}/out.wav", "--model=hybrid-hard-clip-16k"],
    ["score", "in.wav", "in.wav", "--metrics=fad"],
    ["model-file", "no/run", "-o", "{}/model.safetensors"],
  ],
  ids=lambda arguments: "_".join(arguments[:1]),
)
def test_a_platform_that_does_not_start_comes_before_any_work(
  run, monkeypatch, tmp_path, arguments
):
  def fail(*_):
    raise UserError("JAX_PLATFORMS=cuda: JAX does not start")

  monkeypatch.setattr(devices, "check_platform", fail)
  # In which another process asks JAX.
  monkeypatch.setattr(timing, "_environments", fail)
  error = run(*(x.format(tmp_path) for x in arguments))
  _assert_one_line(error, ["JAX_PLATFORMS=cuda"])
  assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("words", [[NAMED], NAMED.split("=")], ids=len)
def test_a_config_that_comes_along_is_named(run, monkeypatch, tmp_path, words):
  seen = []
  monkeypatch.setattr(
    main, "_main", lambda _: seen.append((main._CONFIG.value, main._workdir()))
  )
  run("train", *words, "--config.seed=5", folder=tmp_path)
  ((config, workdir),) = seen
  assert (config.steps, config.seed) == (4, 5)
  assert workdir == Path("runs/quickstart_smoke")


@pytest.mark.parametrize("command", ["train", "evaluate", "time"])
def test_commands_about_a_run_pass_on_to_main(run, monkeypatch, command):
  """Overrides, too: ml_collections reads them from the command line."""
  seen = []

  def record(argv):
    mode, seed = main._MODE.value, main._CONFIG.value.seed
    seen.append((argv[1:], mode, seed, main._workdir()))

  monkeypatch.setattr(main, "_main", record)
  assert run(command, f"{QUICKSTART}:smoke", "--config.seed=5") is None
  assert seen == [([], command, 5, Path("runs/quickstart_smoke"))]


def test_sigterm_before_the_first_step_ends_as_a_stop(run, monkeypatch, capfd):
  """Status 0, and the line for which restart.sh starts the command again."""

  def train(*_, **__):
    signal.raise_signal(signal.SIGTERM)
    raise AssertionError("it goes on")

  monkeypatch.setattr(training, "train", train)
  monkeypatch.setattr(os, "_exit", sys.exit)
  assert run("train", NAMED) == 0
  loop = (ROOT / "experiments/launch/restart.sh").read_text()
  (pattern,) = re.findall(r"^resumable='(.*)'$", loop, re.M)
  assert re.match(pattern, capfd.readouterr().err.splitlines()[-1])


def test_report_gets_its_folders_and_what_made_it(run, monkeypatch):
  seen = []

  def record(*words, **options):
    seen.extend([words, options])

  monkeypatch.setattr(report, "report", record)
  words = ["--workdirs=a,b", "--output=my report", "--page_seconds=3"]
  run("report", *words, "--page_wav", "--page_megabytes=9")
  assert seen == [
    ([Path("a"), Path("b")], Path("my report")),
    {
      "command": "python -m distortion_removal.main --mode=report "
      "--workdirs=a,b '--output=my report' --page_seconds=3 --page_wav "
      "--page_megabytes=9",
      "page_options": {
        "excerpts": None,
        "seconds": 3.0,
        "loudness_lufs": None,
        "megabytes": 9.0,
        "wav": True,
      },
    },
  ]


def test_describe_prints_one_json_object_and_on_demand_the_layers(run, capsys):
  config = "--config=configs/umx_signaltrain.py:smoke"
  run("describe", config)
  summary = capsys.readouterr().out
  found = json.loads(summary)
  assert found["network"] == "umx"
  assert found["hop_samples"] == 64
  run("describe", config, "--table")
  table = capsys.readouterr().out
  assert table.startswith(summary.rstrip("\n"))
  total = next(row for row in table.splitlines() if " Total " in row)
  assert f"{found['parameters']:,} (" in total
