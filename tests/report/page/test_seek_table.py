"""Seek tables: where they point to, and seeking with them in a browser."""

import io

import numpy as np
import pytest
import soundfile
from browsing import chromium, opened
from made_results import plucked

from distortion_removal.report.page import audio
from distortion_removal.report.page.seek_table import (
  seekable_length,
  with_seek_table,
)

RATE = 16_000


def test_a_seek_table_points_to_every_frame_but_the_last():
  samples = np.rint(32_767 * plucked(4.0, 2)).astype(np.int16)
  place = io.BytesIO()
  soundfile.write(place, samples, RATE, "PCM_16", format="FLAC")
  found = with_seek_table(flac := place.getvalue())
  read, _ = soundfile.read(io.BytesIO(found), dtype="int16")
  np.testing.assert_array_equal(read, samples)
  assert found[42] & 0x7F == 3
  size = int.from_bytes(found[43:46], "big")
  assert size == 18 * (len(samples) // 4_096)
  start = len(found) - (len(flac) - flac.index(b"\xff\xf8"))
  for i in range(size // 18):
    point = found[46 + 18 * i : 64 + 18 * i]
    assert int.from_bytes(point[:8], "big") == 4_096 * i
    offset = start + int.from_bytes(point[8:16], "big")
    assert found[offset : offset + 2] == b"\xff\xf8"
    assert found[offset + 4] == i  # The frame's number.


@pytest.mark.parametrize("samples", [1, 4_095, 4_112, 4_113, 80_000])
def test_seekable_length(samples):
  found = seekable_length(samples)
  assert samples - 4_096 < found <= samples
  assert found == samples if samples < 4_112 else found % 4_096 == 16


@pytest.mark.e2e
@pytest.mark.parametrize(
  ("rate", "channels"), [(8_000, 1), (16_000, 2), (44_100, 2), (48_000, 1)]
)
def test_chromium_seeks_to_anywhere(tmp_path, rate, channels):
  length = seekable_length(round(3.2 * rate))
  sound = plucked(3.2, 5, rate)[:length]
  sides = np.stack([sound, sound[::-1]][:channels], axis=1)
  (tmp_path / "sound.flac").write_bytes(audio.flac(sides, rate))
  (tmp_path / "index.html").write_text('<link rel="icon" href="data:,">')
  address = (tmp_path / "index.html").as_uri()
  times = np.arange(0.0, length / rate - 0.05, 0.05)
  with chromium() as browser, opened(browser, address) as page:
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
