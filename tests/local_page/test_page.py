"""The page in a browser, as a user has it, with real restorations."""

import re

import numpy as np
import pytest
import soundfile
from browsing import HEARD, chromium, opened
from conftest import pluck
from serving import Slow, doubling, serving, wait_for

from distortion_removal import restore
from distortion_removal.restore import restore_recording

pytestmark = pytest.mark.e2e
RATE = 16_000
SECONDS = 3.0
# Drops a file on the page, as the desktop would.
DROP = """([name, bytes]) => {
  const transfer = new DataTransfer();
  transfer.items.add(new File([new Uint8Array(bytes)], name));
  for (const kind of ["dragover", "drop"]) {
    document.body.dispatchEvent(new DragEvent(kind, {
      dataTransfer: transfer, bubbles: true, cancelable: true }));
  }
}"""


@pytest.fixture(scope="module")
def browser():
  with chromium() as found:
    yield found


@pytest.fixture(scope="module")
def take(tmp_path_factory):
  """A stereo recording that is clipped at full scale."""
  path = tmp_path_factory.mktemp("takes") / 'Gitarre & "Flügel".wav'
  tones = [pluck(SECONDS, pitch, RATE) for pitch in (110.0, 165.0)]
  audio = np.clip(2.0 * np.concatenate(tones, axis=1), -1.0, 1.0)
  soundfile.write(path, audio, RATE, "PCM_16")
  return path


@pytest.fixture(scope="module")
def real(tmp_path_factory):
  folder = tmp_path_factory.mktemp("real") / "recordings"
  with serving(folder, restore_recording) as client:
    yield f"http://{client.host}/"


@pytest.fixture
def quick(tmp_path):
  with serving(tmp_path / "recordings", doubling) as client:
    yield f"http://{client.host}/"


def drop(page, path):
  page.evaluate(DROP, [path.name, list(path.read_bytes())])
  page.locator("#studio").wait_for()


def choose(page, method, preset=None, strength=100):
  page.get_by_label("Method").select_option(method)
  if preset:
    page.get_by_role("radio", name=preset).check()
  page.get_by_label("Strength").fill(str(strength))


def press_restore(page):
  page.get_by_role("button", name="Restore").click()
  page.locator("#work").wait_for(state="hidden", timeout=120_000)


def download(page, path, link="#download"):
  with page.expect_download() as found:
    page.locator(link).click()
  found.value.save_as(path)
  return found.value.suggested_filename


def by_command(take, target, *options):
  restore.main([str(take), "-o", str(target), *options])
  return soundfile.read(target)[0]


def wait_heard(page, version, beyond=0.0):
  page.wait_for_function(
    f"""([version, beyond]) => {{ const deck = {HEARD};
      return deck && deck.dataset.sound === version
        && deck.currentTime > beyond; }}""",
    arg=[version, beyond],
  )


def test_a_recording_from_drop_to_download(browser, real, take, tmp_path):
  with opened(browser, real) as page:
    drop(page, take)
    assert page.locator("#name").inner_text() == take.name
    assert "stereo · 16 kHz · WAV PCM 16" in page.locator("#form").inner_text()
    assert "clipped at" in page.locator("#facts").inner_text()
    assert page.locator("#wave .marks").count() == 2
    assert page.get_by_role("radio", name="After").is_disabled()
    choose(page, "declip", "fast")
    press_restore(page)
    assert page.get_by_role("alert").is_hidden()
    # While it plays, one goes over to another version where one is.
    page.keyboard.press("1")
    page.keyboard.press("Space")
    wait_heard(page, "before", 0.3)
    page.keyboard.press("2")
    wait_heard(page, "after", 0.6)
    page.get_by_role("radio", name="Difference").check()
    wait_heard(page, "difference", 0.9)
    assert page.evaluate(f"({HEARD}).currentTime") < 2.5
    page.keyboard.press("Space")
    page.wait_for_function("() => player.decks.every((deck) => deck.paused)")
    name = download(page, tmp_path / "page.wav")
    assert (
      re.sub("[^a-zA-Zü &]", "_", name) == "Gitarre & _Flügel__restored_wav"
    )
    assert "quieter" in page.locator("#overflow").inner_text()
    download(page, tmp_path / "float.wav", "#download-float")
  ours = soundfile.read(tmp_path / "page.wav")[0]
  theirs = by_command(take, tmp_path / "command.wav", "--method=fast")
  assert np.array_equal(ours, theirs)
  options = "--method=fast", "--on-overflow=float"
  floats = by_command(take, tmp_path / "command-float.wav", *options)
  assert np.array_equal(soundfile.read(tmp_path / "float.wav")[0], floats)
  assert soundfile.info(tmp_path / "float.wav").subtype == "FLOAT"
  assert np.abs(floats).max() > 1.05


