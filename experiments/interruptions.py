"""Kills and stops a tiny training at random moments, and compares its result.

  python experiments/interruptions.py --kills=50 --stops=5

Trains once without a break. Then it trains again and again with `kill -9` at
random moments, also while a checkpoint is written, or SIGTERM, and resumes each
time. A run that was interrupted has to end as the straight one to the bit:
parameters, average, optimiser, best weights and every line of metrics.jsonl but
its speeds. Every second run keeps its compiled programs by itself, as a run
does, the others share them. Writes report.md, steps.png and trials.jsonl.
"""

import json
import math
import random
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

# Also as a script, it is about the checkout that it lies in.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from matplotlib.figure import Figure

from distortion_removal.common.errors import (
  OneLineParser,
  UserError,
  one_line_errors,
)
from distortion_removal.common.files import write_whole
from distortion_removal.common.log import note, say
from distortion_removal.report.figures import drawing
from distortion_removal.report.tables.table import (
  RowGroup,
  Table,
  markdown_page,
)
from experiments import provenance
from experiments.interruption.training import (
  FIELDS,
  STOP_S,
  Training,
  Trial,
  differences,
  interrupt,
)

KINDS = {
  "start": "kill -9 while it starts",
  "train": "kill -9 while it trains",
  "save": "kill -9 while it saves",
  "stop": "SIGTERM while it trains",
}


def _parser() -> OneLineParser:
  parser = OneLineParser(
    prog="python experiments/interruptions.py",
    description="Interrupts a tiny training at random moments.",
    allow_abbrev=False,
  )
  add = parser.add_argument
  add("--kills", type=int, default=50, help="by kill -9 (50)")
  add("--stops", type=int, default=5, help="by SIGTERM (5)")
  add("--steps", type=int, default=240, help="of a run (240)")
  add("--per-run", type=int, default=10, help="interruptions, about (10)")
  add("--seed", type=int, default=0, help="of the moments (0)")
  add("--output", type=Path, default=Path("runs/interruptions"))
  return parser


def run(output: Path, kinds: Sequence[str], args: Any) -> list[Trial]:
  """Interrupts runs until all `kinds` were tried, and compares their ends."""
  rng, kinds = random.Random(args.seed), list(kinds)
  straight, shared = output / "straight", output / "compiled"
  training = Training(straight, args.steps, shared)
  # With the time to compile, and to render the data.
  first_s = training.wait(0.0, is_training=True) or 0.0
  begin = time.perf_counter()
  training.wait()
  train_s = time.perf_counter() - begin
  if training.status:
    raise UserError(f"{straight}: {training.logged().splitlines()[-1]}")
  trials, workdir, number, start_s = [], None, 0, first_s
  while len(trials) < len(kinds) or workdir:
    # The last run ends undisturbed.
    is_over = len(trials) == len(kinds)
    if workdir is None:
      number += 1
      workdir = output / f"run_{number}"
      compiled = None if number % 2 else shared
      if compiled is None:
        # Most of its programs are written by its first process.
        start_s = first_s
        _bring_forward(kinds, "start", len(trials))
    kind = "train" if is_over else kinds[len(trials)]
    longest_s = start_s if kind == "start" else train_s / args.per_run
    moment_s = math.inf if is_over else rng.uniform(0.0, longest_s)
    trial = interrupt(workdir, args.steps, compiled, kind, moment_s)
    start_s = trial["start_s"] or start_s
    if trial["kind"] != "end":
      trials.append(trial)
      note(f"{len(trials)} of {len(kinds)}: {json.dumps(trial)}")
      continue
    wrong = differences(straight, workdir)
    if trial["status"]:
      wrong.append(f"status {trial['status']}")
    note(f"{workdir.name}: {', '.join(wrong) or 'as without a break'}")
    for earlier in trials:
      if earlier["run"] == workdir.name:
        earlier["differences"] = wrong
    workdir = None
  return trials


def _bring_forward(kinds: list[str], kind: str, place: int) -> None:
  """Swaps the next `kind` from `place` on into that place, if there is one."""
  if kind in kinds[place:]:
    found = kinds.index(kind, place)
    kinds[place], kinds[found] = kinds[found], kinds[place]


def survived(trial: Trial) -> bool:
  """Returns whether an interruption cost no more than it may."""
  return trial["is_kept"] and not trial["differences"]


def table(trials: Sequence[Trial]) -> Table:
  """Makes the table of what was tried and survived."""
  rows = []
  for kind, label in (*KINDS.items(), ("", "all")):
    of_kind = [x for x in trials if kind in ("", x["kind"])]
    again = [x["taken"] - x["stored"] for x in of_kind]
    stops = [x["seconds"] for x in of_kind if x["kind"] == "stop"]
    rows.append(
      [
        label,
        str(len(of_kind)),
        str(sum(map(survived, of_kind))),
        str(max(again, default="")),
        f"{max(stops):.1f} s" if stops else "",
      ]
    )
  header = ["interruption", "tried", "survived", "steps lost", "to its end"]
  return Table(
    name="interruptions",
    caption="Interruptions of a training",
    header=header,
    sections=[RowGroup("", rows)],
    notes=[
      "Survived: every checkpoint is whole, none is older than before, and the "
      "run ends as without a break, to the bit. SIGTERM also has to end it "
      f"with status 0, within {STOP_S:g} s and with all steps stored.",
      f"A checkpoint every {FIELDS['checkpoint_every']} steps; the largest of "
      "steps lost and of seconds to the end.",
    ],
  )


@drawing.look()
def draw(trials: Sequence[Trial]) -> Figure:
  """Draws each try as a bar from the step it resumed at to its end."""
  figure = Figure(figsize=(drawing.TWO_COLUMNS, 3.4), layout="constrained")
  axis = figure.subplots()
  for k, (kind, label) in enumerate(KINDS.items()):
    of_kind = [(i, x) for i, x in enumerate(trials, 1) if x["kind"] == kind]
    if of_kind:
      numbers = [i for i, _ in of_kind]
      lows = [x["before"] for _, x in of_kind]
      tops = [x["taken"] for _, x in of_kind]
      axis.vlines(numbers, lows, tops, color=f"C{k}")
      axis.plot(numbers, tops, "o", color=f"C{k}", markersize=3, label=label)
  axis.set_xlabel("try")
  axis.set_ylabel("steps, from the checkpoint to the end")
  axis.grid()
  figure.legend(loc="outside upper center", ncols=2)
  return figure


def main(argv: Sequence[str] | None = None) -> None:
  """Runs the command line, see `--help`."""
  with one_line_errors():
    words = sys.argv[1:] if argv is None else argv
    args = _parser().parse_args(words)
    output = args.output.absolute()
    if output.exists():
      raise UserError(f"{output} exists; remove it or give another --output")
    output.mkdir(parents=True)
    rng = random.Random(args.seed)
    # One in five while it starts, which takes longer than these runs.
    kinds = ["start" if k % 5 == 4 else "train" for k in range(args.kills)]
    kinds += ["stop"] * args.stops
    rng.shuffle(kinds)
    trials = run(output, kinds, args)
    lines = (json.dumps(trial) + "\n" for trial in trials)
    write_whole(output / "trials.jsonl", "".join(lines))
    drawing.save(draw(trials), output / "steps.png")
    page = markdown_page("Interruptions", [table(trials)])
    page += f"\n{provenance.made_by(_parser().prog, words)}\n"
    page += "\n![steps of each try](steps.png)\n"
    write_whole(output / "report.md", page)
    say(page)


if __name__ == "__main__":
  main()
