"""Launchers: what they would do, and that their words arrive unharmed."""

import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from conftest import ROOT, read_metrics
from machines import Machines

GOLDEN = Path(__file__).with_name("dry_run.txt")
CLOUD = ("--zone=europe-west4-b", "--workdir=gs://bucket/runs/one")
SLICE = ("run", "demucs-1", *CLOUD, "--type=v5litepod-16")
CONFIG = "--config=configs/demucs_ceg_overdrive.py"
# What shells would take apart, or obey.
NASTY = (
  "--config.loss=l1 + 0.1 * multi_resolution_stft",
  '--config.data.hint=it\'s "here"; touch done & $(touch done) `touch done`',
  "--config.data.levels=(20.0, 35.0)",
  "--config.data.sources=(('ceg', 'gs://other/a b', 1.0),)",
)
STOPPED = "stopped at step 4 of 6 as asked; the same command resumes"
FOREVER = "touch up; while true; do sleep 0.05; done"
# Each with what is in the golden file under its name.
DRY_RUNS = {
  "a slice": ("launch_tpu.sh", *SLICE, "--dry-run", "--", CONFIG, *NASTY),
  "a spot slice, given back": (
    "launch_tpu.sh",
    *(*SLICE, "--spot", "--fetch", "--delete", "--dry-run", "--", CONFIG),
  ),
  "a preemptible slice of a project": (
    "launch_tpu.sh",
    *(*SLICE, "--preemptible", "--project=mine", "--dry-run", "--", CONFIG),
  ),
  "its log": ("launch_tpu.sh", "logs", "demucs-1", CLOUD[0], "--dry-run"),
  "its results": ("launch_tpu.sh", "fetch", "demucs-1", CLOUD[1], "--dry-run"),
  "its end": ("launch_tpu.sh", "delete", "demucs-1", CLOUD[0], "--dry-run"),
  "some GPUs": ("launch_gpu.sh", "--gpus=0,1", "--dry-run", "--", CONFIG),
  "Slurm": (
    *("launch_slurm.sh", "demucs", "--nodes=2", "--gpus=4", "--dry-run"),
    *("--option=--account=a b", "--", CONFIG, "--workdir=runs/one", *NASTY),
  ),
}


@pytest.fixture
def machines(tmp_path):
  return Machines(tmp_path)


def _dry_run(machines, *words):
  """What is printed, without this machine's paths and commit."""
  status, output, errors = machines.run(*words)
  assert (status, errors) == (0, "")
  assert not machines.calls("gcloud") + machines.calls("sbatch")
  for path, place in ((machines.folder, "TMP"), (ROOT, "HERE")):
    output = output.replace(str(path), place)
  return re.sub(r"\b[0-9a-f]{40}\b|(?<=-)[0-9a-f]{12}\b", "COMMIT", output)


needs_git = pytest.mark.skipif(
  not (ROOT / ".git").exists(), reason="not a checkout: there is no commit"
)


@needs_git
@pytest.mark.parametrize("name", DRY_RUNS)
def test_a_dry_run_prints_the_commands(machines, name):
  text = GOLDEN.read_text()
  expected = dict(re.findall(r"^# (.*)\n((?:[^#].*\n)+)", text, re.M))
  assert _dry_run(machines, *DRY_RUNS[name]) == expected[name]


@pytest.mark.e2e
@needs_git
def test_a_slice_trains_with_the_words_given(machines):
  """Waits for it, restarts what fails, shows the log, and gives it back."""
  words = (*SLICE, "--delete", "--", CONFIG, *NASTY)
  status, output, errors = machines.run("launch_tpu.sh", *words)
  assert status == 0, errors
  home = "/mnt/gs/bucket/runs/one"
  expected = [
    *("-m", "distortion_removal.main", "--distributed", f"--workdir={home}"),
    *(CONFIG, *NASTY[:-1], NASTY[-1].replace("gs://", "/mnt/gs/")),
  ]
  assert machines.calls("python") == [expected] * 4  # twice on each of two
  assert not list(machines.folder.rglob("done"))
  assert output.count("trained on 0") == 2
  assert "status 7; again in 0 s" in output
  assert [words[-2:] for words in machines.calls("gcsfuse")] == [
    [bucket, f"/mnt/gs/{bucket}"] for bucket in ("bucket", "other")
  ] * 2
  assert "delete" in machines.calls("gcloud")[-1]


