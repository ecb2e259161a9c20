"""Runs the tests of what must not go wrong, and draws their numbers.

  python experiments/robustness.py

The tests read bad files, train the same batches on several devices and
processes, and kill one of these. Trainings that were interrupted are read from
the folder of experiments/interruptions.py, which runs first if there is none.
Writes report.md, robustness.png, pytest's tests.xml and its output, tests.log.
"""

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple
from xml.etree import ElementTree

# Also as a script, it is about the checkout that it lies in.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from distortion_removal.common.errors import (
  OneLineParser,
  UserError,
  one_line_errors,
)
from distortion_removal.common.files import write_whole
from distortion_removal.common.log import note, say
from distortion_removal.report.figures import drawing
from distortion_removal.report.methods import method_label
from distortion_removal.report.tables.table import (
  RowGroup,
  Table,
  markdown_page,
)
from experiments import interruptions, provenance
from experiments.interruption.training import ROOT, Trial

TESTS = (
  "tests/audio/test_hostile_files.py",
  "tests/audio/test_fuzzing.py",
  "tests/training/test_spread.py::test_the_same_parameters_after_20_steps",
  "tests/multihost/test_two_processes.py"
  "::test_a_killed_process_costs_the_run_nothing",
)
LARGEST_DEVIATION = 1e-5
_LEAST_DRAWN = 1e-9
_GOOD, _TRIED, _BAD = "C0", "#D8D8D8", "C3"
_TIMES = "\N{MULTIPLICATION SIGN}"
_AXIS = f"processes {_TIMES} devices of each"


class Findings(NamedTuple):
  """Numbers that the tests publish by pytest's `record_property`."""

  inputs: dict[str, tuple[int, int]]  # tried and mishandled, by kind
  comparisons: list[dict[str, Any]]  # see tests/training/test_spread.py
  failed: list[str]  # tests
  skipped: list[str]  # tests, each with its reason


def _parser() -> OneLineParser:
  parser = OneLineParser(
    prog="python experiments/robustness.py",
    description="Counts what interruptions and bad files do, and draws it.",
    allow_abbrev=False,
  )
  add = parser.add_argument
  add(
    "--interruptions",
    type=Path,
    default=Path("runs/interruptions"),
    metavar="FOLDER",
    help="of experiments/interruptions.py, run if missing (runs/interruptions)",
  )
  add("--output", type=Path, default=Path("runs/robustness"))
  return parser


def run_tests(output: Path) -> Findings:
  """Runs the tests, also those that fail, and reads what they publish."""
  file, log = output / "tests.xml", output / "tests.log"
  command = [sys.executable, "-m", "pytest", *TESTS, f"--junitxml={file}"]
  # The slow ones, too; properties are no part of the newer format.
  options = ("addopts=", "junit_family=xunit1")
  command += [word for option in options for word in ("-o", option)]
  note(f"runs the tests, see {log}")
  with log.open("wb") as target:
    result = subprocess.run(
      command, cwd=ROOT, stdout=target, stderr=target, check=False
    )
  if result.returncode not in (0, 1) or not file.exists():
    raise UserError(f"{log}: the tests do not run; install the extra `test`")
  return read_tests(file)


def read_tests(file: Path) -> Findings:
  """Reads JUnit's XML as pytest writes it."""
  found = Findings({}, [], [], [])
  for test in ElementTree.parse(file).getroot().iter("testcase"):
    name = test.get("name", "")
    if test.find("failure") is not None or test.find("error") is not None:
      found.failed.append(name)
    if (skipped := test.find("skipped")) is not None:
      found.skipped.append(f"{name}: {skipped.get('message')}")
    for entry in test.iter("property"):
      value = json.loads(entry.get("value", ""))
      if entry.get("name") == "comparison":
        found.comparisons.append(value)
      else:
        tried, mishandled = found.inputs.get(value["kind"], (0, 0))
        counts = tried + value["tried"], mishandled + value["mishandled"]
        found.inputs[value["kind"]] = counts
  return found


def read_trials(folder: Path) -> tuple[list[Trial], str]:
  """Reads a run of experiments/interruptions.py, and what made it."""
  file = folder / "trials.jsonl"
  if not file.exists():
    raise UserError(
      f"{file}: not there; finish experiments/interruptions.py, or remove the "
      "folder to run it from here"
    )
  lines = file.read_text().splitlines()
  report = (folder / "report.md").read_text().splitlines()
  made = [line for line in report if line.startswith("Made by ")]
  return [json.loads(line) for line in lines], " ".join(made)


def inputs_table(findings: Findings) -> Table:
  """Makes the table of bad inputs by kind."""
  counts = findings.inputs
  totals = [sum(x[i] for x in counts.values()) for i in range(2)]
  rows = [
    [kind, *map(str, x)] for kind, x in (*counts.items(), ("all", totals))
  ]
  notes = [
    "Mishandled: neither read as it should be nor refused in one line; if "
    "damaged at random, also two seconds for one, 64 MiB of growth, and the "
    "end of the process, which ends the test and counts once.",
    *(f"Not run: {line}" for line in findings.skipped),
    *(f"Failed: {name}" for name in findings.failed),
  ]
  header = ["input", "tried", "mishandled"]
  return Table(
    "inputs", "Hostile audio files", header, [RowGroup("", rows)], notes
  )


def by_case(findings: Findings) -> dict[str, dict[str, float]]:
  """Returns the deviations by processes and devices, then by network."""
  found: dict[str, dict[str, float]] = {}
  for row in findings.comparisons:
    case = f"{row['processes']} {_TIMES} {row['devices']}"
    case = ", ".join(filter(None, (case, row["case"])))
    found.setdefault(case, {})[row["network"]] = row["deviation"]
  return found


