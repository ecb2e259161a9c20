"""The page in a browser, as a listener uses it, from disk and from a server."""

import contextlib
import itertools
import shutil

import numpy as np
import pytest
from browsing import HEARD, chromium, opened, served
from made_results import make_results

from distortion_removal.report.page import write_page

pytestmark = pytest.mark.e2e
METHODS = ("distorted", "demucs", "ideal_ratio_mask")
FILES = ['test/00 </script> "quoted".wav#000', "test/Gitarre & Flügel.wav#001"]
# Of each metric: [files, levels], of Demucs.
SCORES = {"si_sdr": [[16.0, 13.0, 10.0]] * 2, "peaq": [[-3.1] * 3] * 2}
# Of a file: whole frames and a short one.
PLAYED = (19 * 4096 + 16) / 16_000
# Notes every 5 ms which sounds are audible, and where they are.
SAMPLER = """() => {
  window.samples = [];
  setInterval(() => {
    const heard = [...document.querySelectorAll("audio")].filter(
      (deck) => deck.dataset.sound && !deck.paused && !deck.muted && !deck.ended
        && !deck.currentSrc.startsWith("data:"));
    samples.push([performance.now() / 1000,
      ...heard.flatMap((deck) => [deck.dataset.sound, deck.currentTime])]);
  }, 5);
}"""


@pytest.fixture(scope="module")
def browser():
  with chromium() as found:
    yield found


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
  """A page of two tasks with two excerpts at three levels."""
  root = tmp_path_factory.mktemp("a page's folder")
  shared = {"files": FILES, "methods": METHODS, "metric_names": tuple(SCORES)}
  shared |= {"heard": 2, "seconds": 5.0}
  scores = {name: {"demucs": np.array(x)} for name, x in SCORES.items()}
  overdrive = {"levels": (20.0, 35.0, 50.0)}
  overdrive["left_out"] = {"aspade": "does not undo SoX overdrive"}
  clipped = {"task": "hard_clip_sdr", "levels": (1.0, 7.0, 20.0)}
  clipped["dataset"] = "signaltrain"
  clipped["errors"] = [(FILES[0], "demucs", 7.0)]
  results = [
    make_results(root / "a", **shared, scores=scores, **overdrive),
    make_results(root / "b", **shared, scores=scores, **clipped),
  ]
  write_page(results, root / "page ü")
  return root / "page ü"


@pytest.fixture(scope="module")
def local_address(folder):
  return (folder / "index.html").as_uri()


@pytest.fixture(params=["disk", "server"])
def page(request, browser, folder, local_address):
  with contextlib.ExitStack() as stack:
    address = local_address
    if request.param == "server":
      address = f"{stack.enter_context(served(folder))}/index.html"
    yield stack.enter_context(opened(browser, address))


@pytest.fixture
def local_page(browser, local_address):
  with opened(browser, local_address) as found:
    yield found


def button(page, name, excerpt=1, task=0):
  section, name = page.locator("section").nth(task), f"Play {name}, Excerpt"
  return section.get_by_role("button", name=f"{name} {excerpt}", exact=True)


def wait_heard(page, stem_end, beyond=0.0):
  """Waits until a sound is audible and past a position."""
  page.wait_for_function(
    f"""([end, beyond]) => {{ const deck = {HEARD};
      return deck && deck.dataset.sound.endsWith(end)
        && deck.currentTime > beyond; }}""",
    arg=[stem_end, beyond],
  )


def heard(page):
  """The sound that is audible now, or None."""
  return page.evaluate(f"({HEARD})?.dataset.sound")


def silence(page):
  page.wait_for_function("player.decks.every((x) => x.paused || x.ended)")


def test_every_file_of_the_page_plays(page):
  stems = page.evaluate(
    """cells.flatMap((cell) => cell.states).map((state) => state.stem)
      .filter((stem) => stem)"""
  )
  assert len(set(stems)) == 2 * 2 * (3 * len(METHODS) + 1) - 1
  durations = page.evaluate(
    """(stems) => Promise.all(stems.map(async (stem) => {
      const deck = new Audio(stem + ".flac");
      await new Promise((resolve, reject) => {
        deck.oncanplaythrough = resolve;
        deck.onerror = () => reject(new Error(stem));
      });
      return deck.duration;
    }))""",
    stems,
  )
  assert durations == pytest.approx([PLAYED] * len(stems), abs=0.001)


