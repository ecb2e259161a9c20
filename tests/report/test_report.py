"""The report as a whole: what is in its folder and in its text."""

import re

import pytest
from made_results import make_evaluation, make_timing, write_lines

from distortion_removal.common.errors import UserError
from distortion_removal.report import report as module
from distortion_removal.report.report import report


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
  """A run on CEG-HC with all that there may be, and one on CEG-OD without."""
  root = tmp_path_factory.mktemp("runs")
  shared = {"dataset": "guitar", "levels": (20.0, 30.0), "files": 2}
  shared["metric_names"] = ("si_sdr", "peaq")
  make_evaluation(
    root / "clip",
    **shared,
    task="hard_clip",
    methods=("distorted", "umx", "aspade"),
    metrics_left_out={"fad": "no weights"},
    errors=[("test/1.wav", "umx", 20.0)],
    heard=1,
    seconds=1.0,
  )
  write_lines(root / "clip" / "timing.jsonl", [make_timing("umx", 0.5)])
  make_evaluation(
    root / "overdrive",
    **shared,
    methods=("distorted", "umx"),
    left_out={"aspade": "does not undo SoX overdrive"},
  )
  return [root / "clip", root / "overdrive"]


@pytest.fixture(scope="module")
def made(runs, tmp_path_factory):
  """The report's folder."""
  folder = tmp_path_factory.mktemp("made") / "a" / "report"
  assert report(runs, folder, command="the command") == folder / "report.md"
  return folder


@pytest.fixture(scope="module")
def sections(made):
  """The text by the headings of level 2."""
  text = (made / "report.md").read_text()
  parts = re.split(r"^## ", text, flags=re.M)[1:]
  return dict(part.split("\n", 1) for part in parts)


@pytest.mark.e2e
def test_the_sections_and_parts(made, sections):
  tasks = ["CEG-HC on guitar", "CEG-OD on guitar", "All tasks"]
  others = ["Timing", "Sounds", "What is missing", "How this was made"]
  assert list(sections) == tasks + others
  clip = sections["CEG-HC on guitar"]
  assert "2 excerpts at 16 kHz; gain: 20, 30 dB." in clip
  assert "(page/index.html)" in sections["Sounds"]
  origin = sections["How this was made"]
  assert "```bash\nthe command\n```" in origin
  assert "- timed on Some CPU, 2 cores; load average up to 1.2" in origin

  names = {path.name for path in made.iterdir()}
  assert names == {"report.md", "tables", "figures", "page"}
  text = (made / "report.md").read_text()
  linked = re.findall(r"\]\(([^)]+)\)", text)
  assert all((made / path).is_file() for path in linked)
  figures = {f"figures/{p.name}" for p in (made / "figures").iterdir()}
  assert sorted(figures) == sorted(x for x in linked if x != "page/index.html")
  shown = re.findall(r"!\[.*\]\(figures/(.*)\)", clip)
  assert "boxes_guitar_hard_clip.png" in shown
  assert not any("overdrive" in name for name in shown)

  lines = sections["What is missing"].strip().splitlines()
  for place, words in (
    ("CEG-HC on guitar", "FAD is left out: no weights"),
    ("CEG-HC on guitar", "1 of 2 excerpts failed for UMX"),
    ("CEG-HC on guitar", "not timed (--mode=time): A-SPADE"),
    ("CEG-OD on guitar", "does not undo SoX overdrive"),
    ("CEG-OD on guitar", "--config.listen_excerpts=8"),
    ("CEG-OD on guitar", "not timed (--mode=time): UMX"),
  ):
    found = [x for x in lines if x.startswith(f"- {place}") and words in x]
    assert len(found) == 1, words
  assert len(lines) == 6


@pytest.mark.e2e
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

  monkeypatch.setattr(module, "write_figures", fail)
  with pytest.raises(OSError, match="No space"):
    report(runs, output)
  assert (output / "report.md").read_text() == before
  assert [path.name for path in tmp_path.iterdir()] == ["report"]
  monkeypatch.setattr(module, "write_figures", lambda *_: [])
  # A page that is too large is left out, the rest is there.
  report(runs[:1], output, page_options={"megabytes": 0.001})
  text = (output / "report.md").read_text()
  assert "CEG-OD" not in text
  reason = r"more than the 0\.001 MB .* \(--page_megabytes\)"
  assert re.search(f"No listening page: .*{reason}", text)
  assert not (output / "page").exists()
  report(runs[:1], output)
  assert (output / "page").is_dir()


def test_what_else_lies_there_is_not_lost(runs, tmp_path, monkeypatch):
  monkeypatch.setattr(module, "write_figures", lambda *_: [])
  output = tmp_path / "report"
  output.mkdir()
  report(runs[1:], output)  # An empty folder may be.
  (output / "notes.txt").write_text("mine")
  with pytest.raises(UserError, match="holds other files"):
    report(runs[1:], output)
  (output / "notes.txt").unlink()
  (output / "report.md").write_text("# My own report\n")
  with pytest.raises(UserError, match="holds other files"):
    report(runs[1:], output)


def test_mistakes(runs, tmp_path, monkeypatch):
  (tmp_path / "here").mkdir()
  monkeypatch.chdir(tmp_path / "here")
  for name in ("..", "../here"):
    with pytest.raises(UserError, match="current folder"):
      report(runs, module.Path(name))
  for name in ("seconds", "excerpts", "megabytes"):
    for value in (0, float("nan")):
      with pytest.raises(UserError, match=f"--page_{name} .* above 0"):
        report([tmp_path / "no"], tmp_path / "x", page_options={name: value})
  nan = {"loudness_lufs": float("nan")}
  with pytest.raises(UserError, match="--page_loudness must be finite"):
    report([tmp_path / "no"], tmp_path / "x", page_options=nan)
