"""The tables of a report: the very text, and every number in the CSV."""

import csv
import math
import time

import numpy as np
import pytest
from made_results import make_rows, write_evaluation
from synthetic_results import make_results

from distortion_removal import metrics
from distortion_removal.report import results
from distortion_removal.report import tables as summary
from distortion_removal.report.tables import by_level, cells, formats
from distortion_removal.report.tables.analysis import study
from distortion_removal.report.tables.task_tables import (
  all_tables,
  comparison_table,
  mean_table,
  median_table,
  overview,
  system_table,
)

GAP, STAR, TIMES = (
  by_level.GAP,
  "\N{ASTERISK OPERATOR}",
  "\N{MULTIPLICATION SIGN}",
)
N = range(1, 9)
# Eight excerpts at two levels. Demucs gains 11, 12, ... 18 dB on them.
SCORES = {
  "distorted": {20.0: [i for i in N], 50.0: [i - 1 for i in N]},
  "demucs": {20.0: [10 + 2 * i for i in N], 50.0: [9 + 2 * i for i in N]},
  "ideal_ratio_mask": {
    20.0: [5 + 1.5 * i for i in N],
    50.0: [4 + 1.5 * i for i in N],
  },
}
SYSTEMS = [
  {
    "dataset": "guitar",
    "method": method,
    "gain_db": level,
    "fad": fad,
    "fad_windows": [8 if level else 16, 8],
  }
  for method, numbers in {
    "distorted": [3, 9, 5.5],
    "demucs": [1, 2, 1.25],
  }.items()
  for level, fad in zip((20.0, 50.0, None), numbers, strict=True)
]
CARD = {"left_out": {"aspade": "does not undo it"}, "sample_rate": 16_000}


def _load(folder, *, task="overdrive", scores=SCORES, rows=None):
  rows = rows or make_rows(scores, task=task)
  systems = [row | {"task": task} for row in SYSTEMS]
  write_evaluation(folder, rows, systems=systems, card=CARD)
  (found,) = results.load([folder])
  return found


def _lines(table):
  return formats.markdown(table).splitlines()


def test_overview_beside_the_paper(tmp_path):
  found = study(_load(tmp_path), "x")
  table = overview(found)
  assert table.name == "x_overview"
  assert _lines(table)[:12] == [
    "**Scores over all levels: CEG-OD on guitar, "
    f"8 excerpts {TIMES} 2 levels**",
    "",
    "| method | excerpts | SI-SDR / dB ↑ | FAD ↓ |",
    "| --- | ---: | ---: | ---: |",
    "| *your data set guitar* |  |  |  |",
    "| distorted | 8 | 4.00 [2.00, 6.00] | 5.50 |",
    f"| Demucs | 8 | 18.50 [14.75, 22.25]{STAR} | 1.25 |",
    f"| A-SPADE | {GAP} | {GAP} | {GAP} |",
    f"| ideal ratio mask | 8 | 11.25 [8.38, 14.12]{STAR} | n/a |",
    "| *Imort et al. 2022, their internal guitar* |  |  |  |",
    "| distorted |  | 3.33 [1.70, 4.62] | 22.46 |",
    "| Demucs |  | 37.91 [34.46, 40.05] | 0.589 |",
  ]
  notes = " ".join(table.notes)
  assert "SI-SDR against distorted, the best baseline by median." in notes
  assert "From 8 (a level) to 16 (all) windows of each method; 8 of" in notes
  assert f"{GAP}: A-SPADE does not undo it." in notes
  assert "ideal ratio mask: an oracle" in notes
  assert "SI-SDR: mean kept." in notes
  assert "FAD: VGGish." in notes
  assert (
    "their internal guitar, 16 kHz, mono: other recordings than guitar"
    in (notes)
  )


def test_overview_of_a_task_that_was_not_published(tmp_path):
  found = study(_load(tmp_path, task="tanh"), "x")
  assert _lines(overview(found))[4].startswith("| distorted | 8 | 4.00")
  assert "Imort" not in formats.markdown(overview(found))


