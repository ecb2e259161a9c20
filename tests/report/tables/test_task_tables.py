"""The tables of a report: their cells, their notes, and every number as CSV."""

import csv
import dataclasses

import numpy as np
import pytest
from made_results import make_results, make_rows, make_timing, write_evaluation
from matplotlib.image import imread

from distortion_removal.report import results
from distortion_removal.report.analysis import studies
from distortion_removal.report.overview import write_overview
from distortion_removal.report.tables import (
  cells,
  table,
  timing_table,
  write_tables,
)
from distortion_removal.report.tables.task_tables import (
  all_tables,
  comparison_table,
  level_table,
  mean_table,
  overview,
)

GAP, STAR = "\N{EN DASH}", "\N{ASTERISK OPERATOR}"
N = range(1, 9)
# Eight excerpts at two levels. Demucs gains 11, 12, ... 18 dB on them.
LINES = {"distorted": (0, 1), "demucs": (10, 2), "ideal_ratio_mask": (5, 1.5)}
SCORES = {
  method: {20.0: [a + b * i for i in N], 50.0: [a - 1 + b * i for i in N]}
  for method, (a, b) in LINES.items()
}
FAD = {"distorted": [3, 9, 5.5], "demucs": [1, 2, 1.25]}
SYSTEMS = [
  {"dataset": "guitar", "task": "overdrive", "method": method, "gain_db": level}
  | {"fad": fad, "fad_windows": [8 if level else 16, 8]}
  for method, numbers in FAD.items()
  for level, fad in zip((20.0, 50.0, None), numbers, strict=True)
]


def _study(folder, rows=None, systems=SYSTEMS, **card):
  card = {"left_out": {"aspade": "does not undo it"}} | card
  rows = rows or make_rows(SCORES)
  write_evaluation(folder, rows, systems=systems, card=card)
  (found,) = studies(results.load([folder]))
  return found


@pytest.fixture(scope="module")
def study(tmp_path_factory):
  return _study(tmp_path_factory.mktemp("run"))


def _lines(made):
  """The table's lines from the header on."""
  return table.markdown(made).splitlines()[2:]


def test_overview_beside_the_paper(study):
  made = overview(study)
  assert "CEG-OD on guitar, 8 excerpts" in made.caption
  assert _lines(made)[0] == "| method | excerpts | SI-SDR / dB ↑ | FAD ↓ |"
  assert _lines(made)[2:10] == [
    "| *your data set guitar* |  |  |  |",
    "| distorted | 8 | 4.00 [2.00, 6.00] | 5.50 |",
    f"| Demucs | 8 | 18.50 [14.75, 22.25]{STAR} | 1.25 |",
    f"| A-SPADE | {GAP} | {GAP} | {GAP} |",
    f"| ideal ratio mask | 8 | 11.25 [8.38, 14.12]{STAR} | n/a |",
    "| *Imort et al. 2022, their internal guitar* |  |  |  |",
    "| distorted |  | 3.33 [1.70, 4.62] | 22.46 |",
    "| Demucs |  | 37.91 [34.46, 40.05] | 0.589 |",
  ]
  notes = " ".join(made.notes)
  for words in (
    "best baseline by median (SI-SDR: distorted)",
    "From 8 (a level) to 16 (all) windows of each method; 8 of the clean",
    f"A-SPADE is left out ({GAP}): does not undo it.",
    "ideal ratio mask: an oracle",
    "SI-SDR: mean kept. FAD: VGGish.",
    "their internal guitar, 16 kHz, mono: other recordings than guitar",
  ):
    assert words in notes


def test_medians_by_level(study):
  made = level_table(study, "si_sdr")
  assert _lines(made)[0] == "| method | 20 dB | 50 dB | all |"
  assert _lines(made)[2:5] == [
    "| distorted | 4.50 [2.75, 6.25] | 3.50 [1.75, 5.25] | 4.00 [2.00, 6.00] |",
    "| Demucs | 19.00 [15.50, 22.50] | 18.00 [14.50, 21.50] "
    f"| 18.50 [14.75, 22.25]{STAR} |",
    f"| A-SPADE | {GAP} | {GAP} | {GAP} |",
  ]
  assert _lines(level_table(study, "fad"))[2:4] == [
    "| distorted | 3.00 | 9.00 | 5.50 |",
    "| Demucs | 1.00 | 2.00 | 1.25 |",
  ]


