"""Scores declippers as the declipping survey did, on any folder of recordings.

  python experiments/declipping_survey.py --path=MY_RECORDINGS
  python experiments/declipping_survey.py --path=MY_RECORDINGS \
      --methods=nmf,aspade --output=runs/two

Takes the loudest seconds of each recording at a peak of 1, clips them to the
survey's seven input SDRs, declips them by each method and writes report.md,
scores.jsonl and figures, with the survey's own means beside. Each method is a
command of its own, which is printed; the same command resumes what was
interrupted, skips what is finished, and reports on all methods in the folder.
"""

import json
import os
import re
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

# Also as a script, it is about the checkout that it lies in.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from distortion_removal import declipping
from distortion_removal.common.errors import (
  OneLineParser,
  UserError,
  look_up,
  one_line_errors,
)
from distortion_removal.common.files import write_whole
from experiments.reproduction import running
from experiments.reproduction.chain import CONFIGS, MAIN, Stage
from experiments.survey import excerpts

_RATE = 44_100  # Hz, the survey's
_DATA = ("--dataset=audio_folder", "--task=hard_clip_sdr", "--channels=1")


def _parser() -> OneLineParser:
  parser = OneLineParser(
    prog="python experiments/declipping_survey.py",
    description="Scores declippers at the survey's seven input SDRs.",
    allow_abbrev=False,
  )
  add = parser.add_argument
  add("--path", required=True, help="folder of clean recordings")
  known = ",".join(declipping.DECLIPPERS)
  add("--methods", default=known, help=f"({known})")
  add("--output", type=Path, default=Path("runs/declipping_survey"))
  add("--excerpts-per-recording", type=int, default=1, help="at most (1)")
  add("--seconds", type=float, default=6.0, help="of an excerpt (6)")
  add("--sample-rate", type=int, default=_RATE, help=f"Hz ({_RATE})")
  add(
    "overrides",
    nargs="*",
    metavar="-- --config.FIELD=VALUE",
    help="fields of configs/declipping_survey.py, such as a method's options",
  )
  return parser


def stages(
  output: Path,
  methods: Sequence[str],
  *,
  seconds: float,
  sample_rate: int,
  overrides: Sequence[str] = (),
) -> list[Stage]:
  """Returns the commands that score the excerpts in `output` and report.

  Raises:
    UserError: an override is none, or there is no such method.
  """
  for word in overrides:
    if not re.match(r"--config\.\w.*=", word):
      raise UserError(
        f"{word!r}: only fields of the configuration may follow '--', such as "
        "--config.nmf.iterations=100"
      )
  for name in methods:
    look_up(dict.fromkeys(declipping.DECLIPPERS), "declipper", name)
  data_dir = output / "data"
  form = f"--sample-rate={sample_rate}", f"--excerpt-seconds={seconds:g}"
  prepare = Stage(
    "prepare the excerpts",
    (
      "distortion_removal.prepare",
      *(*_DATA, *form, f"--data-dir={data_dir}"),
      f"--path={output / excerpts.FOLDER}",
    ),
    data_dir,
  )
  common = (
    *(MAIN, "--mode=evaluate"),
    f"--config={os.path.relpath(CONFIGS / 'declipping_survey.py')}",
    f"--config.data.data_dir={data_dir}",
    f"--config.data.sample_rate={sample_rate}",
    f"--config.data.excerpt_seconds={float(seconds)}",
    "--config.listen_excerpts=0",
  )
  evaluate = [
    Stage(
      f"evaluate {name}",
      (
        *(*common, f"--workdir={output / 'methods' / name}"),
        f'--config.baselines=("{name}",)',
        *(*_options_at(name, sample_rate), *overrides),
      ),
      output / "methods" / name / "evaluation",
      name,
    )
    for name in methods
  ]
  report = ("experiments.survey.report", f"--output={output}")
  return [
    *(prepare, *evaluate),
    Stage("report", report, output / "report.md", "report"),
  ]


def _options_at(name: str, sample_rate: int) -> list[str]:
  """Returns a method's options where the survey's are for another rate."""
  if sample_rate == _RATE:
    return []
  options = declipping.options_at(name, sample_rate)
  return [f"--config.{name}.{key}={value}" for key, value in options.items()]


def main(argv: Sequence[str] | None = None) -> None:
  """Runs the command line, see `--help`."""
  with one_line_errors():
    words = sys.argv[1:] if argv is None else argv
    args = _parser().parse_args(words)
    form = {"seconds": args.seconds, "sample_rate": args.sample_rate}
    methods = list(dict.fromkeys(args.methods.split(",")))
    commands = stages(args.output, methods, **form, overrides=args.overrides)
    facts = excerpts.cut_folder(
      Path(args.path), args.output, **form, count=args.excerpts_per_recording
    )
    command = "python experiments/declipping_survey.py"
    facts |= {"command": f"{command} {shlex.join(words)}"}
    write_whole(args.output / "survey.json", json.dumps(facts, indent=1) + "\n")
    running.run(commands, args.output / "finished.json")


if __name__ == "__main__":
  main()