def test_medians_by_level(tmp_path):
  found = study(_load(tmp_path), "x")
  table = median_table(found, "si_sdr")
  assert table.name == "x_si_sdr_median"
  assert _lines(table)[:8] == [
    "**Median SI-SDR / dB ↑ by gain: CEG-OD on guitar, "
    f"8 excerpts {TIMES} 2 levels**",
    "",
    "| method | 20 dB | 50 dB | all |",
    "| --- | ---: | ---: | ---: |",
    "| distorted | 4.50 [2.75, 6.25] | 3.50 [1.75, 5.25] | 4.00 [2.00, 6.00] |",
    "| Demucs | 19.00 [15.50, 22.50] | 18.00 [14.50, 21.50] "
    f"| 18.50 [14.75, 22.25]{STAR} |",
    f"| A-SPADE | {GAP} | {GAP} | {GAP} |",
    "| ideal ratio mask | 11.75 [9.12, 14.38] | 10.75 [8.12, 13.38] "
    f"| 11.25 [8.38, 14.12]{STAR} |",
  ]


def test_means_with_their_intervals(tmp_path):
  found = study(_load(tmp_path), "x")
  table = mean_table(found, "si_sdr")
  # By the same draws at both levels, as the one is the other less 1.
  interval = found.analyses["si_sdr"].summaries["distorted"][0]
  half = f"{(interval.high - interval.low) / 2:.2f}"
  assert 1.0 < float(half) < 2.0
  assert _lines(table)[4] == (
    f"| distorted | 4.50 ± {half} | 3.50 ± {half} | 4.00 ± {half} |"
  )
  assert "Imort" not in formats.markdown(table)


def test_means_beside_the_papers(tmp_path):
  scores = {"distorted": {1.0: [1.0, 3.0], 2.0: [4.0, 5.0]}}
  rows = make_rows(
    scores,
    task="hard_clip_sdr",
    dataset="signaltrain",
    level_name="input_sdr_db",
  )
  write_evaluation(tmp_path, rows, card={"sample_rate": 44_100})
  (found,) = results.load([tmp_path])
  table = mean_table(study(found, "x"), "si_sdr")
  assert _lines(table)[:9] == [
    "**Mean SI-SDR / dB ↑ by input SDR: SignalTrain-HC on signaltrain, "
    f"2 excerpts {TIMES} 2 levels**",
    "",
    "| method | 1 dB | 2 dB | all |",
    "| --- | ---: | ---: | ---: |",
    "| *your data set signaltrain* |  |  |  |",
    "| distorted | 2.00 ± 1.00 | 4.50 ± 0.50 | 3.25 ± 0.75 |",
    "| *Imort et al. 2022, SignalTrain* |  |  |  |",
    "| distorted | 1.89 |  |  |",
    "| Demucs | 14.09 |  |  |",
  ]
  notes = " ".join(table.notes)
  assert (
    "the same corpus as signaltrain, though the excerpts may differ" in notes
  )
  assert "signaltrain is at 44.1 kHz" in notes


def test_a_metric_of_sets(tmp_path):
  found = study(_load(tmp_path), "x")
  table = system_table(found, "fad")
  assert table.name == "x_fad"
  assert _lines(table)[2:8] == [
    "| method | 20 dB | 50 dB | all |",
    "| --- | ---: | ---: | ---: |",
    "| distorted | 3.00 | 9.00 | 5.50 |",
    "| Demucs | 1.00 | 2.00 | 1.25 |",
    f"| A-SPADE | {GAP} | {GAP} | {GAP} |",
    "| ideal ratio mask | n/a | n/a | n/a |",
  ]