@pytest.mark.e2e
@needs_git
def test_a_slice_that_is_taken_away_is_made_again(machines):
  (machines.cloud / "preempt").touch()
  words = (*SLICE, "--spot", "--", CONFIG)
  status, output, errors = machines.run("launch_tpu.sh", *words)
  assert status == 0, errors
  calls = [" ".join(words[:4]) for words in machines.calls("gcloud")]
  made = [re.sub(".*queued-resources ", "", x) for x in calls if "queued" in x]
  # Created, waited for and lost; the same once more.
  expected = ["create", "describe", "describe", "describe", "delete"]
  assert made == [*expected, "create", "describe", "describe"]
  assert "trained on 0" in output


@pytest.mark.parametrize(
  ("words", "message"),
  [
    (("run", "Demucs 1"), "'Demucs 1' is no name"),
    (("run", "one", "--zone=z", "--workdir=runs/one"), "--workdir=gs://"),
    (("run", "one", *CLOUD), "give --type="),
    (("run", "one", *CLOUD, "--type=v6e-8"), "give training flags behind --"),
    (("run", "one", "--config=x"), "unknown option --config=x"),
    (("delete", "one"), "give --zone="),
    ((*SLICE, "--commit=none", "--", CONFIG), "--commit=none: no commit"),
  ],
)
def test_mistakes_are_told_before_anything_costs(machines, words, message):
  status, _, errors = machines.run("launch_tpu.sh", *words)
  assert status == 1
  assert errors.splitlines()[-1].startswith("error: ")
  assert message in errors
  assert not machines.calls("gcloud")


def _restart(machines, program, **options):
  """The loop around a shell program that counts its starts in a file."""
  text = f"echo x >>starts; n=$(wc -l <starts); {program}"
  words = ("launch/restart.sh", "runs/log", "bash", "-c", text)
  return machines.start(*words, start_new_session=True, **options)


@pytest.mark.parametrize(
  ("program", "status", "starts"),
  [
    ("[ $n = 3 ]", 0, 3),
    ("exit 9", 9, 5),
    ("echo error: of the user; exit 1", 1, 2),
    ("echo error: $n; [ $n = 4 ]", 0, 4),
    # A training that is stopped alone, which is no failure.
    (f"[ $n = 7 ] || echo '{STOPPED}'; echo warning: of a library", 0, 7),
  ],
)
def test_the_loop_restarts_what_may_succeed(machines, program, status, starts):
  process = _restart(machines, program)
  output, _ = process.communicate(timeout=60)
  folder = machines.folder
  assert process.returncode == status
  assert (folder / "runs/log.status").read_text() == f"{status}\n"
  assert not (folder / "runs/log.pid").exists()
  assert len((folder / "starts").read_text().split()) == starts
  assert (folder / "runs/log").read_text() == output


def _wait_for(path):
  for _ in range(200):
    if path.exists():
      return
    time.sleep(0.05)
  raise AssertionError(f"{path} does not appear")


def test_a_loop_that_is_stopped_lets_the_command_save(machines):
  process = _restart(
    machines,
    f"trap 'sleep 0.2; echo saved; exit 0' TERM; {FOREVER}",
  )
  _wait_for(machines.folder / "up")
  status, output, _ = machines.run("launch/restart.sh", "runs/log", "false")
  assert status == 1
  assert "does this already" in output
  os.killpg(process.pid, signal.SIGTERM)
  output, _ = process.communicate(timeout=60)
  assert process.returncode == 143
  assert output.splitlines()[-1] == "saved"
  # Whoever waits for its end must not take it for one.
  assert (machines.folder / "runs/log.status").read_text() == "stopped\n"
  assert len((machines.folder / "starts").read_text().split()) == 1


def test_a_job_whose_time_is_over_saves_and_queues_again(machines):
  """USR1 to the job becomes TERM for its tasks, which end in their time."""
  task = f"trap 'sleep 0.2; touch saved; exit 0' TERM; {FOREVER}"
  process = machines.start(
    *("launch/slurm_job.sh", "bash", "-c", task),
    env={"SLURM_JOB_ID": "17", "TASKS": "1"},
  )
  _wait_for(machines.folder / "up")
  _wait_for(machines.folder / "tasks")
  process.send_signal(signal.SIGUSR1)
  process.communicate(timeout=60)
  assert process.returncode == 0
  assert (machines.folder / "saved").exists()
  assert machines.calls("scontrol") == [["requeue", "17"]]
  # One that ends by itself does not come again.
  env = {"SLURM_JOB_ID": "18", "TASKS": "2"}
  status, _, _ = machines.run("launch/slurm_job.sh", "false", env=env)
  assert status == 1
  assert len(machines.calls("scontrol")) == 1


