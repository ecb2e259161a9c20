"""What is chosen for recordings whose faults are known."""

import numpy as np
import pytest
import soundfile
from overdriven import notes
from support.saturated import RATE as SATURATED_RATE
from support.saturated import limited_both_ways, music

from distortion_removal.effects.overdrive import overdrive
from distortion_removal.inference import automatic

RATE = 16_000


@pytest.mark.e2e
@pytest.mark.parametrize(
  ("fault", "method"),
  [
    ("overdriven", "inversion"),
    ("clipped", automatic.HYBRID),
    ("clean", "best"),
  ],
)
def test_what_a_recording_calls_for(tmp_path, fault, method):
  clean = notes(RATE)
  audio = {
    "overdriven": lambda: 0.6 * np.asarray(overdrive(clean[None], 35.0))[0],
    "clipped": lambda: np.clip(clean, -0.2, 0.2),
    "clean": lambda: clean,
  }[fault]()
  path = tmp_path / "in.wav"
  soundfile.write(path, audio, RATE, subtype="PCM_16")
  plan = automatic.choose(path)
  assert plan.method == method
  assert (plan.reason.split()[0], fault) in {
    ("overdrive:", "overdriven"),
    ("clipped", "clipped"),
    ("neither", "clean"),
  }


def test_strong_evidence_of_soft_clipping_is_enough(tmp_path):
  """A limiter with a soft knee; what lies below the knee stays."""
  path = tmp_path / "in.wav"
  sound = limited_both_ways(music(seconds=6)[:, None], 0.12, 0.2)
  soundfile.write(path, sound, SATURATED_RATE, subtype="DOUBLE")
  plan = automatic.choose(path, "fast", found=[None])
  low, high = plan.clipping.knee.low[0, 0], plan.clipping.knee.high[0, 0]
  assert -0.76 < low / 0.2 < -0.55 and 0.55 < high / 0.2 < 0.76
  assert plan.clipping.count == np.sum((sound <= low) | (sound >= high))
  assert plan.reason.startswith("softly clipped")
  # Music as it is has no such evidence.
  soundfile.write(path, music(seconds=3), SATURATED_RATE, subtype="DOUBLE")
  assert not automatic.choose(path, "fast", found=[None]).clipping.count


def test_what_is_found_already_is_not_looked_for(tmp_path, monkeypatch):
  monkeypatch.setattr(automatic.blind, "find", None)
  path = tmp_path / "a.wav"
  soundfile.write(path, np.clip(notes(RATE), -0.2, 0.2), RATE)
  plan = automatic.choose(path, "fast", found=[None])
  assert plan.method == "fast" and "clipped at" in plan.reason


def test_the_network_is_for_its_rate_and_unless_a_preset_is_asked_for(tmp_path):
  path = tmp_path / "a.wav"
  audio = np.clip(notes(RATE), -0.2, 0.2)
  for rate, declipper, expected in (
    (RATE, None, automatic.HYBRID),
    (RATE, "best", "best"),
    (44_100, None, "best"),
  ):
    soundfile.write(path, audio, rate)
    assert automatic.choose(path, declipper, found=[None]).method == expected
