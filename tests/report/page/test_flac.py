"""The FLAC files of the page: seeking in them, and decoding without help."""

import base64
import io

import numpy as np
import pytest
import soundfile
from browsing import HEARD, chromium, opened, served
from made_evaluation import make_results, plucked

from distortion_removal.report.page import markup, write_page
from distortion_removal.report.page.seek_table import (
  seekable_length,
  with_seek_table,
)

RATE = 16_000


def encode(samples, *, rate=RATE, level=0.5):
  place = io.BytesIO()
  soundfile.write(
    place, samples, rate, "PCM_16", format="FLAC", compression_level=level
  )
  return place.getvalue()


def as_16_bit(audio):
  return np.rint(32_767 * audio).astype(np.int16)


def sounds():
  """What makes libFLAC use each kind of subframe and of channels."""
  rng = np.random.default_rng(0)
  music = as_16_bit(plucked(0.8, 0))
  noise = rng.integers(-32_768, 32_768, 9_000, dtype=np.int16)
  quiet = rng.integers(-3, 4, 9_000, dtype=np.int16)
  ramp = np.arange(-9_000, 9_000, 2, dtype=np.int16)
  both = np.stack([music, np.roll(music, 3)], axis=1)
  near = np.stack([music, music + rng.integers(-2, 3, len(music))], axis=1)
  return {
    "music": music,
    "full-scale noise": noise,
    "quiet": quiet,
    "silence": np.zeros(5_000, np.int16),
    "constant": np.full(5_000, -1_234, np.int16),
    "ramp": ramp,
    "wasted bits": noise // 16 * 16,
    "square": np.where(music > 0, 32_767, -32_768).astype(np.int16),
    "one sample": np.array([-7], np.int16),
    "two channels": both,
    "near mono": near.astype(np.int16),
    "loud side": np.stack([noise, 32_767 - np.abs(noise)], 1).astype(np.int16),
  }


@pytest.fixture(scope="module")
def browser():
  with chromium() as found:
    yield found


@pytest.fixture
def page(browser):
  """A page with the decoder alone."""
  script = (markup.ASSETS_FOLDER / "flac.js").read_text()
  with opened(browser, "about:blank") as found:
    found.add_script_tag(content=script)
    yield found


@pytest.mark.parametrize("level", [0.0, 0.5, 1.0])
def test_decodes_as_libflac_does(page, level):
  files = {name: encode(x, level=level) for name, x in sounds().items()}
  decoded = page.evaluate(
    """(files) => files.map((text) => {
      const { sampleRate, bits, channels } = decodeFlac(
        Uint8Array.from(atob(text), (c) => c.charCodeAt(0)));
      return [sampleRate, bits, channels.map((channel) => channel.join())];
    })""",
    [base64.b64encode(flac).decode() for flac in files.values()],
  )
  for (name, samples), found in zip(sounds().items(), decoded, strict=True):
    assert found[:2] == [RATE, 16], name
    channels = [np.fromstring(text, int, sep=",") for text in found[2]]
    expected = samples.reshape(len(samples), -1)
    np.testing.assert_array_equal(np.stack(channels, 1), expected, name)
    libsndfile, _ = soundfile.read(io.BytesIO(files[name]), dtype="int16")
    np.testing.assert_array_equal(libsndfile, samples)


@pytest.mark.parametrize("subtype", ["PCM_S8", "PCM_24"])
def test_decodes_other_depths(page, subtype):
  place = io.BytesIO()
  audio = plucked(0.5, 1)
  soundfile.write(place, audio, RATE, subtype, format="FLAC")
  found = page.evaluate(
    "(bytes) => [...decodeFlac(new Uint8Array(bytes)).channels[0]]",
    list(place.getvalue()),
  )
  place.seek(0)
  bits = {"PCM_S8": 8, "PCM_24": 24}[subtype]
  expected = soundfile.read(place, dtype="int32")[0] >> (32 - bits)
  np.testing.assert_array_equal(found, expected)


def test_wav_is_what_was_decoded(page):
  samples = sounds()["two channels"]
  wav = page.evaluate(
    """(bytes) => [...new Uint8Array(
      encodeWav(decodeFlac(new Uint8Array(bytes))))]""",
    list(encode(samples)),
  )
  found, rate = soundfile.read(io.BytesIO(bytes(wav)), dtype="int16")
  assert rate == RATE
  np.testing.assert_array_equal(found, samples)


@pytest.mark.parametrize("damage", ["cut", "text", "garbled"])
def test_damage_is_told(page, damage):
  flac = encode(sounds()["music"])
  garbled = flac[:5_000] + bytes(1_000) + flac[6_000:]
  data = {"cut": flac[:9_000], "text": b"<!doctype html>", "garbled": garbled}
  message = page.evaluate(
    """(bytes) => {
      try { decodeFlac(new Uint8Array(bytes)); return "";
      } catch (error) { return error.message; }
    }""",
    list(data[damage]),
  )
  assert "FLAC file" in message