def test_an_evaluation_has_a_table_and_a_plot_of_each_metric(tmp_path):
  folder = write_evaluation(tmp_path, make_rows(SCORES), systems=SYSTEMS)
  text = write_overview(folder)
  assert (folder / "table.md").read_text(encoding="utf-8") == text
  lines = text.splitlines()
  assert "| Demucs | 19.00 | 18.00 | 18.50 |" in lines
  assert "| Demucs | 1.00 | 2.00 | 1.25 |" in lines
  for name in ("si_sdr", "fad"):
    assert imread(folder / f"{name}.png").shape[1] == 7.0 * 300


def test_means_beside_the_papers(tmp_path):
  scores = {"distorted": {1.0: [1.0, 3.0], 2.0: [4.0, 5.0]}}
  place = {"task": "hard_clip_sdr", "dataset": "signaltrain"}
  rows = make_rows(scores, level_name="input_sdr_db", **place)
  card = {"level_name": "input_sdr_db", "sample_rate": 44_100}
  found = _study(tmp_path, rows, systems=(), **card)
  made = mean_table(found, "si_sdr")
  assert _lines(made)[2:7] == [
    "| *your data set signaltrain* |  |  |  |",
    "| distorted | 2.00 ± 1.00 | 4.50 ± 0.50 | 3.25 ± 0.75 |",
    f"| A-SPADE | {GAP} | {GAP} | {GAP} |",
    "| *Imort et al. 2022, SignalTrain* |  |  |  |",
    "| distorted | 1.89 |  |  |",
  ]
  notes = " ".join(made.notes)
  assert "the same corpus" in notes and "signaltrain is at 44.1 kHz" in notes


def test_comparisons(study):
  ps = {0.0004: "<0.001", 0.0461: "0.046", np.nan: "n/a"}
  assert [cells.p_value(p) for p in ps] == list(ps.values())
  ps = (0.0009, 0.001, 0.0101, 0.05, 1.0, np.nan)
  assert [len(cells.stars(p)) for p in ps] == [3, 2, 1, 0, 0, 0]
  # All eight of one sign: p = 2 / 2^8, and twice that.
  assert _lines(comparison_table(study))[2:5] == [
    "| *SI-SDR / dB ↑* |  |  |  |  |  |",
    f"| Demucs | distorted | 8 | 14.50 | 0.008 | 0.016{STAR} |",
    f"| ideal ratio mask | distorted | 8 | 7.25 | 0.008 | 0.016{STAR} |",
  ]


def test_each_metric_has_a_best_baseline_of_its_own():
  scores = {
    "si_sdr": {"aspade": np.full((12, 7), 50.0)},
    "peaq": {"distorted": np.zeros((12, 7))},
    "r_nonlin": {"demucs": np.full((12, 7), np.nan)},
  }
  (found,) = studies([make_results(task="tanh", scores=scores)])
  named = "(SI-SDR: A-SPADE; PEAQ ODG: distorted; R_nonlin: A-SPADE)"
  assert named in " ".join(comparison_table(found).notes)
  made = overview(found)
  # A task that was not published has no rows of the paper.
  assert [section.title for section in made.sections] == [""]
  assert "Imort" not in table.markdown(made)
  # A method without any score has no number.
  assert "| Demucs | n/a |" in table.markdown(mean_table(found, "r_nonlin"))


def test_every_table_tells_what_is_lacking(tmp_path):
  rows = [row | {"r_nonlin": 0.5} for row in make_rows(SCORES)]
  distorted, demucs, mask = rows[:16], rows[16:32], rows[32:]
  for row in demucs[7:9]:  # of two excerpts
    row |= {"si_sdr": None, "r_nonlin": None, "error": "no memory"}
  distorted[0]["si_sdr"] = None
  reason = {"r_nonlin": None, "metric_errors": {"r_nonlin": "ValueError"}}
  distorted[1].update(reason)
  rows.remove(mask[0])
  del mask[1]["si_sdr"]
  found = _study(tmp_path, rows, metrics_left_out={"peaq": "unknown"})
  made = all_tables(found)
  assert [x.name.partition("overdrive_")[2] for x in made] == [
    *("overview", "si_sdr_median", "si_sdr_mean"),
    *("r_nonlin_median", "r_nonlin_mean", "fad", "comparisons"),
  ]
  for one in made:
    assert "2 of 8 excerpts failed for Demucs: see results.jsonl." in one.notes
    assert "Metrics failed on 1 of 8 excerpts" in " ".join(one.notes)
    assert "PEAQ ODG is left out: unknown." in one.notes
  lost = ["1 undefined score left out.", "2 scores not evaluated."]
  lost = {f"SI-SDR: {text}" for text in lost}
  others = {"R_nonlin: 1 undefined score left out."}
  others |= {"R_nonlin: 1 score not evaluated."}
  assert lost | others <= set(made[0].notes)
  assert set(made[1].notes) & (lost | others) == lost
  # A metric that failed is no failure of the method.
  (row,) = (x for x in made[0].sections[0].rows if x[0] == "distorted")
  assert row[1] == "8"


