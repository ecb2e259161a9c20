"""What lies in the page's folder: sounds, pictures, data, and nothing else."""

import dataclasses
import io
import json
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
import soundfile
from made_evaluation import METHODS, RATE, make_results, plucked
from PIL import Image
from scipy.signal import chirp

from distortion_removal.audio.loudness import integrated_loudness
from distortion_removal.common.errors import UserError
from distortion_removal.report import page
from distortion_removal.report.page import (
  audio,
  markup,
  thumbnails,
  write_page,
)
from distortion_removal.report.page.replacing import replacing

LEVELS = (20.0, 35.0)
FILES = ("test/a.wav", "test/b.wav")


def make(folder, **options):
  return make_results(
    folder, [{"levels": LEVELS, "files": FILES, "seconds": 2.0} | options]
  )


def data_of(path):
  """The page's data as a browser finds it."""

  class Finder(HTMLParser):
    found = ""
    is_inside = False

    def handle_starttag(self, tag, attributes):
      self.is_inside = (tag, ("id", "data")) == (tag, (attributes or [""])[0])

    def handle_data(self, data):
      if self.is_inside:
        self.found += data

    def handle_endtag(self, tag):
      self.is_inside = False

  finder = Finder()
  finder.feed(path.read_text(encoding="utf-8"))
  return json.loads(finder.found)


def states_of(data):
  return [
    state
    for task in data["tasks"]
    for excerpt in task["excerpts"]
    for states in excerpt["cells"]
    for state in states
  ]


def files_of(folder):
  return sorted(
    str(path.relative_to(folder))
    for path in folder.rglob("*")
    if path.is_file()
  )


def test_every_sound_has_its_files_and_nothing_else_is_there(tmp_path):
  results = make(tmp_path, levels=(35.0, 35.5))
  path = write_page(results, tmp_path / "out" / "page")
  assert path == tmp_path / "out" / "page" / "index.html"
  stems = [state["stem"] for state in states_of(data_of(path))]
  assert len(stems) == len(set(stems)) == 2 * (2 * len(METHODS) + 1)
  assert sum("35_5" in stem for stem in stems) == 2 * len(METHODS)
  expected = [f"{stem}.{kind}" for stem in stems for kind in ("flac", "png")]
  scripts = ("blind", "flac", "keys", "page", "player", "table")
  assets = ["index.html", "page.css", *(f"{name}.js" for name in scripts)]
  assert files_of(path.parent) == sorted([*expected, *assets])
  assert files_of(tmp_path / "out") == [
    f"page/{name}" for name in files_of(path.parent)
  ]
  assert all(re.fullmatch(r"[a-z0-9_/-]+", stem) for stem in stems)