def test_every_player_plays_its_sound_and_stops_the_one_before(page):
  page.evaluate(SAMPLER)
  buttons = page.locator("td:not(.gap) .play")
  assert buttons.count() == 2 * 2 * (len(METHODS) + 1) - 1
  seen = []
  for i in range(buttons.count()):
    buttons.nth(i).click()
    expected = page.evaluate("stateOf(state.active).stem")
    wait_heard(page, expected)
    assert buttons.nth(i).get_attribute("aria-pressed") == "true"
    seen.append(expected)
  assert len(set(seen)) == len(seen)
  assert page.locator(".play[aria-pressed=true]").count() == 2  # and the bar's
  buttons.nth(buttons.count() - 1).click()
  silence(page)
  samples = page.evaluate("samples")
  assert max(map(len, samples)) == 3  # time, one sound, its position
  assert set(seen) <= {sample[1] for sample in samples if len(sample) > 1}


def test_levels_and_methods_change_at_the_same_position(page):
  page.evaluate(SAMPLER)
  button(page, "distorted").click()
  wait_heard(page, "distorted-35", 0.4)
  page.get_by_role("radio", name="50").first.check()
  wait_heard(page, "distorted-50", 0.8)
  button(page, "Demucs").click()
  wait_heard(page, "demucs-50", 1.2)
  page.keyboard.press("2")
  wait_heard(page, "clean", 1.6)
  # The target stays as it is.
  page.get_by_role("radio", name="20").first.check()
  page.keyboard.press("4")
  wait_heard(page, "ideal-ratio-mask-20", 2.0)
  page.wait_for_function("samples.at(-1)[1]?.endsWith('mask-20')")
  samples = [sample for sample in page.evaluate("samples") if len(sample) == 3]
  runs = [list(run) for _, run in itertools.groupby(samples, lambda x: x[1])]
  # How far the position jumps against the clock, at each change of sound.
  jumps = np.diff([np.median([x[2] - x[0] for x in run]) for run in runs])
  ends = ["0-distorted-35", "0-distorted-50", "2-demucs-50", "1-clean"]
  ends.append("3-ideal-ratio-mask-20")
  assert [run[0][1].rpartition("/")[2] for run in runs] == ends
  # Clocks of a busy machine stutter; starting anew would be 0.4 s and more.
  assert np.median(np.abs(jumps)) < 0.1
  assert np.abs(jumps).max() < 0.3


def test_a_level_is_for_its_task_and_shows_its_scores(local_page):
  first, second = local_page.locator("section").all()
  names = first.locator(".excerpt + .file").all_inner_texts()
  assert names == FILES  # as they are
  cell = first.locator("td").nth(2)
  assert cell.locator("dd").all_inner_texts() == ["13.00 dB", "\u22123.10"]
  assert "SI\u2011SDR\u00a0↑" in cell.inner_text()
  before = second.inner_text()
  image, wave = cell.locator("img"), cell.locator("path")
  picture, outline = image.get_attribute("src"), wave.get_attribute("d")
  first.get_by_role("radio", name="20").check()
  assert cell.locator("dd").first.inner_text() == "16.00 dB"
  assert image.get_attribute("src") != picture
  assert image.evaluate("image => image.decode().then(() => 'ok')") == "ok"
  assert wave.get_attribute("d") != outline
  assert second.inner_text() == before
  assert first.get_by_text("does not undo SoX overdrive").count() == 2
  failed = second.get_by_text("failed: out of memory")
  assert failed.count() == 1
  second.get_by_role("radio", name="20").check()
  assert failed.count() == 0
  assert second.get_by_text("Input SDR, dB").count() == 1


def test_keys(page):
  page.keyboard.press("Space")
  wait_heard(page, "00/0-distorted-35", 0.05)
  page.keyboard.press("3")
  wait_heard(page, "00/2-demucs-35")
  page.keyboard.press("ArrowRight")
  wait_heard(page, "00/2-demucs-50")
  page.keyboard.press("ArrowDown")
  wait_heard(page, "01/2-demucs-50")
  page.keyboard.press("Space")
  silence(page)
  page.keyboard.press("ArrowLeft")
  page.keyboard.press("ArrowUp")
  assert page.locator("#now").inner_text() == "Demucs · Excerpt 1 · 35 dB"
  silence(page)
  for key in "0..,":
    page.keyboard.press(key)
  assert page.locator("#time").inner_text() == "0.5 of 4.9 s"
  page.keyboard.press("Space")
  wait_heard(page, "00/2-demucs-35", 0.5)
  page.keyboard.press("Space")
  page.keyboard.press("?")
  assert page.get_by_role("dialog").is_visible()
  page.keyboard.press("3")  # Not for the page behind.
  page.keyboard.press("Escape")
  assert not page.get_by_role("dialog").is_visible()
  assert heard(page) is None


