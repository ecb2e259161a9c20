"""What lies in the page's folder: sounds, pictures, data, and nothing else."""

import dataclasses
import json
import re

import numpy as np
import pytest
import soundfile
from made_results import RATE, make_results, plucked
from matplotlib.image import imread
from scipy.signal import chirp

from distortion_removal.audio.loudness import integrated_loudness
from distortion_removal.common.errors import UserError
from distortion_removal.report.page import (
  audio,
  thumbnails,
  write_page,
)

LEVELS = (20.0, 35.0)
FILES = ["test/</script><!-- é & \"'.wav", "test/b.wav"]
METHODS = ("distorted", "demucs", "ideal_ratio_mask")


def make(folder, **options):
  usual = {"methods": METHODS, "levels": LEVELS, "files": FILES, "heard": 2}
  usual |= {"seconds": 2.0, "metric_names": ("si_sdr", "peaq", "r_nonlin")}
  return make_results(folder, **usual | options)


@pytest.fixture(scope="module")
def result(tmp_path_factory):
  return make(tmp_path_factory.mktemp("run"))


def written(results, folder, **options):
  """Writes a page; returns its data as a browser finds it."""
  write_page(results, folder, **options)
  text = (folder / "index.html").read_text(encoding="utf-8")
  return json.loads(re.search(r'"application/json">(.*?)</script>', text)[1])


def states_of(data):
  excerpts = [excerpt for task in data["tasks"] for excerpt in task["excerpts"]]
  return [state for x in excerpts for states in x["cells"] for state in states]


def sound_of(folder, stem):
  """A sound of the page and its loudness."""
  path = folder / f"{stem}.flac"
  samples, rate = soundfile.read(path, always_2d=True)
  return samples, integrated_loudness(samples, sample_rate=rate)


def test_every_sound_has_its_files_and_nothing_else_is_there(tmp_path):
  results = [make(tmp_path / "run", levels=(35.0, 35.5))]
  folder = tmp_path / "page"
  stems = [state["stem"] for state in states_of(written(results, folder))]
  assert len(stems) == len(set(stems)) == 2 * (2 * len(METHODS) + 1)
  assert sum("35_5" in stem for stem in stems) == 2 * len(METHODS)
  expected = [f"{stem}.{kind}" for stem in stems for kind in ("flac", "png")]
  expected += ["index.html", "page.css", "blind.js", "keys.js", "page.js"]
  expected += ["player.js", "table.js", "look.css", "controls.js"]
  files = [p for p in folder.rglob("*") if p.is_file()]
  names = [str(path.relative_to(folder)) for path in files]
  assert sorted(names) == sorted(expected)
  assert all(re.fullmatch(r"[a-z0-9_/-]+", stem) for stem in stems)


