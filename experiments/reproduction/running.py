"""Runs stages, each as a process, and remembers which are done."""

import json
import os
import shlex
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from distortion_removal.common.errors import UserError
from distortion_removal.common.files import write_whole
from distortion_removal.common.log import say
from experiments.reproduction.chain import Stage

ROOT = Path(__file__).resolve().parents[2]


def run(stages: Sequence[Stage], record_file: Path) -> None:
  """Runs the stages that are not finished; the last one always.

  A stage is finished if its result is there and the same command made it. One
  that runs makes the later ones of its subject run, too.

  Args:
    stages: in order.
    record_file: the commands of finished stages by title; made with its folder.

  Raises:
    UserError: a command failed, and the message names it; or the record is
      damaged.
  """
  record = {}
  if record_file.exists():
    try:
      record = json.loads(record_file.read_text())
    except ValueError:
      raise UserError(
        f"{record_file}: damaged; remove it, and finished stages run again"
      ) from None
  record_file.parent.mkdir(parents=True, exist_ok=True)
  for k, stage in enumerate(stages):
    head = f"[{k + 1}/{len(stages)}] {stage.title}"
    if k < len(stages) - 1 and is_finished(stage, record):
      say(f"{head}: finished before")
      continue
    say(f"{head}\n  {to_text(stage)}")
    for later in stages[k:]:
      if stage.subject in ("", later.subject):
        record.pop(later.title, None)
    _write(record_file, record)
    if status := _call([sys.executable, "-m", *stage.command]):
      raise UserError(
        f"{head} stopped with status {status}: {to_text(stage)}; once it can "
        "go on, the same command resumes"
      )
    record[stage.title] = list(stage.command)
    _write(record_file, record)


def is_finished(stage: Stage, record: Mapping[str, list[str]]) -> bool:
  """Checks whether the stage's result is there, made by its command."""
  is_recorded = record.get(stage.title) == list(stage.command)
  return stage.result.exists() and (is_recorded or not stage.is_recorded)


def to_text(stage: Stage) -> str:
  """Returns the command line of a stage, for people and their shells."""
  return f"python -m {shlex.join(stage.command)}"


def _call(command: Sequence[str]) -> int:
  """Runs a command, which may end in its own way when it is interrupted.

  Returns its status, 143 where it was stopped and succeeded in that.
  """
  path = os.pathsep.join(filter(None, (str(ROOT), os.getenv("PYTHONPATH"))))
  with subprocess.Popen(
    command, env=os.environ | {"PYTHONPATH": path}
  ) as process:
    # A terminal interrupts both: training then stores where it is.
    stopped = []

    def stop(*_: object) -> None:
      stopped.append(128 + signal.SIGTERM)
      process.terminate()

    before = {
      signal.SIGINT: signal.signal(signal.SIGINT, signal.SIG_IGN),
      signal.SIGTERM: signal.signal(signal.SIGTERM, stop),
    }
    try:
      return process.wait() or sum(stopped[:1])
    finally:
      for kind, handler in before.items():
        signal.signal(kind, handler)


def _write(file: Path, record: Mapping[str, list[str]]) -> None:
  write_whole(file, json.dumps(record, indent=2) + "\n")