def test_keys_on_focused_controls_and_gaps(local_page):
  button(local_page, "distorted").focus()
  local_page.keyboard.press("Space")
  wait_heard(local_page, "0-distorted-35")
  local_page.keyboard.press("2")
  wait_heard(local_page, "1-clean")
  focused = "document.activeElement.getAttribute('aria-label')"
  assert local_page.evaluate(focused) == "Play target, Excerpt 1"
  local_page.keyboard.press("Space")
  silence(local_page)
  local_page.get_by_role("radio", name="35").first.focus()
  local_page.keyboard.press("ArrowRight")
  assert local_page.get_by_role("radio", name="50").first.is_checked()
  # A gap is never played.
  local_page.keyboard.press("5")
  assert "A-SPADE" in local_page.get_by_role("alert").inner_text()
  assert heard(local_page) is None
  button(local_page, "Demucs", task=1, excerpt=2).click()
  wait_heard(local_page, "demucs-7")
  local_page.keyboard.press("ArrowUp")
  wait_heard(local_page, "00/0-distorted-7")


def test_the_picture_seeks(page):
  thumb = page.locator("td .thumb").nth(2)
  box = thumb.bounding_box()
  for share in (0.5, 0.8):
    thumb.click(position={"x": share * box["width"], "y": 10})
    wait_heard(page, "demucs-35", share * PLAYED - 0.03)
  silence(page)  # It ends, and starts again from the beginning.
  assert page.locator(".play[aria-pressed=true]").count() == 0
  page.get_by_role("button", name="Repeat").click()
  button(page, "Demucs").click()
  wait_heard(page, "demucs-35")
  assert page.evaluate(f"({HEARD}).currentTime") < 2.0
  thumb.click(position={"x": 0.9 * box["width"], "y": 10})
  wait_heard(page, "demucs-35", 0.8 * PLAYED)
  page.wait_for_function(f"({HEARD}).currentTime < 0.5 * {PLAYED}")  # again


def press_at_once(page, *keys):
  """Keys that follow each other faster than any sound starts."""
  page.evaluate(
    """(keys) => keys.forEach((key) => document.body.dispatchEvent(
      new KeyboardEvent("keydown", { key, bubbles: true })))""",
    keys,
  )


def test_a_level_that_is_left_at_once_is_not_heard(page):
  page.evaluate(SAMPLER)
  button(page, "distorted").click()
  wait_heard(page, "0-distorted-35", 0.05)
  press_at_once(page, "ArrowRight", "ArrowLeft")
  page.wait_for_function("!player.isPending")
  assert heard(page).endswith("0-distorted-35")
  assert page.get_by_role("radio", name="35").first.is_checked()
  press_at_once(page, "2", "ArrowRight", "ArrowLeft", "ArrowLeft", "3")
  wait_heard(page, "2-demucs-20", 0.3)
  page.wait_for_function("!player.isPending")
  assert heard(page).endswith("2-demucs-20")
  assert max(map(len, page.evaluate("samples"))) == 3


def test_seeking_while_a_level_starts_is_not_lost(page):
  button(page, "distorted").click()
  wait_heard(page, "0-distorted-35", 0.05)
  page.evaluate("""async () => {
    setLevel(tasks[0], 2);
    // Past the moment when the new level's sound takes over the position.
    while (player.isPending && player.spare.paused) {
      await new Promise((resolve) => { setTimeout(resolve, 1); });
    }
    seek(excerpts[0], 3.0);
  }""")
  wait_heard(page, "0-distorted-50")
  assert page.evaluate(f"({HEARD}).currentTime") > 2.9


def blind_names(page):
  page.get_by_role("button", name="Reveal").click()
  names = page.locator("tr:has(td)").evaluate_all(
    """rows => rows.map(row => [...row.querySelectorAll(
      "td:not(.unlisted) .name")].map(name => name.textContent))"""
  )
  page.get_by_role("button", name="Hide again").click()
  return names