def test_sounds_are_equally_loud_stretches_of_the_evaluated_ones(tmp_path):
  result = make(tmp_path / "run", seconds=4.0)
  data = written([result], tmp_path / "page", seconds=2.0)
  excerpt = data["tasks"][0]["excerpts"][1]
  assert excerpt["seconds"] == pytest.approx((7 * 4096 + 16) / RATE, abs=1e-3)
  state = excerpt["cells"][2][1]  # Demucs at 35 dB
  found, loudness_lufs = sound_of(tmp_path / "page", state["stem"])
  assert loudness_lufs == pytest.approx(-19.0, abs=0.05)
  sounds = {(s.file, s.method, s.level): s for s in result.sounds}
  path = sounds[FILES[1], "demucs", 35.0].path
  start = round(excerpt["start"] * RATE)
  expected = 2.0 * soundfile.read(path)[0][start : start + len(found)]
  # Without the fades.
  ours, theirs = (x[RATE // 10 : -RATE // 10] for x in (found[:, 0], expected))
  scale = np.dot(ours, theirs) / np.dot(theirs, theirs)
  np.testing.assert_allclose(ours, scale * theirs, atol=1.0 / 32_768)


def test_loudness_is_the_tasks_own_unless_it_is_given(result, tmp_path):
  signaltrain = make(tmp_path / "run", task="hard_clip_sdr", levels=(7.0,))
  silent = dataclasses.replace(result, sounds=())  # It is left out.
  data = written([silent, result, signaltrain], tmp_path / "a")
  assert [task["lufs"] for task in data["tasks"]] == ["-19", "-23"]
  folder = tmp_path / "b"
  (task,) = written([result], folder, loudness_lufs=-30.0)["tasks"]
  assert task["lufs"] == "-30"
  stem = task["excerpts"][0]["cells"][0][0]["stem"]
  assert sound_of(folder, stem)[1] == pytest.approx(-30.0, abs=0.05)


def test_a_sound_that_its_peak_keeps_quiet_says_so(result, tmp_path):
  folder = tmp_path / "page"
  data = written([result], folder, loudness_lufs=-6.0, excerpts=1)
  names = [excerpt["name"] for excerpt in data["tasks"][0]["excerpts"]]
  assert names == FILES[:1]
  quiet = [state for state in states_of(data) if "quiet" in state]
  assert quiet
  for state in quiet:
    found, loudness_lufs = sound_of(folder, state["stem"])
    assert np.abs(found).max() == pytest.approx(0.99, abs=1e-3)
    assert loudness_lufs == pytest.approx(float(state["quiet"]), abs=0.06)
    assert loudness_lufs < -6.05


def test_two_channels_stay_two_also_in_wav_files(tmp_path):
  result = make(tmp_path / "run", channels=2, files=FILES[:1], levels=(35.0,))
  write_page([result], tmp_path / "page", wav=True)
  flacs = sorted((tmp_path / "page").rglob("*.flac"))
  assert len(flacs) == len(METHODS) + 1
  for path in flacs:
    samples, rate = soundfile.read(path, dtype="int16")
    assert (samples.shape[1], rate) == (2, RATE)
    wav, _ = soundfile.read(path.with_suffix(".wav"), dtype="int16")
    np.testing.assert_allclose(wav, samples, atol=1)  # They round differently.


@pytest.mark.e2e
def test_the_size_limit_decides_how_long_sounds_are(tmp_path):
  result = make(tmp_path / "run", seconds=8.0)
  sizes, seconds = [], []
  for megabytes in (0.9, 1.4, 60.0):
    folder = tmp_path / f"{megabytes}"
    data = written([result], folder, megabytes=megabytes)
    sizes.append(sum(p.stat().st_size for p in folder.rglob("*")) / 1e6)
    seconds.append(data["tasks"][0]["excerpts"][0]["seconds"])
  assert sizes[0] <= 0.9 and sizes[1] <= 1.4
  assert sizes[1] > 0.8 * 1.4  # It uses what it has.
  assert 1.0 < seconds[0] < seconds[1] < seconds[2] <= 8.0
  assert seconds[2] > 7.7


@pytest.mark.parametrize("options", [{}, {"seconds": 2.0}, {"wav": True}])
def test_a_page_that_cannot_fit_is_refused(result, tmp_path, options):
  with pytest.raises(UserError, match=r"more than the 0\.2 MB .*megabytes"):
    write_page([result], tmp_path / "page", megabytes=0.2, **options)
  assert not (tmp_path / "page").exists()


def test_cells_have_scores_or_reasons(tmp_path):
  result = make(
    tmp_path / "run",
    scores={"si_sdr": {"demucs": np.array([[17.0, 3.0], [-1.5, np.nan]])}},
    left_out={"aspade": "does not undo SoX overdrive"},
    errors=[(FILES[1], "demucs", 35.0)],
    seconds=0.5,
  )
  kept = tuple(s for s in result.sounds if s.method != "ideal_ratio_mask")
  row = next(row for row in result.rows if row["method"] == "demucs")
  row |= {"peaq": None, "metric_errors": {"peaq": "too short"}}
  result = dataclasses.replace(result, sounds=kept)
  (task,) = written([result], tmp_path / "page")["tasks"]
  labels = ["distorted", "target", "Demucs", "ideal ratio mask", "A-SPADE"]
  assert [version["label"] for version in task["versions"]] == labels
  first, second = (excerpt["cells"] for excerpt in task["excerpts"])
  assert first[4] == [{"gap": "does not undo SoX overdrive"}]
  assert first[3] == [{"gap": "no sound was kept"}]
  assert [state["scores"][0] for state in first[2]] == ["17.00", "3.00"]
  assert first[2][0]["scores"][1] == "n/a"
  assert second[2][1] == {"gap": "failed: out of memory"}
  assert "scores" not in first[1][0]


def test_the_liveliest_stretch():
  def start(signal, seconds):
    return audio.liveliest(signal, RATE, seconds).start

  music = np.pad(0.1 * plucked(3.0, 0), (2 * RATE, RATE))
  music[RATE // 2] = 1.0  # One click is not lively.
  assert start(music[:, None], 3.0) / RATE == pytest.approx(2.0, abs=0.06)
  steady, silent = np.ones((4 * RATE, 1)), np.zeros((4 * RATE, 2))
  assert start(steady, 1.0) == start(steady, 9.0) == start(silent, 1.0) == 0


def test_silence_stays_silent_and_fades_are_where_it_was_cut():
  silent = np.zeros((RATE, 1), np.float32)
  options = {"sample_rate": RATE, "loudness_lufs": -20.0}
  cut, quiet_lufs = audio.cut(silent, slice(0, RATE), **options)
  assert not cut.any() and quiet_lufs is None
  assert (thumbnails.spectrogram(silent, sample_rate=RATE) < -100.0).all()
  whole = np.full((RATE, 1), 0.5, np.float32)
  whole[::2] *= -1.0
  ends = []
  for stretch in (slice(0, RATE), slice(100, RATE), slice(0, 9_000)):
    cut, _ = audio.cut(whole, stretch, **options)
    found = np.abs(cut[:, 0])
    level = found[len(found) // 2]
    ends.append((found[0] / level, found[-1] / level))
    assert found[400] == pytest.approx(level)  # After 20 ms it is all there.
  np.testing.assert_allclose(ends, [(1, 1), (0, 1), (1, 0)], atol=1e-6)


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
  assert [len(thumbnails.waveform(sound[:n])) for n in (0, 7)] == [0, 14]


def test_spectrogram_follows_a_chirp_and_so_does_its_picture(tmp_path):
  time = np.arange(2 * RATE) / RATE
  sweep = chirp(time, 0.0, 2.0, RATE / 2)[:, None]
  level_db = thumbnails.spectrogram(sweep, sample_rate=RATE)
  thumbnails.write_spectrogram(tmp_path / "a.png", sweep, RATE)
  picture = imread(tmp_path / "a.png")[:, :, :3]
  for image in (level_db, picture.sum(axis=2)):
    rows, columns = image.shape
    assert (rows, columns) == (40, 120)
    peak = rows - 1 - image.argmax(axis=0)
    expected = np.linspace(0, rows, columns)
    assert np.abs(peak[3:-3] - expected[3:-3]).max() <= 1.5
