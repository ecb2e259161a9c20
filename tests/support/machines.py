"""Stand-ins for gcloud and Slurm that do on this machine what is asked."""

import json
import os
import subprocess
import sys
from pathlib import Path

from conftest import ROOT

# Each program writes its words to $CALLS; then these lines run.
_GCLOUD = """
home = pathlib.Path(os.environ["CLOUD"])
state = home / "state"
option = dict(w.split("=", 1) for w in words if w.startswith("--") and "=" in w)
place = option.get("--worker", "0")
workers = [home / w for w in ("01" if place == "all" else place)]
if "create" in words:
  state.write_text("WAITING_FOR_RESOURCES")
  for worker in workers + [home / "1"]:
    worker.mkdir()
elif "describe" in words:
  print(state.read_text())
  if state.read_text() == "WAITING_FOR_RESOURCES":
    state.write_text("ACTIVE")
elif "delete" in words:
  for worker in (home / "0", home / "1"):
    shutil.rmtree(worker)
elif "scp" in words:
  source, target = (w for w in words[4:] if not w.startswith("--"))
  for worker in workers:
    shutil.copy(source, worker / target.split(":")[1])
elif "ssh" in words:
  command = option["--command"]
  if "tail" in command and (home / "preempt").exists():
    (home / "preempt").unlink()
    state.write_text("SUSPENDED")
    sys.exit(255)
  for worker in workers:
    env = os.environ | {"HOME": str(worker), "WORKER": worker.name}
    done = subprocess.run(["bash", "-c", command], cwd=worker, env=env)
    if done.returncode:
      sys.exit(done.returncode)
"""
# pip installs uv, which makes a Python, which fails once on each machine.
_PYTHON3 = """
uv = pathlib.Path(os.environ["HOME"], ".local/bin/uv")
uv.parent.mkdir(parents=True)
uv.write_text('''#!/bin/sh
[ "$1" = venv ] || exit 0
mkdir -p .venv/bin
cp "$FAKES/train" .venv/bin/python
''')
uv.chmod(0o755)
"""
_TRAIN = """
mark = pathlib.Path("failed once")
print("trained on", os.environ["WORKER"])
if not mark.exists():
  mark.touch()
  sys.exit(7)
"""
_SBATCH = """
script = next(i for i, w in enumerate(words) if not w.startswith("--"))
option = dict(w.split("=", 1) for w in words[:script] if "=" in w)
os.environ["SLURM_JOB_ID"] = str(os.getpid())
os.environ["TASKS"] = option["--ntasks-per-node"]
sys.exit(subprocess.run(["bash", *words[script:]]).returncode)
"""
_SRUN = """
count = int(os.environ["TASKS"])
tasks = [
  subprocess.Popen(
    words[1:],
    env=os.environ | {
      "SLURM_STEP_NODELIST": "localhost",
      "SLURM_STEP_NUM_NODES": "1",
      "SLURM_NTASKS": str(count),
      "SLURM_PROCID": str(k),
      "SLURM_LOCALID": str(k),
    },
  )
  for k in range(count)
]
pathlib.Path("tasks").write_text(" ".join(str(t.pid) for t in tasks))
sys.exit(max(task.wait() for task in tasks))
"""
_SCANCEL = """
for task in pathlib.Path("tasks").read_text().split():
  os.kill(int(task), signal.SIGTERM)
"""
_PROGRAMS = {
  "gcloud": _GCLOUD,
  "python3": _PYTHON3,
  "train": _TRAIN,
  "sbatch": _SBATCH,
  "srun": _SRUN,
  "scancel": _SCANCEL,
  "scontrol": "",
  "sudo": "",
  "gcsfuse": "",
  "mountpoint": "sys.exit(1)",
}
_START = """#!{python} -IS
import json, os, pathlib, shutil, signal, subprocess, sys
words = sys.argv[1:]
with open(os.environ["CALLS"], "a") as calls:
  calls.write(json.dumps([pathlib.Path(sys.argv[0]).name, *words]) + "\\n")
"""


class Machines:
  """The programs in a folder of their own, and what they are called with."""

  def __init__(self, folder: Path):
    self.folder, self._calls = folder, folder / "calls"
    self.cloud, fakes = folder / "cloud", folder / "fakes"
    for path in (self.cloud, fakes):
      path.mkdir()
    for name, text in _PROGRAMS.items():
      path = fakes / name
      path.write_text(_START.format(python=sys.executable) + text)
      path.chmod(0o755)
    self.env = os.environ | {
      "PATH": f"{fakes}:{os.environ['PATH']}",
      "CALLS": str(self._calls),
      "CLOUD": str(self.cloud),
      "FAKES": str(fakes),
      "TMPDIR": str(folder),
      "LAUNCH_POLL_S": "0.1",
      "RESTART_PAUSE_S": "0",
    }
    self.env.pop("PYTHON", None)  # make's, which the launchers would take

  def start(self, script: str, *words: str, **options) -> subprocess.Popen:
    """Starts a script of experiments/ in the folder."""
    return subprocess.Popen(
      ["bash", str(ROOT / "experiments" / script), *words],
      cwd=self.folder,
      env=self.env | options.pop("env", {}),
      stdout=subprocess.PIPE,
      stderr=subprocess.PIPE,
      text=True,
      **options,
    )

  def run(self, script: str, *words: str, env=()) -> tuple[int, str, str]:
    """Returns its status and what it prints and reports."""
    process = self.start(script, *words, env=dict(env))
    output, errors = process.communicate(timeout=120)
    return process.returncode, output, errors

  def calls(self, name: str) -> list[list[str]]:
    """Lists the words that a program was called with."""
    if not self._calls.exists():
      return []
    rows = map(json.loads, self._calls.read_text().splitlines())
    return [words for program, *words in rows if program == name]