def test_blind_mode_hides_and_reveals(browser, local_address):
  with opened(browser, f"{local_address}?blind=7") as page:
    section, order = page.locator("section").first, page.get_by_label("order")
    assert order.input_value() == "7"
    shown = section.locator("td .name:visible").all_inner_texts()
    assert shown == list("ABCD") * 2
    for word in ("Demucs", "target", "distorted", "SI\u2011SDR", "SPADE"):
      assert word not in page.locator("main").inner_text()
      assert page.locator(f"main [aria-label*='{word}']").count() == 0
    assert section.locator("img[src]").count() == 0
    page.keyboard.press("1")
    page.wait_for_function(f"{HEARD}")
    assert page.locator("#now").inner_text().startswith("Version A")
    names = blind_names(page)
    stem = names[0][0][3:].lower().replace("target", "clean").replace(" ", "-")
    assert stem in heard(page)
    listed = [sorted(name[3:] for name in row if ": " in name) for row in names]
    assert listed[0] == ["Demucs", "distorted", "ideal ratio mask", "target"]
    for number in "87":  # Another order, and the same again.
      order.fill(number)
      order.press("Enter")
      assert (blind_names(page) == names) == (number == "7")
    page.get_by_role("button", name="Blind test").click()
    assert section.locator("td .name").first.inner_text() == "distorted"
    assert section.locator("dd").first.is_visible()
  assert len({tuple(name[3:] for name in row) for row in names}) > 1


@pytest.mark.parametrize(
  ("width", "scheme"), [(390, "dark"), (800, "light"), (1280, "dark")]
)
def test_it_fits_every_screen(browser, local_address, width, scheme):
  options = {"viewport": {"width": width, "height": 800}}
  options["color_scheme"] = scheme
  with opened(browser, local_address, **options) as page:
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    box = button(page, "Demucs").bounding_box()
    assert box["width"] >= (34 if width == 1280 else 44)
    button(page, "Demucs").click()
    wait_heard(page, "demucs-35")
    page.evaluate("scrollTo(0, document.body.scrollHeight / 3)")
    tops = page.locator(".bar").evaluate_all(
      "bars => bars.map(bar => bar.getBoundingClientRect().top)"
    )
    assert 0.0 in tops  # A level selector stays in reach.
    paper = page.evaluate("getComputedStyle(document.body).backgroundColor")
    light = np.mean([int(x) for x in paper[4:-1].split(",")])
    assert light < 60 if scheme == "dark" else light > 200


def test_every_control_has_a_name(local_page):
  tree = local_page.locator("body").aria_snapshot()
  for control in ('button "Play Demucs, Excerpt 1', 'group "Gain, dB"'):
    assert control in tree
  assert 'radio "35 dB" [checked]' in tree and 'row "Excerpt 1' in tree
  nameless = {"- button", "- radio", "- slider", "- img"}
  assert not nameless & {x.strip().rstrip(":") for x in tree.splitlines()}


def test_a_sound_that_is_gone_is_told(browser, folder, tmp_path):
  """But not its name to a blind listener."""
  copy = shutil.copytree(folder, tmp_path / "page")
  next(copy.glob("sounds/1-*/00/2-demucs-35.flac")).unlink()
  page = browser.new_page()
  page.goto((copy / "index.html").as_uri())
  button(page, "Demucs").click()
  page.get_by_text("2-demucs-35 cannot be played").wait_for()
  assert page.locator(".play[aria-pressed=true]").count() == 0
  button(page, "target").click()
  wait_heard(page, "clean")
  with served(copy) as url:
    page.goto(f"{url}/index.html?blind=7")
    place = page.evaluate("excerpts[0].order.indexOf(2)")
    page.keyboard.press(str(place + 1))
    page.get_by_role("alert").wait_for()
    said = page.get_by_role("alert").inner_text()
    assert said == "This version cannot be played."
    page.get_by_role("button", name="Reveal").click()
    page.keyboard.press(str(place + 1))
    page.get_by_text("2-demucs-35.flac: status 404").wait_for()
  page.close()


def test_wav_files_serve_a_browser_without_flac(browser, tmp_path):
  options = {"files": 1, "methods": METHODS[:2], "levels": (35.0,), "heard": 1}
  result = make_results(tmp_path / "run", **options)
  write_page([result], tmp_path / "page", wav=True)
  address = (tmp_path / "page" / "index.html").as_uri()
  with opened(browser, f"{address}?fallback=wav") as page:
    page.keyboard.press("Space")
    page.wait_for_function(f"({HEARD})?.currentSrc.endsWith('.wav')")