def test_comparisons(tmp_path):
  table = comparison_table(study(_load(tmp_path), "x"))
  # All eight of one sign: p = 2 / 2^8, and twice that.
  assert _lines(table)[2:8] == [
    "| method | against | pairs | median difference | p | p (Holm) |",
    "| --- | ---: | ---: | ---: | ---: | ---: |",
    "| *SI-SDR / dB ↑* |  |  |  |  |  |",
    f"| Demucs | distorted | 8 | 14.50 | 0.008 | 0.016{STAR} |",
    f"| ideal ratio mask | distorted | 8 | 7.25 | 0.008 | 0.016{STAR} |",
    "",
  ]
  notes = " ".join(table.notes)
  assert "SI-SDR against distorted, the best baseline by median." in notes
  assert f"{GAP}: A-SPADE does not undo it." in notes
  assert "ideal ratio mask: an oracle" in notes


def test_each_metric_has_a_best_baseline_of_its_own():
  scores = {"si_sdr": {"aspade": np.full((12, 3), 50.0)}}
  scores["peaq"] = {"distorted": np.zeros((12, 3))}
  given = make_results(
    task="hard_clip", levels=(20.0, 30.0, 40.0), scores=scores
  )
  found = study(given, "x")
  notes = " ".join(comparison_table(found).notes)
  assert (
    "SI-SDR against A-SPADE, PEAQ ODG against distorted, R_nonlin against "
    "A-SPADE, each the best baseline by median." in notes
  )


def test_metrics_that_could_not_be_computed_are_named():
  given = make_results(
    metric_names=("si_sdr",),
    metrics_left_out={"fad": "there are no weights", "new": "unknown"},
  )
  notes = overview(study(given, "x")).notes
  assert "FAD is left out: there are no weights." in notes
  assert "new is left out: unknown." in notes


def test_what_is_lacking_is_counted(tmp_path):
  rows = make_rows(SCORES)
  by_method = {
    name: [r for r in rows if r["method"] == name] for name in SCORES
  }
  for row in by_method["demucs"][:3]:
    row |= {"si_sdr": None, "error": "no memory"}
  by_method["distorted"][0]["si_sdr"] = None
  rows.remove(by_method["ideal_ratio_mask"][0])
  del by_method["ideal_ratio_mask"][1]["si_sdr"]
  table = median_table(study(_load(tmp_path, rows=rows), "x"), "si_sdr")
  of = f"of 16 excerpts {TIMES} levels, left out."
  assert f"Failed: Demucs 3 {of}" in table.notes
  assert f"SI-SDR undefined: distorted 1 {of}" in table.notes
  assert f"SI-SDR not evaluated: ideal ratio mask 2 {of}" in table.notes


def test_failures_are_counted_in_every_table(tmp_path):
  rows = make_rows(SCORES)
  failed = [row for row in rows if row["method"] == "demucs"][7:9]
  for row in failed:
    row |= {"si_sdr": None, "error": "no memory"}
  found = _load(tmp_path / "run", rows=rows)
  told = f"Failed: Demucs 2 of 16 excerpts {TIMES} levels, left out."
  made = all_tables(study(found, "x"))
  assert [table.name for table in made] == [
    *("x_overview", "x_si_sdr_median", "x_si_sdr_mean"),
    *("x_fad", "x_comparisons"),
  ]
  for table in made:
    assert told in table.notes, table.name
  summary.write_tables([found], tmp_path / "tables")
  counts = {
    (row["metric"], row["level"]): row["failed"]
    for row in _csv(tmp_path / "tables" / "guitar_overdrive.csv")
    if row["source"] == "evaluation" and row["method"] == "demucs"
  }
  assert counts == {
    (metric, level): count
    for metric in ("si_sdr", "fad")
    for level, count in {"20.0": "1", "50.0": "1", "all": "2"}.items()
  }


def test_a_metric_that_failed_is_undefined(tmp_path):
  rows = [row | {"r_nonlin": 0.5} for row in make_rows(SCORES)]
  rows[0] |= {"r_nonlin": None, "error": "r_nonlin: ValueError"}
  rows[1] |= {"r_nonlin": None, "metric_errors": {"r_nonlin": "ValueError"}}
  table = overview(study(_load(tmp_path, rows=rows), "x"))
  of = f"of 16 excerpts {TIMES} levels, left out."
  assert f"R_nonlin undefined: distorted 2 {of}" in table.notes
  assert not any(note.startswith("Failed") for note in table.notes)
  (row,) = (x for x in table.sections[0].rows if x[0] == "distorted")
  assert row[:3] == ["distorted", "8", "4.00 [2.00, 6.00]"]


