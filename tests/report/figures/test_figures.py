"""All figures as files: their names, their bytes, their legibility."""

import itertools
import re
import subprocess
import sys
import zlib

import matplotlib
import pytest
from matplotlib.image import imread
from matplotlib.text import Text
from synthetic_results import make_results

from distortion_removal.report.figures import (
  _figures,
  canvas,
  write_figures,
)

LONG = "demucs (2026-11-26_overdrive_with_everything_switched_on/seed_3)"


def _make(tmp_path):
  return [
    make_results(
      files=3,
      left_out={"sspade": "does not undo it"},
      sounds_folder=tmp_path,
    ),
    make_results(
      task="recorded", dataset="my data: 1", files=2, methods=("distorted",)
    ),
  ]


@pytest.fixture(scope="module")
def written(tmp_path_factory):
  folder = tmp_path_factory.mktemp("figures")
  results = _make(tmp_path_factory.mktemp("sounds"))
  return results, write_figures(results, folder / "new" / "figures")


def test_files_are_named_after_data_sets_and_tasks(written):
  _, paths = written
  names = [
    "boxes_ceg_overdrive",
    "levels_ceg_overdrive",
    "excerpt_ceg_overdrive",
    "boxes_my_data_1_recorded",
    "histograms",
  ]
  suffixes = ("pdf", "png")
  expected = [f"{name}.{suffix}" for name in names for suffix in suffixes]
  assert [path.name for path in paths] == expected
  assert sorted(paths[0].parent.iterdir()) == sorted(paths)


def test_names_that_would_be_the_same_are_numbered():
  results = [
    make_results(dataset=name, files=1, metric_names=("si_sdr",))
    for name in ("a b", "a_b", "a/b")
  ]
  names = [name for name, _ in _figures(results) if name.startswith("boxes")]
  assert names == [f"boxes_a_b_overdrive{end}" for end in ("", "_2", "_3")]


def test_the_same_results_are_the_same_bytes(written, tmp_path):
  results, paths = written
  # Lines and texts, and images; to save all takes long.
  again = ("boxes_ceg_overdrive", "excerpt_ceg_overdrive")
  for name, figure in _figures(results):
    if name in again:
      for copy in canvas.save(figure, tmp_path, name):
        path = paths[0].with_name(copy.name)
        assert copy.read_bytes() == path.read_bytes(), path.name


def test_pdfs_have_no_date_and_truetype_fonts(written):
  _, paths = written
  for path in paths[::2]:
    content = path.read_bytes()
    assert b"CreationDate" not in content
    objects = content + b"".join(_streams(content))
    assert b"/FontFile2" in objects
    assert b"/Type3" not in objects


def _streams(content):
  """The compressed parts of a PDF that can be read."""
  for match in re.finditer(rb"stream\r?\n(.*?)endstream", content, re.DOTALL):
    try:
      yield zlib.decompress(match[1])
    except zlib.error:
      continue


def test_pngs_are_two_columns_wide_at_print_resolution(written):
  _, paths = written
  for path in paths[1::2]:
    assert imread(path).shape[1] == 7.0 * 300


def test_a_users_matplotlibrc_and_pyplot_are_left_alone(written, tmp_path):
  results, paths = written
  with matplotlib.rc_context({"font.size": 30.0, "lines.linewidth": 9.0}):
    name, figure = next(_figures(results))
    copy, _ = canvas.save(figure, tmp_path, name)
    assert matplotlib.rcParams["font.size"] == 30.0
  assert copy.read_bytes() == paths[0].read_bytes()


def test_pyplot_is_not_imported():
  code = (
    "import sys; from distortion_removal.report import figures; "
    "sys.exit('matplotlib.pyplot' in sys.modules)"
  )
  subprocess.run([sys.executable, "-c", code], check=True)


@pytest.fixture
def texts(monkeypatch):
  """A function from a figure to its texts, those that are drawn indeed."""
  found = []
  draw = Text.draw

  def note(text, renderer):
    if text.get_visible() and text.get_text().strip():
      found.append(text)
    draw(text, renderer)

  def function(figure):
    # Settle the layout first.
    with canvas.look():
      figure.draw_without_rendering()
      found.clear()
      figure.draw_without_rendering()
    return list(found)

  monkeypatch.setattr(Text, "draw", note)
  return function


@pytest.mark.parametrize("case", ["usual", "long names", "gaps", "one excerpt"])
def test_nothing_is_small_cut_off_or_overlapping(tmp_path, texts, case):
  options = {
    "usual": {},
    "long names": {"methods": ("distorted", "demucs", LONG, "a" * 90)},
    "gaps": {
      "metric_names": ("peaq", "r_nonlin"),
      "left_out": {"aspade": "x", "sspade": "x"},
      "methods": ("distorted", LONG),
      "metrics_left_out": {
        "fad": "FAD needs the weights of VGGish; name their file",
        "si_sdr": "not for this audio",
      },
    },
    "one excerpt": {"files": 1},
  }[case]
  results = make_results(**{"files": 5, "sounds_folder": tmp_path} | options)
  for name, figure in _figures([results]):
    drawn = texts(figure) if figure is not None else []
    boxes = [text.get_window_extent() for text in drawn]
    for text, box in zip(drawn, boxes, strict=True):
      assert text.get_fontsize() >= 7.0, (name, text.get_text())
      assert box.x0 >= -1 and box.y0 >= -1, (name, text.get_text())
      assert box.x1 <= figure.bbox.x1 + 1, (name, text.get_text())
      assert box.y1 <= figure.bbox.y1 + 1, (name, text.get_text())
    for (one, a), (other, b) in itertools.combinations(
      zip(drawn, boxes, strict=True), 2
    ):
      overlap = a.padded(-1.0).overlaps(b.padded(-1.0))
      assert not overlap, (name, one.get_text(), other.get_text())


def test_lines_can_be_told_apart_in_grey_print():
  """Where greys are near, markers and dashes are not the same."""
  (figure,) = [
    figure
    for name, figure in _figures([make_results(files=2)])
    if name.startswith("levels")
  ]
  lines = figure.axes[0].get_lines()
  looks = {
    (line.get_marker(), str(line._unscaled_dash_pattern)) for line in lines
  }
  assert len(looks) == len(lines) == 7