def _csv(path):
  with open(path, newline="", encoding="utf-8") as file:
    return list(csv.DictReader(file))


def test_every_number_is_in_the_csv(study, tmp_path):
  write_tables([study], tmp_path)
  rows = _csv(tmp_path / "guitar_overdrive.csv")

  def read(metric, method, level):
    place = {"metric": metric, "method": method, "level": level}
    own = [row for row in rows if place.items() <= row.items()]
    return {k: text for row in own for k, text in row.items() if text}

  analysis = study.analyses["si_sdr"]
  for k, level in enumerate(("20.0", "50.0", "all")):
    found = read("si_sdr", "demucs", level)
    summary = dataclasses.asdict(analysis.summaries["demucs"][k])
    del summary["count"]  # of the comparison there is one, too
    assert {k: repr(x) for k, x in summary.items()}.items() <= found.items()
  test = dataclasses.asdict(analysis.comparisons["demucs"])
  assert {k: str(x) for k, x in test.items()}.items() <= found.items()
  fad = read("fad", "demucs", "all")
  assert (fad["value"], fad["windows"]) == ("1.25", "[16, 8]")
  assert len(rows) == 3 * 3 + 2 + 2 * 3


def test_scored_rows_are_in_a_csv_with_all_their_columns(tmp_path):
  rows = [row | {"tomorrow's": [1, 2]} for row in make_rows(SCORES)]
  rows[0] |= {"today's": "ä", "metric_errors": {"r_nonlin": "bad"}}
  rows[1]["si_sdr"] = None
  write_tables([_study(tmp_path / "run", rows)], tmp_path / "tables")
  written = _csv(tmp_path / "tables" / "guitar_overdrive_rows.csv")
  assert len(written) == len(rows)
  values = {"si_sdr": "1", "compute_seconds": "0.25", "tomorrow's": "[1, 2]"}
  values |= {"metric_errors": '{"r_nonlin": "bad"}', "today's": "ä"}
  assert values.items() <= written[0].items()
  assert {"today's": "", "si_sdr": ""}.items() <= written[1].items()


def test_files(tmp_path):
  given = [
    make_results(files=2, metric_names=("si_sdr", "fad")),
    make_results(task="tanh", dataset="a & b", files=1, levels=(20.0,)),
    make_results(task="tanh", dataset="a b", metric_names=("sdr",), files=2),
  ]
  timings = [make_timing("demucs", 0.5), make_timing("aspade", 2.0)]
  folder = tmp_path / "new" / "tables"
  texts = write_tables(studies(given), folder, timings)
  names = {path.name for path in folder.iterdir()}
  pages = ["ceg_overdrive.md", "a_b_tanh.md", "a_b_tanh_2.md", "timing.md"]
  assert {name for name in names if name.endswith(".md")} == set(pages)
  for page, text in zip(pages, texts, strict=True):
    assert (folder / page).read_text(encoding="utf-8") == text
  kinds = ("overview", "comparisons", "fad", "si_sdr_median", "si_sdr_mean")
  assert {name for name in names if name.startswith("ceg_overdrive")} == {
    *("ceg_overdrive.md", "ceg_overdrive.csv", "ceg_overdrive_rows.csv"),
    *(f"ceg_overdrive_{kind}.tex" for kind in kinds),
  }
  # One score has no interval.
  assert "nan" not in (folder / "a_b_tanh.csv").read_text()
  assert timing_table(timings) in texts[-1]
  assert (folder / "timing.tex").is_file()
  timed = _csv(folder / "timing.csv")
  assert [row["method"] for row in timed] == ["demucs", "aspade"]
