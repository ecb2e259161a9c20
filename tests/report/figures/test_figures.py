"""All figures as files: their names, their bytes, their legibility."""

import itertools

import matplotlib
import pytest
from made_results import make_results
from matplotlib.image import imread
from matplotlib.text import Text

from distortion_removal.report.analysis import studies
from distortion_removal.report.figures import _figures, drawing, write_figures

pytestmark = pytest.mark.e2e
GAPS = {"fad": "VGGish's weights: name their file", "si_sdr": "too short"}
LONG = "demucs (2026-11-26_overdrive_with_everything_switched_on/seed_3)"


@pytest.fixture(scope="module")
def written(tmp_path_factory):
  """Studies of two tasks, and the PNGs of their figures."""
  run, folder = (tmp_path_factory.mktemp(name) for name in ("run", "figures"))
  given = [
    make_results(run, files=3, heard=1, left_out={"sspade": "inapplicable"}),
    make_results(
      task="recorded", dataset="my data: 1", files=2, methods=("distorted",)
    ),
  ]
  found = studies(given)
  return found, write_figures(found, folder / "new" / "figures")


def test_files_are_named_after_data_sets_and_tasks(written):
  _, paths = written
  names = [
    "boxes_ceg_overdrive",
    "levels_ceg_overdrive",
    "excerpt_ceg_overdrive",
    "boxes_my_data_1_recorded",  # of one level
    "histograms",
  ]
  assert [path.name for path in paths] == [f"{name}.png" for name in names]
  expected = {f"{name}.{kind}" for name in names for kind in ("pdf", "png")}
  assert {path.name for path in paths[0].parent.iterdir()} == expected
  without = make_results(files=1, metric_names=("sdr",))
  assert list(_figures(studies([without]))) == []
  # For print: no date, TrueType fonts, PNGs of two columns.
  for path in paths:
    assert imread(path).shape[1] == 7.0 * 300
    content = path.with_suffix(".pdf").read_bytes()
    assert b"CreationDate" not in content
    assert b"/FontFile2" in content  # matplotlib compresses no dictionaries
    assert b"/Type3" not in content


def test_the_same_results_are_the_same_bytes_whatever_the_users_settings(
  written, tmp_path
):
  found, paths = written
  # Lines and texts, and images; to save all takes long.
  again = ("boxes_ceg_overdrive", "excerpt_ceg_overdrive")
  with matplotlib.rc_context({"font.size": 30.0, "lines.linewidth": 9.0}):
    for name, figure in _figures(found):
      for file in [f"{name}.pdf", f"{name}.png"] if name in again else []:
        drawing.save(figure, tmp_path / file)
        same = paths[0].with_name(file).read_bytes()
        assert (tmp_path / file).read_bytes() == same
    assert matplotlib.rcParams["font.size"] == 30.0


def _texts(figure, monkeypatch):
  """The texts of a figure that are drawn indeed."""
  found = []
  draw = Text.draw

  def note(text, renderer):
    if text.get_visible() and text.get_text().strip():
      found.append(text)
    draw(text, renderer)

  with drawing.look(), monkeypatch.context() as patch:
    figure.draw_without_rendering()  # Settles the layout.
    patch.setattr(Text, "draw", note)
    figure.draw_without_rendering()
  return found


@pytest.mark.parametrize(
  "options",
  [
    {"methods": ("distorted", "demucs", LONG, "a" * 90)},
    {"methods": ("distorted", LONG), "metric_names": ("peaq", "r_nonlin")}
    | {"left_out": {"aspade": "x", "sspade": "x"}, "metrics_left_out": GAPS},
    {"files": 1},
  ],
  ids=["long names", "gaps", "one excerpt"],
)
def test_nothing_is_small_cut_off_or_overlapping(
  tmp_path, monkeypatch, options
):
  given = make_results(tmp_path, **{"files": 5, "heard": 1} | options)
  for name, figure in _figures(studies([given])):
    drawn = _texts(figure, monkeypatch)
    boxes = [text.get_window_extent() for text in drawn]
    for text, box in zip(drawn, boxes, strict=True):
      assert text.get_fontsize() >= 7.0, (name, text.get_text())
      room = min(*box.min, *(figure.bbox.max - box.max))
      assert room >= -1, (name, text.get_text())
    placed = list(zip(drawn, boxes, strict=True))
    for (one, a), (other, b) in itertools.combinations(placed, 2):
      overlap = a.padded(-1.0).overlaps(b.padded(-1.0))
      assert not overlap, (name, one.get_text(), other.get_text())