def test_a_seek_table_points_to_every_frame_but_the_last():
  samples = as_16_bit(plucked(4.0, 2))
  flac = encode(samples)
  found = with_seek_table(flac)
  read, _ = soundfile.read(io.BytesIO(found), dtype="int16")
  np.testing.assert_array_equal(read, samples)
  assert found[42] & 0x7F == 3
  size = int.from_bytes(found[43:46], "big")
  assert size == 18 * (len(samples) // 4_096)
  audio = len(found) - (len(flac) - flac.index(b"\xff\xf8"))
  for i in range(size // 18):
    point = found[46 + 18 * i : 64 + 18 * i]
    assert int.from_bytes(point[:8], "big") == 4_096 * i
    offset = audio + int.from_bytes(point[8:16], "big")
    assert found[offset : offset + 2] == b"\xff\xf8"
    assert found[offset + 4] == i  # The frame's number.


def test_seek_tables_are_for_flac_of_fixed_frames():
  with pytest.raises(ValueError, match="not a FLAC file"):
    with_seek_table(b"RIFF....")
  cut = encode(as_16_bit(plucked(4.0, 2)))
  with pytest.raises(ValueError, match="frames of a fixed size"):
    with_seek_table(cut[: len(cut) // 2])


@pytest.mark.parametrize("samples", [1, 4_095, 4_112, 4_113, 80_000])
def test_seekable_length(samples):
  found = seekable_length(samples)
  assert samples - 4_096 < found <= samples
  assert found == samples if samples < 4_112 else found % 4_096 == 16


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("rate", [8_000, 16_000, 44_100, 48_000])
def test_chromium_seeks_to_anywhere(browser, tmp_path, rate, channels):
  length = seekable_length(round(3.2 * rate))
  audio = plucked(3.2, 5, rate)[:length]
  samples = as_16_bit(np.stack([audio, audio[::-1]][:channels], axis=1))
  flac = with_seek_table(encode(samples, rate=rate))
  (tmp_path / "sound.flac").write_bytes(flac)
  (tmp_path / "index.html").write_text('<link rel="icon" href="data:,">')
  address = (tmp_path / "index.html").as_uri()
  times = np.arange(0.0, length / rate - 0.05, 0.05)
  with opened(browser, address) as page:
    refused = page.evaluate(
      """(times) => Promise.all(times.map(async (time) => {
        const deck = new Audio("sound.flac");
        await new Promise((resolve) => { deck.onloadedmetadata = resolve; });
        deck.currentTime = time;
        return new Promise((resolve) => {
          deck.onseeked = () => resolve(null);
          deck.onerror = () => resolve(`${time}: ${deck.error.message}`);
        });
      }))""",
      times.tolist(),
    )
  assert [text for text in refused if text] == []


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
  """A small page."""
  root = tmp_path_factory.mktemp("page")
  options = {"files": ("test/0.wav",), "levels": (35.0,), "seconds": 3.0}
  return write_page(make_results(root, [options]), root / "page").parent


def test_a_browser_without_flac_decodes_it(browser, folder):
  with (
    served(folder) as url,
    opened(browser, f"{url}/index.html?fallback=wav") as page,
  ):
    page.keyboard.press("Space")
    page.wait_for_function(f"({HEARD})?.currentTime > 0.1")
    page.keyboard.press("3")
    page.wait_for_function(f"({HEARD})?.dataset.sound.includes('demucs')")
    stem = page.evaluate(f"({HEARD}).dataset.sound")
    wav = page.evaluate(
      f"""async () => [...new Uint8Array(
        await (await fetch(({HEARD}).currentSrc)).arrayBuffer())]"""
    )
  found, rate = soundfile.read(io.BytesIO(bytes(wav)), dtype="int16")
  expected, _ = soundfile.read(folder / f"{stem}.flac", dtype="int16")
  assert rate == RATE
  np.testing.assert_array_equal(found, expected)


def test_a_browser_without_flac_says_what_to_do_on_disk(browser, folder):
  address = (folder / "index.html").as_uri()
  with opened(browser, f"{address}?fallback=wav") as page:
    page.keyboard.press("Space")
    alert = page.get_by_role("alert")
    alert.wait_for()
    assert "python3 -m http.server" in alert.inner_text()
    assert page.locator(".play[aria-pressed=true]").count() == 0


def test_wav_files_serve_a_browser_without_flac_on_disk(
  browser, folder, tmp_path
):
  options = {"files": ("test/0.wav",), "levels": (35.0,), "seconds": 1.0}
  results = make_results(tmp_path, [options])
  address = write_page(results, tmp_path / "page", wav=True).as_uri()
  with opened(browser, f"{address}?fallback=wav") as page:
    page.keyboard.press("Space")
    page.wait_for_function(f"({HEARD})?.currentSrc.endsWith('.wav')")
