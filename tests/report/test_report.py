"""The report as a whole: what is in its folder and in its text."""

import json
import re
import shutil

import numpy as np
import pytest
import soundfile
from made_results import make_rows, write_evaluation, write_lines

from distortion_removal.common.errors import UserError
from distortion_removal.report import document
from distortion_removal.report.report import report

RATE = 8_000
LEVELS = (20.0, 30.0)
SCORES = {"distorted": [1.0, 2.0], "umx": [5.0, 6.0], "aspade": [3.0, 4.0]}


def _rows(scores=SCORES, **fields):
  by_level = {m: dict.fromkeys(LEVELS, column) for m, column in scores.items()}
  # Two metrics, that they may be drawn against each other.
  return [row | {"peaq": -2.0} for row in make_rows(by_level, **fields)]


def _sounds(folder, methods):
  """Sound files of one excerpt, and sounds.json's list of them."""
  audio = 0.1 * np.sin(0.3 * np.arange(RATE))
  entries = []
  for method in methods:
    levels = (None,) if method == "clean" else LEVELS
    for level in levels:
      path = folder / "sounds" / f"{method}_{level}.flac"
      path.parent.mkdir(exist_ok=True)
      soundfile.write(path, audio, RATE, subtype="PCM_24")
      entries.append(
        {
          "file": "test/0",
          "method": method,
          "level": level,
          "path": f"sounds/{path.name}",
          "scale": 1.0,
        }
      )
  (folder / "sounds.json").write_text(json.dumps(entries))


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
  """A run on CEG-HC with all that there may be, and one on CEG-OD without."""
  root = tmp_path_factory.mktemp("runs")
  card = {
    "level_name": "gain_db",
    "sample_rate": RATE,
    "left_out": {},
    "metrics_left_out": {"fad": "no weights"},
  }
  rows = _rows(task="hard_clip")
  failed = next(r for r in rows if r["method"] == "umx")
  failed |= {"error": "out of memory", "si_sdr": None, "peaq": None}
  folder = write_evaluation(root / "clip", rows, card=card)
  _sounds(folder, ["distorted", "umx", "clean"])
  timing = {
    "method": "umx",
    "device": "cpu",
    "batch": 1,
    "best": True,
    "seconds_per_second": 0.5,
    "peak_memory_bytes": 3_000_000,
    "task": "hard_clip",
    "dataset": "guitar",
    "sample_rate": RATE,
    "hardware": "a machine, 2 cores",
    "load_average": 1.25,
  }
  write_lines(root / "clip" / "timing.jsonl", [timing])
  card = {
    "level_name": "gain_db",
    "left_out": {"aspade": "does not undo SoX overdrive"},
  }
  rows = _rows({"distorted": [1.0, 2.0], "umx": [5.0, 6.0]})
  write_evaluation(root / "overdrive", rows[:-1], card=card)
  return [root / "clip", root / "overdrive"]


@pytest.fixture(scope="module")
def made(runs, tmp_path_factory):
  """The report's folder."""
  folder = tmp_path_factory.mktemp("made") / "a" / "report"
  path = report(runs, folder, command="the command")
  assert path == folder / "report.md"
  return folder


def test_the_folder_has_all_parts_and_nothing_else(made):
  names = {path.name for path in made.iterdir()}
  assert names == {"report.md", "tables", "figures", "page"}
  assert [path.name for path in made.parent.iterdir()] == ["report"]
  assert (made / "page" / "index.html").is_file()
  for suffix in ("md", "csv", "tex"):
    assert list((made / "tables").glob(f"*.{suffix}")), suffix
  for suffix in ("pdf", "png"):
    assert list((made / "figures").glob(f"*.{suffix}")), suffix


def test_the_sections(made):
  text = (made / "report.md").read_text()
  assert re.findall(r"^#+ .*$", text, re.M) == [
    "# Distortion removal: report",
    "## CEG-HC on guitar",
    "## CEG-OD on guitar",
    "## All tasks",
    "## Timing",
    "## Sounds",
    "## What is missing",
    "## How this was made",
  ]
  assert "2 excerpts at 8 kHz; gain: 20, 30 dB." in text
  assert "```bash\nthe command\n```" in text
  assert "- timed on a machine, 2 cores; load average up to 1.2" in text


