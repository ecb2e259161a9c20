"""Evaluation: every test excerpt × level × method, one JSON line each.

    plan     decides what is evaluated, and what its scores depend on
    run      excerpts → methods → metrics, stored as they come
    store    the stored scores
    results  stored scores → results.jsonl, tables and sounds

Where several processes evaluate together, each works on its share of the
excerpts, and the first one writes the results. They must share the folder.
"""

from pathlib import Path

import ml_collections

from distortion_removal.common import devices
from distortion_removal.common.errors import UserError
from distortion_removal.datasets import opening
from distortion_removal.evaluation.plan import find_run, make_plan
from distortion_removal.evaluation.results import write_results
from distortion_removal.evaluation.run import score_missing
from distortion_removal.report import failures
from distortion_removal.training import shipped


def evaluate(
  workdir: Path, config: ml_collections.ConfigDict | None = None
) -> Path:
  """Scores a run, and methods without a network, on a test split.

  Writes results.jsonl, a table and a plot for each metric and sounds to listen
  to, and prints the tables. Metrics of sets go to systems.jsonl, a line for
  each method and level.

  Scores are stored as they come: the same command goes on where another was
  stopped, and computes nothing again that has not changed. A method that fails
  on an excerpt has rows with an `error` and no scores; the next command tries
  it again.

  Args:
    workdir: the run's folder; its model, weights and chunking are used. A model
      file, or a shipped model's name, becomes a run in runs/.
    config: names the data set, task, metrics and baselines if they are not the
      run's own. If it has no network, there need not be a run.

  Returns:
    The results' folder.

  Raises:
    UserError: no run, no data set, or the data set has another sample rate or
      channel count than the model; or a method failed on every excerpt.
  """
  workdir = shipped.as_run(workdir)
  run, config = find_run(workdir, config)
  source = opening.read_split(opening.open_dataset(config.data), "test")
  plan = make_plan(workdir, config, run, source)
  score_missing(plan, source)
  devices.wait_for_all("evaluation scored")
  rows = write_results(plan) if devices.is_main_process() else []
  devices.wait_for_all("evaluation completed")
  for name, error in failures.total_failures(rows).items():
    raise UserError(
      f"{name} failed on every excerpt ({error}); see "
      f"{plan.folder / 'results.jsonl'}"
    )
  return plan.folder