@pytest.mark.parametrize(
  ("form", "options"),
  [
    (("auto", "fast", 60), ("--preset=fast", "--strength=60")),
    (("hybrid-hard-clip-16k",), ("--model=hybrid-hard-clip-16k",)),
  ],
)
def test_every_kind_of_method_is_the_command_s(
  browser, real, take, tmp_path, form, options
):
  with opened(browser, real) as page:
    drop(page, take)
    choose(page, *form)
    press_restore(page)
    download(page, tmp_path / "page.wav")
  theirs = by_command(take, tmp_path / "command.wav", *options)
  assert np.array_equal(soundfile.read(tmp_path / "page.wav")[0], theirs)
  infos = [soundfile.info(tmp_path / f"{x}.wav") for x in ("page", "command")]
  assert infos[0].subtype == infos[1].subtype == "PCM_16"


def test_mistakes_are_told_and_the_page_goes_on(browser, quick, take, tmp_path):
  (tmp_path / "song.mp3").write_bytes(b"no song" * 1000)
  (tmp_path / "notes.txt").write_bytes(b"no song")
  context = browser.new_context()
  page = context.new_page()
  page.goto(quick)
  for name in ("song.mp3", "notes.txt"):
    path = tmp_path / name
    page.evaluate(DROP, [name, list(path.read_bytes())])
    page.get_by_role("alert").get_by_text(name).wait_for()
  drop(page, take)
  assert page.get_by_role("alert").is_hidden()
  # In another window another recording takes its place.
  other = context.new_page()
  other.goto(quick)
  drop(other, take)
  page.get_by_role("button", name="Restore").click()
  page.get_by_role("alert").get_by_text("drop it again").wait_for()
  context.close()


def test_a_seek_in_the_picture_and_the_end(browser, quick, take):
  with opened(browser, quick) as page:
    page.get_by_label("choose").set_input_files(take)
    page.locator("#studio").wait_for()
    box = page.locator("#picture").bounding_box()
    page.locator("#picture").click(position={"x": 0.6 * box["width"], "y": 9})
    wait_heard(page, "before", 0.6 * SECONDS - 0.05)
    # Just before the end: the whole of the sound can be reached.
    page.locator("#picture").click(position={"x": 0.97 * box["width"], "y": 9})
    page.wait_for_function("() => !state.isOn && state.position === 0")
    page.keyboard.press("r")
    page.keyboard.press(".")
    page.keyboard.press("Space")
    wait_heard(page, "before", 0.5)
    # What is heard goes on when there is a restoration.
    choose(page, "declip")
    page.get_by_role("button", name="Restore").click()
    wait_heard(page, "after")


def test_work_can_be_cancelled(browser, take, tmp_path):
  slow = Slow()
  with (
    serving(tmp_path / "recordings", slow) as client,
    opened(browser, f"http://{client.host}/") as page,
  ):
    drop(page, take)
    choose(page, "declip")
    page.get_by_role("button", name="Restore").click()
    page.locator("#work").get_by_text(re.compile(r"done [1-9]")).wait_for()
    assert page.locator("#share").get_attribute("value")
    assert page.get_by_role("button", name="Restore").is_disabled()
    page.get_by_role("button", name="Cancel").click()
    page.locator("#work").wait_for(state="hidden")
    wait_for(lambda: slow.ended)
    slow.may_finish.set()
    press_restore(page)
    page.get_by_role("radio", name="After").wait_for()
    assert page.get_by_role("radio", name="After").is_checked()


@pytest.mark.parametrize(
  ("width", "scheme"), [(390, "dark"), (800, "light"), (1280, "dark")]
)
def test_it_fits_every_screen(browser, quick, take, width, scheme):
  options = {"viewport": {"width": width, "height": 800}}
  options["color_scheme"] = scheme
  with opened(browser, quick, **options) as page:
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    drop(page, take)
    choose(page, "declip")
    press_restore(page)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    for name in ("#start", "#download"):
      assert page.locator(name).bounding_box()["height"] >= 44
    paper = page.evaluate("getComputedStyle(document.body).backgroundColor")
    light = np.mean([int(x) for x in paper[4:-1].split(",")])
    assert light < 60 if scheme == "dark" else light > 200
    tree = page.locator("body").aria_snapshot()
    nameless = {"- button", "- radio", "- slider", "- img", "- combobox"}
    assert not nameless & {x.strip().rstrip(":") for x in tree.splitlines()}
