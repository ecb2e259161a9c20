"""Evaluation: every test excerpt × level × method, one JSON line each.

    plan        what is evaluated, and what its scores depend on
    work        excerpts → methods → metrics, stored in parts as it goes
    completion  parts → results.jsonl and what lies beside it

Where several processes evaluate together, each works on its share of the
excerpts, and the first one completes. They must share the folder.
"""

from pathlib import Path

import ml_collections

from distortion_removal.common import devices
from distortion_removal.common.errors import UserError
from distortion_removal.common.log import logger
from distortion_removal.datasets import opening
from distortion_removal.effects import tasks
from distortion_removal.evaluation import (
  completion,
  excerpts,
  plan,
  previous,
  scoring,
)
from distortion_removal.evaluation.sounds import CLEAN
from distortion_removal.report import failures


def evaluate(
  workdir: Path, config: ml_collections.ConfigDict | None = None
) -> Path:
  """Scores a run, and methods without a network, on a test split.

  Writes results.jsonl, a table and a plot per metric and sounds to listen to,
  and prints the tables. Metrics of sets go to systems.jsonl, a line for each
  method and level; evaluation.json tells what was evaluated and sounds.json
  what there is to hear.

  What is scored is stored as it goes: the same command goes on where another
  was stopped. Nor does it do again what has not changed since it last came to
  its end. A method that fails on an excerpt has rows with an `error` and no
  scores; the next command tries it again.

  Args:
    workdir: of the run: its model, weights and chunking are used.
    config: names the data set, task, metrics and baselines if they are not the
      run's own. If it has no network, there need not be a run.

  Returns:
    The folder with the results, below `workdir`.

  Raises:
    UserError: no run, no data set, or the data set has another sample rate or
      channel count than the model; or a method failed on every excerpt.
  """
  run, config = plan.find_run(workdir, config)
  task = tasks.from_config(config.data)
  source = opening.read_split(opening.open_dataset(config.data), "test")
  planned = plan.make(workdir, config, run, task, excerpts.survey(source))
  kept = previous.load(planned)
  todo = [x for x in (CLEAN, *planned.methods) if x not in kept.methods]
  if todo:
    scoring.score(planned, source, todo)
  else:
    logger.info(
      "nothing has changed since the last evaluation; to do it again, remove "
      "%s",
      planned.folder,
    )
  devices.wait_for_all("evaluation scored")
  if devices.is_main_process():
    rows = completion.complete(planned, kept)
  devices.wait_for_all("evaluation completed")
  if devices.is_main_process():
    _check_not_all_failed(planned.folder, rows)
  return planned.folder


def _check_not_all_failed(folder: Path, rows: list[dict]) -> None:
  for name, error in failures.whole(rows).items():
    raise UserError(
      f"{name} failed on every excerpt ({error}); see "
      f"{folder / 'results.jsonl'}"
    )