def test_rows_are_in_a_csv_with_the_columns_that_nobody_knows(tmp_path):
  rows = [row | {"tomorrow's": [1, 2]} for row in make_rows(SCORES)]
  rows[0] |= {"today's": "ä", "metric_errors": {"r_nonlin": "bad"}}
  rows[1]["si_sdr"] = None
  found = _load(tmp_path / "run", rows=rows)
  summary.write_tables([found], tmp_path / "tables")
  written = _csv(tmp_path / "tables" / "guitar_overdrive_rows.csv")
  assert list(written[0]) == [
    *("dataset", "task", "file", "method", "gain_db", "si_sdr"),
    *("audio_seconds", "compute_seconds", "metric_seconds", "metric_errors"),
    *("tomorrow's", "today's"),
  ]
  assert len(written) == len(rows)
  assert list(written[0].values()) == [
    *("guitar", "overdrive", "test/0", "distorted", "20.0", "1"),
    *("2.0", "0.25", "0.5", '{"r_nonlin": "bad"}', "[1, 2]", "ä"),
  ]
  assert (written[1]["si_sdr"], written[1]["today's"]) == ("", "")


def test_a_method_that_always_fails_has_no_number(tmp_path):
  rows = make_rows(SCORES)
  for row in rows:
    if row["method"] == "demucs":
      row |= {"si_sdr": None, "error": "no memory"}
  found = study(_load(tmp_path, rows=rows), "x")
  assert "| Demucs | 0 | n/a | 1.25 |" in _lines(overview(found))
  assert "| Demucs | n/a | n/a | n/a |" in _lines(mean_table(found, "si_sdr"))


def _csv(path):
  with open(path, newline="", encoding="utf-8") as file:
    return list(csv.DictReader(file))


def test_every_number_is_in_the_csv(tmp_path):
  found = _load(tmp_path / "run")
  summary.write_tables([found], tmp_path / "tables")
  rows = _csv(tmp_path / "tables" / "guitar_overdrive.csv")
  own = [row for row in rows if row["source"] == "evaluation"]
  places = [(r["metric"], r["method"], r["level"]) for r in own]
  assert len(set(places)) == len(places) == (3 * 3 + 1) + (2 * 3 + 1)
  (row,) = (
    r
    for r in own
    if (r["metric"], r["method"], r["level"]) == ("si_sdr", "demucs", "all")
  )
  statistics = study(found, "x").analyses["si_sdr"]
  of_all = statistics.summaries["demucs"][-1]
  expected = {
    "dataset": "guitar",
    "task": "overdrive",
    "method_label": "Demucs",
    "unit": "dB",
    "direction": "higher",
    "level_name": "gain_db",
    "excerpts": "8",
    "scores": "16",
    "undefined": "0",
    "failed": "0",
    "missing": "0",
    "q1": "14.75",
    "median": "18.5",
    "q3": "22.25",
    "mean": "18.5",
    "mean_low": repr(of_all.low),
    "mean_high": repr(of_all.high),
    "value": "",
    "compared_with": "distorted",
    "pairs": "8",
    "median_difference": "14.5",
    "p": repr(2 / 2**8),
    "p_holm": repr(4 / 2**8),
    "left_out": "",
    "settings": "mean kept",
  }
  assert {name: row[name] for name in expected} == expected
  fad = [r for r in own if r["metric"] == "fad" and r["method"] == "demucs"]
  numbers = [(r["level"], r["value"], r["windows"]) for r in fad]
  assert numbers == [
    ("20.0", "1", "8"),
    ("50.0", "2", "8"),
    ("all", "1.25", "16"),
  ]
  gaps = [r for r in own if r["left_out"]]
  assert {(r["method"], r["left_out"]) for r in gaps} == {
    ("aspade", "does not undo it")
  }
  theirs = {
    (r["metric"], r["method"]): r
    for r in rows
    if r["source"] == "Imort et al. 2022"
  }
  assert theirs["si_sdr", "demucs"]["median"] == "37.908"
  assert theirs["fad", "crafx"]["value"] == "7.006"
  assert {r["dataset"] for r in theirs.values()} == {"their internal guitar"}