def spread_table(findings: Findings) -> Table:
  """Makes the table of deviations by processes and devices, and by network."""
  cases = by_case(findings)
  networks = list(dict.fromkeys(x["network"] for x in findings.comparisons))
  largest = {
    name: max(x[name] for x in cases.values() if name in x) for name in networks
  }
  rows = [
    [case, *(f"{x[name]:.1e}" if name in x else "" for name in networks)]
    for case, x in (cases | {"largest": largest}).items()
  ]
  notes = [
    "Relative, in the L2 norm, of the array that deviates most after 20 steps, "
    f"from one device; {LARGEST_DEVIATION:g} is allowed. Two processes take "
    "four steps, and are compared with one that has their devices.",
    "remat: blocks computed again in the backward pass; parts: of a batch, one "
    f"after the other. No deviation at all is drawn at {_LEAST_DRAWN:g}.",
  ]
  return Table(
    name="spread",
    caption="Deviation of parameters and batch statistics",
    header=[_AXIS, *map(method_label, networks)],
    sections=[RowGroup("", rows)],
    notes=notes,
  )


def _bars(axis: Axes, counts: dict[str, tuple[int, int]], color: str) -> None:
  """Draws what was tried, and before it how many of these are counted."""
  places = range(len(counts))
  for column, shade in enumerate((_TRIED, color)):
    lengths = [x[column] for x in counts.values()]
    axis.barh(places, lengths, 0.8 - 0.3 * column, color=shade)
  for place, (tried, some) in enumerate(counts.values()):
    text = f" {some} of {tried:,}"
    axis.text(tried, place, text, va="center", fontsize=7.0)
  axis.set_yticks(places, list(counts))
  axis.invert_yaxis()
  axis.margins(x=0.35)


@drawing.look()
def draw(trials: Sequence[Trial], findings: Findings) -> Figure:
  """Draws interruptions, bad inputs, and deviations by devices and network."""
  figure = Figure(figsize=(drawing.TWO_COLUMNS, 5.2), layout="constrained")
  axes = figure.subplot_mosaic("ab;cc")
  counts = {}
  for kind, label in interruptions.KINDS.items():
    of_kind = [x for x in trials if x["kind"] == kind]
    if of_kind:
      survived = sum(map(interruptions.survived, of_kind))
      counts[label] = len(of_kind), survived
  _bars(axes["a"], counts, _GOOD)
  axes["a"].set_title("interruptions survived")
  _bars(axes["b"], findings.inputs, _BAD)
  axes["b"].set_title("hostile files mishandled")
  # One that is mishandled shall be seen among thousands.
  axes["b"].set_xscale("log")
  largest = max((tried for tried, _ in findings.inputs.values()), default=1)
  axes["b"].set_xticks([1, 100, 10_000], ["1", "100", "10,000"])
  axes["b"].set_xlim(0.5, 150 * largest)
  _dots(axes["c"], by_case(findings))
  drawn = axes["c"].get_legend_handles_labels()
  figure.legend(*drawn, loc="outside lower center", ncols=5)
  return figure


def _dots(axis: Axes, cases: dict[str, dict[str, float]]) -> None:
  """Draws deviations, networks side by side, with the one that is allowed."""
  networks = list(dict.fromkeys(name for x in cases.values() for name in x))
  top = LARGEST_DEVIATION
  for k, name in enumerate(networks):
    found = {i: x[name] for i, x in enumerate(cases.values()) if name in x}
    places = [i + 0.1 * (k - (len(networks) - 1) / 2) for i in found]
    drawn = [max(x, _LEAST_DRAWN) for x in found.values()]
    axis.plot(places, drawn, "o", markersize=4, label=method_label(name))
    top = max(top, *drawn)
  axis.axhline(LARGEST_DEVIATION, color="k", linestyle="--", label="allowed")
  axis.set_yscale("log")
  axis.yaxis.set_major_formatter("{x:g}")
  axis.set_ylim(_LEAST_DRAWN / 2, 5 * top)
  axis.set_xlim(-0.5, len(cases) - 0.5)
  axis.set_xticks(range(len(cases)), [x.replace(", ", "\n", 1) for x in cases])
  axis.set_xlabel(_AXIS)
  axis.set_ylabel("largest relative deviation")
  axis.grid(axis="y")


def main(argv: Sequence[str] | None = None) -> None:
  """Runs the command line, see `--help`."""
  with one_line_errors():
    words = sys.argv[1:] if argv is None else argv
    args = _parser().parse_args(words)
    output = args.output.absolute()
    if output.exists():
      raise UserError(f"{output} exists; remove it or give another --output")
    if not args.interruptions.exists():
      interruptions.main([f"--output={args.interruptions}"])
    trials, made = read_trials(args.interruptions)
    output.mkdir(parents=True)
    findings = run_tests(output)
    drawing.save(draw(trials, findings), output / "robustness.png")
    tables = [
      interruptions.table(trials),
      inputs_table(findings),
      spread_table(findings),
    ]
    page = markdown_page("Robustness", tables)
    page += f"\n{provenance.made_by(_parser().prog, words)}\n"
    page += f"\nInterruptions: {made}\n\n![all three](robustness.png)\n"
    write_whole(output / "report.md", page)
    say(page)
    if findings.failed:
      raise UserError(f"{output / 'tests.log'}: a test failed, see there")


if __name__ == "__main__":
  main()