def test_sounds_are_equally_loud_stretches_of_the_evaluated_ones(tmp_path):
  results = make(tmp_path, seconds=4.0)
  path = write_page(results, tmp_path / "page", seconds=2.0)
  data = data_of(path)
  excerpt = data["tasks"][0]["excerpts"][1]
  assert excerpt["seconds"] == pytest.approx((7 * 4096 + 16) / RATE, abs=1e-3)
  state = excerpt["cells"][2][1]  # Demucs at 35 dB
  found, rate = soundfile.read(path.parent / f"{state['stem']}.flac")
  assert rate == RATE
  loudness = integrated_loudness(found[:, None], sample_rate=rate)
  assert loudness == pytest.approx(-19.0, abs=0.05)
  sound = next(
    sound
    for sound in results[0].sounds
    if (sound.file, sound.method, sound.level) == (FILES[1], "demucs", 35.0)
  )
  source = 2.0 * soundfile.read(sound.path)[0]
  start = round(excerpt["start"] * RATE)
  expected = source[start : start + len(found)]
  middle = slice(RATE // 10, -RATE // 10)  # without the fades
  scale = np.dot(found[middle], expected[middle])
  scale /= np.dot(expected[middle], expected[middle])
  np.testing.assert_allclose(
    found[middle], scale * expected[middle], atol=1.0 / 32_768
  )


@pytest.mark.parametrize("task", ["overdrive", "hard_clip_sdr"])
def test_loudness_is_the_tasks_own_unless_it_is_given(tmp_path, task):
  results = make(tmp_path, task=task, files=FILES[:1])
  own = {"overdrive": "-19", "hard_clip_sdr": "-23"}[task]
  first = data_of(write_page(results, tmp_path / "a"))["tasks"][0]
  assert first["lufs"] == own
  path = write_page(results, tmp_path / "b", loudness_lufs=-30.0)
  task = data_of(path)["tasks"][0]
  assert task["lufs"] == "-30"
  stem = task["excerpts"][0]["cells"][0][0]["stem"]
  found, rate = soundfile.read(path.parent / f"{stem}.flac", always_2d=True)
  loudness = integrated_loudness(found, sample_rate=rate)
  assert loudness == pytest.approx(-30.0, abs=0.05)


def test_what_its_peak_keeps_quiet_says_so(tmp_path, caplog):
  results = make(tmp_path, files=FILES[:1])
  with caplog.at_level("INFO"):
    path = write_page(results, tmp_path / "page", loudness_lufs=-6.0)
  quiet = [state for state in states_of(data_of(path)) if "quiet" in state]
  assert quiet
  assert f"{len(quiet)} of 7 sounds are quieter than -6 LUFS" in caplog.text
  for state in quiet:
    found, rate = soundfile.read(
      path.parent / f"{state['stem']}.flac", always_2d=True
    )
    assert np.abs(found).max() == pytest.approx(0.99, abs=1e-3)
    loudness = integrated_loudness(found, sample_rate=rate)
    assert loudness == pytest.approx(float(state["quiet"]), abs=0.06)
    assert loudness < -6.05


def test_two_channels_stay_two(tmp_path):
  path = write_page(make(tmp_path, channels=2), tmp_path / "page")
  found = next(path.parent.rglob("*.flac"))
  assert soundfile.info(found).channels == 2


def test_a_budget_decides_how_long_sounds_are(tmp_path):
  results = make(tmp_path, seconds=8.0)
  sizes = {}
  for megabytes in (0.9, 1.4, 60.0):
    path = write_page(results, tmp_path / "page", megabytes=megabytes)
    size = sum(p.stat().st_size for p in path.parent.rglob("*") if p.is_file())
    seconds = data_of(path)["tasks"][0]["excerpts"][0]["seconds"]
    sizes[megabytes] = (size / 1e6, seconds)
  assert sizes[0.9][0] <= 0.9 and sizes[1.4][0] <= 1.4
  assert sizes[1.4][0] > 0.8 * 1.4  # It uses what it has.
  assert 1.0 < sizes[0.9][1] < sizes[1.4][1] < sizes[60.0][1] <= 8.0
  assert sizes[60.0][1] > 7.7


def test_an_estimate_that_was_wrong_is_mended(tmp_path, monkeypatch, caplog):
  results = make(tmp_path, seconds=4.0)
  monkeypatch.setattr(page, "_fitting_seconds", lambda *_, **__: 4.0)
  with caplog.at_level("INFO"):
    path = write_page(results, tmp_path / "page", megabytes=0.9)
  assert "with 4 s a sound; shortening" in caplog.text
  size = sum(p.stat().st_size for p in path.parent.rglob("*") if p.is_file())
  assert 0.6e6 < size <= 0.9e6


@pytest.mark.parametrize("options", [{}, {"seconds": 2.0}, {"wav": True}])
def test_a_page_that_cannot_fit_is_refused(tmp_path, options):
  results = make(tmp_path)
  with pytest.raises(UserError, match=r"more than the 0\.2 MB .*megabytes"):
    write_page(results, tmp_path / "page", megabytes=0.2, **options)
  assert not (tmp_path / "page").exists()
  assert [p.name for p in tmp_path.iterdir()] == ["run"]


@pytest.mark.parametrize("name", ["seconds", "excerpts", "megabytes"])
def test_options_must_be_positive(tmp_path, name):
  for value in (-1, 0, np.inf, np.nan):
    with pytest.raises(UserError, match=f"--page_{name} .* above 0"):
      write_page([], tmp_path / "page", **{name: value})


def test_loudness_must_be_a_number(tmp_path):
  with pytest.raises(UserError, match="--page_loudness must be finite: nan"):
    write_page([], tmp_path / "page", loudness_lufs=np.nan)


def test_fewer_excerpts_can_be_asked_for(tmp_path):
  path = write_page(make(tmp_path), tmp_path / "page", excerpts=1)
  names = [e["name"] for e in data_of(path)["tasks"][0]["excerpts"]]
  assert names == [FILES[0]]
  assert len(list(path.parent.rglob("*.flac"))) == 2 * len(METHODS) + 1


def test_an_older_page_is_replaced_only_by_a_whole_one(tmp_path):
  results = make(tmp_path)
  path = write_page(results, tmp_path / "page", title="first")
  before = files_of(path.parent)
  gone = results[0].sounds[-1]
  broken = dataclasses.replace(gone, path=tmp_path / "gone.flac")
  damaged = dataclasses.replace(
    results[0], sounds=(*results[0].sounds[:-1], broken)
  )
  with pytest.raises(UserError, match=r"gone\.flac"):
    write_page([damaged], tmp_path / "page", title="second", seconds=1.0)
  assert files_of(path.parent) == before
  assert "<title>first</title>" in path.read_text()
  write_page(results, tmp_path / "page", excerpts=1, title="third")
  assert "<title>third</title>" in path.read_text()
  assert len(files_of(path.parent)) < len(before)
  assert sorted(p.name for p in tmp_path.iterdir()) == ["page", "run"]


def test_other_files_are_not_replaced(tmp_path):
  results = make(tmp_path, files=FILES[:1])
  (tmp_path / "page").mkdir()
  write_page(results, tmp_path / "page")  # An empty folder may be.
  (tmp_path / "thesis").mkdir()
  (tmp_path / "thesis" / "index.html").write_text("<h1>mine</h1>")
  with pytest.raises(UserError, match="thesis holds other files"):
    write_page(results, tmp_path / "thesis")
  assert files_of(tmp_path / "thesis") == ["index.html"]
  with pytest.raises(UserError, match="is a file"):
    write_page(results, tmp_path / "thesis" / "index.html")


@pytest.mark.parametrize("name", [".", "..", "../here"])
def test_the_current_folder_is_not_replaced(tmp_path, monkeypatch, name):
  (tmp_path / "here").mkdir()
  monkeypatch.chdir(tmp_path / "here")
  refused = pytest.raises(UserError, match="current folder")
  with refused, replacing(Path(name), is_ours=lambda _: True):
    pytest.fail("must not begin")
  assert files_of(tmp_path) == []
  with replacing(Path("../there/."), is_ours=lambda _: False) as partial:
    (partial / "file").touch()
  assert files_of(tmp_path) == ["there/file"]


def test_a_link_to_a_folder_stays_one(tmp_path):
  (tmp_path / "disk").mkdir()
  (tmp_path / "link").symlink_to(tmp_path / "disk")
  with replacing(tmp_path / "link", is_ours=lambda _: False) as partial:
    (partial / "file").touch()
  assert (tmp_path / "link").is_symlink()
  assert (tmp_path / "disk" / "file").is_file()
  assert sorted(p.name for p in tmp_path.iterdir()) == ["disk", "link"]


def test_results_without_sounds_are_left_out_and_told(tmp_path, caplog):
  results = make(tmp_path)
  silent = dataclasses.replace(results[0], task_label="CEG-HC", sounds=())
  path = write_page([silent, *results], tmp_path / "page")
  assert "CEG-HC on ceg kept no sounds" in caplog.text
  assert len(data_of(path)["tasks"]) == 1
  with pytest.raises(UserError, match="no sounds for a listening page"):
    write_page([silent], tmp_path / "page")


def test_names_cannot_end_the_data():
  name = "</script><!-- \u2028 é & \"'"
  text = markup.embedded({"name": name})
  assert not re.search("[<>&\u2028]", text)
  assert json.loads(text) == {"name": name}


def test_titles_are_text(tmp_path):
  results = make(tmp_path, files=FILES[:1])
  path = write_page(results, tmp_path / "page", title="A & B <3 $data")
  assert "<title>A &amp; B &lt;3 $data</title>" in path.read_text()


def test_gaps_have_their_reasons(tmp_path):
  results = make(
    tmp_path,
    left_out={"aspade": "does not undo SoX overdrive"},
    errors=[(FILES[1], "demucs", 35.0)],
  )
  kept = [s for s in results[0].sounds if s.method != "ideal_ratio_mask"]
  results = [dataclasses.replace(results[0], sounds=tuple(kept))]
  (task,) = data_of(write_page(results, tmp_path / "page"))["tasks"]
  labels = [version["label"] for version in task["versions"]]
  first, second = (excerpt["cells"] for excerpt in task["excerpts"])
  assert labels == [
    "distorted",
    "target",
    "Demucs",
    "ideal ratio mask",
    "A-SPADE",
  ]
  assert first[4] == [{"gap": "does not undo SoX overdrive"}]
  assert first[3] == [{"gap": "no sound was kept"}]
  assert "stem" in first[2][1]
  assert second[2][1] == {"gap": "failed: out of memory"}
  assert second[2][0]["scores"] == ["17.00", "-3.10", "0.600"]


def test_a_sound_whose_metric_failed_is_heard(tmp_path):
  (result,) = make(tmp_path)
  rows = [dict(row) for row in result.rows]
  row = next(row for row in rows if row["method"] == "demucs")
  row |= {"peaq": None, "error": "peaq: too short"}
  result = dataclasses.replace(result, rows=tuple(rows))
  (task,) = data_of(write_page([result], tmp_path / "page"))["tasks"]
  state = task["excerpts"][0]["cells"][2][0]
  assert "stem" in state
  assert state["scores"] == ["16.00", "n/a", "0.600"]


def test_the_liveliest_stretch():
  music = np.concatenate(
    [np.zeros(2 * RATE), 0.1 * plucked(3.0, 0), np.zeros(RATE)]
  )
  music[RATE // 2] = 1.0  # One click is not lively.
  start = audio.liveliest_start(music[:, None], sample_rate=RATE, seconds=3.0)
  assert start == pytest.approx(2.0, abs=0.06)
  steady = np.ones((4 * RATE, 1))
  assert audio.liveliest_start(steady, sample_rate=RATE, seconds=1.0) == 0.0
  assert audio.liveliest_start(steady, sample_rate=RATE, seconds=9.0) == 0.0
  silent = np.zeros((4 * RATE, 2))
  assert audio.liveliest_start(silent, sample_rate=RATE, seconds=1.0) == 0.0


def test_fades_are_where_it_was_cut():
  whole = np.full((RATE, 1), 0.5, np.float32)
  whole[::2] *= -1.0
  options = {"sample_rate": RATE, "loudness_lufs": -20.0}
  ends = []
  for part in (slice(0, RATE), slice(100, RATE), slice(0, 9_000)):
    found = np.abs(audio.clip(whole, part, **options).audio[:, 0])
    level = found[len(found) // 2]
    ends.append((found[0] / level, found[-1] / level))
    assert found[400] == pytest.approx(level)  # After 20 ms it is all there.
  np.testing.assert_allclose(ends, [(1, 1), (0, 1), (1, 0)], atol=1e-6)


def test_silence_stays_silent():
  silent = np.zeros((RATE, 1), np.float32)
  clip = audio.clip(
    silent, slice(0, RATE), sample_rate=RATE, loudness_lufs=-19.0
  )
  assert not clip.audio.any() and clip.quiet_lufs is None
  steps = thumbnails.spectrogram(silent, sample_rate=RATE)
  assert not steps.any()


def test_waveform_is_the_outline():
  sound = np.zeros((1_200, 2))
  sound[500, 0] = 1.0
  sound[505, 1] = -0.5
  text = thumbnails.waveform(sound)
  codes = np.array([thumbnails.DIGITS.index(digit) for digit in text])
  low, high = codes.reshape(-1, 2).T / 31.5 - 1.0
  assert len(low) == thumbnails.COLUMNS == 120
  assert high[50] == 1.0 and low[50] == pytest.approx(-0.5, abs=0.02)
  assert np.abs(np.delete(high, 50)).max() < 0.02
  assert len(thumbnails.waveform(sound[:7])) == 14
  assert thumbnails.waveform(sound[:0]) == ""


def test_spectrogram_follows_a_chirp_and_its_picture_keeps_it():
  time = np.arange(2 * RATE) / RATE
  sweep = chirp(time, 0.0, 2.0, RATE / 2)[:, None]
  steps = thumbnails.spectrogram(sweep, sample_rate=RATE)
  rows, columns = steps.shape
  assert (rows, columns) == (40, 120)
  peak = rows - 1 - steps.argmax(axis=0)
  expected = np.linspace(0, rows, columns)
  assert np.abs(peak[3:-3] - expected[3:-3]).max() <= 1.5
  picture = Image.open(io.BytesIO(thumbnails.png(steps)))
  np.testing.assert_array_equal(np.asarray(picture), steps)
  red, green, blue = np.array(picture.getpalette()).reshape(-1, 3)[15]
  assert min(red, green, blue) > 170  # What is loud is bright.