def test_files(tmp_path):
  given = [
    make_results(),
    make_results(task="tanh", dataset="a & b", files=1, levels=(20.0,)),
    make_results(task="tanh", dataset="a b", metric_names=("sdr",), files=2),
  ]
  texts = summary.write_tables(given, tmp_path / "new" / "tables")
  names = {path.name for path in (tmp_path / "new" / "tables").iterdir()}
  pages = ["ceg_overdrive.md", "a_b_tanh.md", "a_b_tanh_2.md"]
  assert {name for name in names if name.endswith(".md")} == set(pages)
  for page, text in zip(pages, texts, strict=True):
    written = tmp_path / "new" / "tables" / page
    assert written.read_text(encoding="utf-8") == text
    assert written.with_suffix(".csv").name in names
  assert {name for name in names if name.startswith("ceg_overdrive")} == {
    "ceg_overdrive.md",
    "ceg_overdrive.csv",
    "ceg_overdrive_rows.csv",
    "ceg_overdrive_overview.tex",
    "ceg_overdrive_comparisons.tex",
    "ceg_overdrive_fad.tex",
    *(
      f"ceg_overdrive_{metric}_{kind}.tex"
      for metric in ("si_sdr", "peaq", "r_nonlin")
      for kind in ("median", "mean")
    ),
  }


@pytest.mark.parametrize("metric", ["si_sdr", "peaq", "r_nonlin"])
def test_cells_are_the_scores_medians(metric):
  given = make_results(files=7)
  table = median_table(study(given, "x"), metric)
  scores = given.scores(metric)
  digits = 3 if metrics.get(metric).high == 1 else 2
  (section,) = table.sections
  for method, row in zip(given.methods, section.rows, strict=True):
    columns = [*scores[method].T, scores[method].ravel()]
    for cell, values in zip(row[1:], columns, strict=True):
      shown = float(cell.split(" ")[0])
      close = max(10.0**-digits, 10.0**-3 * abs(shown))
      assert shown == pytest.approx(np.median(values), abs=close)


def test_p_and_its_marks():
  assert cells.p_value(0.0004) == "<0.001"
  assert cells.p_value(0.0461) == "0.046"
  assert cells.p_value(math.nan) == "n/a"
  ps = (0.0009, 0.001, 0.0101, 0.05, 1.0, math.nan)
  assert [len(cells.stars(p)) for p in ps] == [3, 2, 1, 0, 0, 0]


def test_ten_thousand_excerpts_take_seconds(tmp_path):
  given = make_results(
    files=10_000, methods=("distorted", "demucs", "ideal_ratio_mask")
  )
  start = time.process_time()
  summary.write_tables([given], tmp_path)
  assert time.process_time() - start < 30.0


def test_timings_are_written_too(tmp_path):
  rows = [
    {"method": method, "device": "cpu", "batch": 1, "seconds_per_second": s}
    for method, s in (("demucs", 0.5), ("aspade", 2.0))
  ]
  (text,) = summary.write_tables([], tmp_path, rows)
  assert "| Demucs | 0.5 | 0.5 | 1 | \N{EN DASH} | 4 |" in text
  assert summary.timing_table(rows) in text
  assert (tmp_path / "timing.md").read_text(encoding="utf-8") == text
  assert (tmp_path / "timing.tex").is_file()
  assert [row["method"] for row in _csv(tmp_path / "timing.csv")] == [
    "demucs",
    "aspade",
  ]