@pytest.mark.e2e
def test_two_tasks_of_a_job_train_one_run(machines):
  """Through `--distributed`, which finds the other in Slurm's variables."""
  flags = (f"--config={ROOT}/configs/quickstart.py:smoke", "--workdir=run")
  small = ("depth=1", "lstm_layers=0", "channels=4")
  status, _, errors = machines.run(
    *("launch_slurm.sh", "one", "--gpus=2", "--", *flags),
    *(f"--config.model.fields.{field}" for field in small),
    env={
      "PYTHON": sys.executable,
      "PYTHONPATH": str(ROOT),
      "JAX_PLATFORMS": "cpu",
    },
  )
  assert status == 0, errors
  rows = read_metrics(machines.folder / "run")
  assert [x["step"] for x in rows if "train/loss" in x] == [1, 2, 3, 4]


@pytest.mark.e2e
def test_distributed_alone_says_what_it_is_for(tmp_path):
  command = [sys.executable, "-m", "distortion_removal.main", "--distributed"]
  result = subprocess.run(
    [*command, f"--config={ROOT}/configs/quickstart.py"],
    cwd=tmp_path,
    env=os.environ | {"PYTHONPATH": str(ROOT), "JAX_PLATFORMS": "cpu"},
    capture_output=True,
    text=True,
    check=False,
  )
  assert result.returncode == 1
  assert "error: --distributed: the processes do not find" in result.stderr
  assert "Traceback" not in result.stderr


def _lines(page):
  """The commands of a page's shell blocks, those over several lines joined."""
  blocks = re.findall(r"```bash\n(.*?)```", page.read_text(), re.S)
  text = "".join(blocks).replace("\\\n", " ")
  return [line for line in text.splitlines() if line]


@needs_git
def test_the_commands_of_the_page_can_be_given(machines):
  lines = _lines(ROOT / "docs" / "tpu.md")
  ours = [x for x in lines if x.startswith("experiments/launch_")]
  assert {x.split()[0] for x in ours} == {
    f"experiments/launch_{name}.sh" for name in ("tpu", "gpu", "slurm")
  }
  for line in ours:
    _, *words = shlex.split(line)
    for word in words:
      if word.startswith("--config="):
        assert (ROOT / word.removeprefix("--config=")).is_file()
    at = words.index("--") if "--" in words else len(words)
    words.insert(at, "--dry-run")
    script = line.split()[0].removeprefix("experiments/")
    assert _dry_run(machines, script, *words)


@pytest.mark.skipif(not shutil.which("shellcheck"), reason="no shellcheck here")
def test_shellcheck_has_nothing_to_say():
  scripts = (ROOT / "experiments").rglob("*.sh")
  subprocess.run(["shellcheck", "-x", *scripts], check=True, cwd=ROOT)


@pytest.mark.e2e
@pytest.mark.skipif(not shutil.which("gcloud"), reason="no gcloud here")
def test_gcloud_has_these_commands_and_options():
  """Its own help is asked; nothing is sent."""
  text = GOLDEN.read_text() + "\n".join(_lines(ROOT / "docs" / "tpu.md"))
  commands = {}
  for line in text.splitlines():
    if line.startswith("gcloud "):
      words = shlex.split(line)
      at = max(i for i, w in enumerate(words) if w in _VERBS) + 1
      options = {w.split("=")[0] for w in words if w.startswith("--")}
      found = commands.setdefault(tuple(words[1:at]), set())
      found |= options - {"--quiet", "--project"}
  assert len(commands) > 5
  for command, options in commands.items():
    result = subprocess.run(
      ["gcloud", *command, "--help"],
      stdin=subprocess.DEVNULL,
      capture_output=True,
      text=True,
      check=True,
    )
    text = re.sub(r"\x1b\[[0-9;]*m", "", result.stdout)
    assert not {x for x in options if x not in text}, command


_VERBS = ("create", "describe", "delete", "ssh", "scp", "rsync")