def test_every_figure_is_shown_once_in_its_section(made):
  text = (made / "report.md").read_text()
  linked = re.findall(r"\]\(([^)]+)\)", text)
  assert all((made / path).is_file() for path in linked)
  figures = {f"figures/{p.name}" for p in (made / "figures").iterdir()}
  assert sorted(figures) == sorted(x for x in linked if x != "page/index.html")
  sections = dict(
    part.split("\n", 1) for part in re.split(r"^## ", text, flags=re.M)[1:]
  )
  shown = re.findall(r"!\[.*\]\(figures/(.*)\)", sections["CEG-HC on guitar"])
  assert "boxes_guitar_hard_clip.png" in shown
  assert not any("overdrive" in name for name in shown)
  shown = re.findall(r"!\[.*\]\(figures/(.*)\)", sections["All tasks"])
  assert shown == ["histograms.png"]


def test_what_is_missing_is_told_with_its_reason(made):
  text = (made / "report.md").read_text()
  missing = text.partition("## What is missing\n\n")[2].partition("\n\n")[0]
  assert set(missing.splitlines()) == {
    "- CEG-HC on guitar: FAD is left out: no weights.",
    "- CEG-HC on guitar: UMX failed on 1 degraded excerpt.",
    "- CEG-HC on guitar: not timed (--mode=time): A-SPADE.",
    "- CEG-OD on guitar: A-SPADE is left out: does not undo SoX overdrive.",
    "- CEG-OD on guitar: UMX lacks 1 degraded excerpt that others have.",
    "- CEG-OD on guitar: no sounds were kept (--config.listen_excerpts=8).",
    "- CEG-OD on guitar: not timed (--mode=time): UMX.",
  }


def test_the_tables_have_every_method(made):
  text = (made / "report.md").read_text()
  section = text.partition("## CEG-HC on guitar")[2].partition("\n## ")[0]
  for label in ("distorted", "UMX", "A-SPADE"):
    assert f"| {label} |" in section


def test_an_older_report_is_replaced_when_the_new_one_is_complete(
  runs, tmp_path, monkeypatch
):
  output = tmp_path / "report"
  report(runs[1:], output)
  before = (output / "report.md").read_text()
  assert "No listening page: there are no sounds" in before
  assert not (output / "page").exists()

  def fail(*_, **__):
    raise OSError(28, "No space left on device")

  monkeypatch.setattr(document, "markdown", fail)
  with pytest.raises(OSError, match="No space"):
    report(runs, output)
  assert (output / "report.md").read_text() == before
  assert [path.name for path in tmp_path.iterdir()] == ["report"]
  monkeypatch.undo()
  report(runs[:1], output)
  assert "CEG-OD" not in (output / "report.md").read_text()
  assert (output / "page").is_dir()


@pytest.mark.parametrize(
  ("options", "reason"),
  [
    ({"megabytes": 0.001}, r"does not fit, .* \(--page_megabytes\)"),
    ({"megabytes": 0.05, "seconds": 1.0}, r"has 0\.\d MB, more than"),
  ],
)
def test_without_a_page_that_is_too_large_the_rest_is_there(
  runs, tmp_path, options, reason
):
  report(runs[:1], tmp_path / "report", page_options=options)
  text = (tmp_path / "report" / "report.md").read_text()
  assert re.search(f"No listening page: the listening page .*{reason}", text)
  names = {path.name for path in (tmp_path / "report").iterdir()}
  assert names == {"report.md", "tables", "figures"}


def test_options_are_checked_before_any_work(tmp_path):
  for name in ("seconds", "excerpts", "megabytes"):
    with pytest.raises(UserError, match=f"--page_{name} .* above 0"):
      report([tmp_path / "no"], tmp_path / "report", page_options={name: 0})


def test_what_else_lies_there_is_not_lost(runs, tmp_path):
  output = tmp_path / "report"
  report(runs[1:], output)
  (output / "notes.txt").write_text("mine")
  with pytest.raises(UserError, match="holds other files"):
    report(runs[1:], output)
  assert (output / "notes.txt").read_text() == "mine"
  shutil.rmtree(output)
  output.mkdir()
  (output / "report.md").write_text("# My own report\n")
  with pytest.raises(UserError, match="holds other files"):
    report(runs[1:], output)


def test_mistakes(runs, tmp_path):
  with pytest.raises(UserError, match="no evaluation here"):
    report([tmp_path / "nowhere"], tmp_path / "report")
  assert not (tmp_path / "report").exists()
  (tmp_path / "file").write_text("")
  with pytest.raises(UserError, match="file is a file"):
    report(runs, tmp_path / "file")
