"""Makes the paper's figures and tables of a task, from recordings on.

  python experiments/reproduce.py --task=ceg_overdrive --path=MY_GUITAR
  python experiments/reproduce.py --task=signaltrain
  python experiments/reproduce.py --task=ceg_hard_clip --smoke

Prepares the recordings, trains the networks, scores them, the ideal ratio mask
and A-SPADE at every level, times them all and writes a report. Each stage is a
command of its own, which is printed; what is finished is skipped, and what was
interrupted resumes. `--smoke` is the same in minutes, on synthetic data.
"""

import sys
from collections.abc import Sequence
from pathlib import Path

# Also as a script, it is about the checkout that it lies in.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from distortion_removal.common.errors import (
  OneLineParser,
  UserError,
  one_line_errors,
)
from distortion_removal.common.log import say
from experiments.reproduction import chain, running


def _parser() -> OneLineParser:
  parser = OneLineParser(
    prog="python experiments/reproduce.py",
    description="Makes the paper's figures and tables, from recordings on.",
    allow_abbrev=False,
  )
  add = parser.add_argument
  add("--task", required=True, choices=chain.BASELINES)
  add("--path", default="", help="the recordings: a folder, or an archive")
  add("--dataset", default="", help="in place of the task's own: audio_folder")
  add("--data-dir", default="", help="where data sets lie (data/DATASET)")
  add("--networks", default="", help="demucs,wave_unet,crafx,umx (the paper's)")
  add("--workdir", help="gets all results (runs/reproduce)")
  add("--smoke", action="store_true", help="minutes, on synthetic data")
  add("--dry-run", action="store_true", help="only print the commands")
  add(
    "overrides",
    nargs="*",
    metavar="-- --config.FIELD=VALUE",
    help="fields of all configurations",
  )
  return parser


def _options(argv: Sequence[str] | None) -> tuple[chain.Options, bool]:
  """Reads the options, and whether only to print the commands."""
  given = vars(_parser().parse_args(argv))
  is_dry = given.pop("dry_run")
  if given["smoke"] and (given["path"] or given["dataset"]):
    raise UserError("--smoke takes no recordings: leave out --path, --dataset")
  default = "runs/reproduce_smoke" if given["smoke"] else "runs/reproduce"
  given["workdir"] = Path(given["workdir"] or default)
  names = given["networks"].split(",") if given["networks"] else ()
  given["networks"] = tuple(dict.fromkeys(names))
  given["overrides"] = tuple(given["overrides"])
  return chain.Options(**given), is_dry


def main(argv: Sequence[str] | None = None) -> None:
  """Runs the command line, see `--help`."""
  with one_line_errors():
    options, is_dry = _options(argv)
    stages = chain.stages(options)
    if is_dry:
      for k, stage in enumerate(stages, 1):
        say(f"[{k}/{len(stages)}] {stage.title}")
        say(f"  {running.to_text(stage)}")
      return
    running.run(stages, options.workdir / options.task / "finished.json")


if __name__ == "__main__":
  main()
