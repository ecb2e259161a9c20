"""Files whose overdrive is undone: channels, blocks, parts, formats.

Where the settings are found, which takes seconds, the test is `e2e`.
"""

import shutil
import subprocess
import tracemalloc

import numpy as np
import pytest
import soundfile
from overdriven import STEP, overdriven, rounded, si_sdr_db, strings, truncated

from distortion_removal import restore
from distortion_removal.audio.resampling import resample
from distortion_removal.common.errors import UserError
from distortion_removal.effects.invertible import FAMILY, Parameters
from distortion_removal.inference import blind, inversion
from distortion_removal.inference.blind import Choice, Found
from distortion_removal.inference.inversion import invert_file
from distortion_removal.inversion.estimate import Estimate

RATE = 16_000
GIVEN = Choice.parse("overdrive:gain=35,colour=20,scale=0.4")


@pytest.fixture
def paths(tmp_path):
  """A source and a target."""
  return tmp_path / "in.wav", tmp_path / "out.wav"


def found(effect, gain, scale=0.4, shift=0.1, offset=0.0):
  """What a search would have said."""
  parameters = Parameters(gain, scale, shift, offset)
  estimate = Estimate(FAMILY[effect], parameters, -5.0, -4.0, 1.0)
  return Found(effect, estimate, parameters, RATE)


def undone(channels, audio, block):
  """The audio without the effects, given in blocks of a length."""
  blocks = (audio[k : k + block].copy() for k in range(0, len(audio), block))
  return np.concatenate([*inversion.undo(channels, blocks)])


def test_blocks_of_any_length_make_the_same(monkeypatch):
  clean = np.stack([strings(0.5, k) for k in range(4)], axis=1)
  audio = np.stack(
    [
      overdriven(clean[:, 0], 30.0, 20.0, 0.4),
      clean[:, 1],
      0.5 * np.tanh(2.0 * clean[:, 2]),
      overdriven(clean[:, 3], 20.0, 0.0, 0.7),
    ],
    axis=1,
  )
  effects = [
    found("overdrive", 10**1.5),
    None,
    found("tanh", 2.0, 0.5, 0.0),
    found("overdrive", 10.0, 0.7, 0.0),
  ]
  whole = undone(effects, audio, len(audio))
  np.testing.assert_allclose(whole, clean, atol=1e-12)
  np.testing.assert_array_equal(whole[:, 1], audio[:, 1])
  monkeypatch.setattr(inversion, "_BLOCK", 1000)
  for block in (333, 1000, 4001):
    np.testing.assert_array_equal(undone(effects, audio, block), whole)


@pytest.mark.parametrize(
  ("text", "effect", "known"),
  [
    ("auto", "auto", {}),
    ("tanh_dry", "tanh_dry", {}),
    ("overdrive:gain=35", "overdrive", {"gain_db": 35.0}),
    (
      "overdrive:colour=20,gain=-3.5,scale=1e-1",
      "overdrive",
      {"gain_db": -3.5, "shift": 0.1, "scale": 0.1},
    ),
  ],
)
def test_effects_and_settings_of_the_command_line(text, effect, known):
  choice = Choice.parse(text)
  assert choice.effect == effect
  assert choice.known == pytest.approx(known)


@pytest.mark.parametrize(
  ("text", "named"),
  [
    ("fuzz", "'fuzz'"),
    ("", "overdrive"),
    ("overdrive:gain", "'gain'"),
    ("overdrive:gain=loud", "'gain=loud'"),
    ("overdrive:tone=3", "'tone=3'"),
    ("overdrive:scale=0", "scale"),
    ("overdrive:scale=-1", "scale"),
    ("overdrive:gain=nan", "finite"),
    ("overdrive:colour=inf", "finite"),
    ("auto:gain=35", "name it"),
  ],
)
def test_mistakes_in_them(text, named):
  with pytest.raises(UserError, match=named) as caught:
    Choice.parse(text)
  assert "\n" not in str(caught.value)


def test_which_effects_are_undone():
  """A named soft clip if it is likelier; the overdrive if it is certain."""
  certain = found("overdrive", 100.0)
  vague = Estimate(*certain.estimate[:2], -5.0, -4.9, 0.0)
  vague = certain._replace(estimate=vague)
  for text, expected in {
    "auto": [certain, None, None],
    "overdrive": [certain, None, None],
    "tanh": [certain, vague, None],
    "overdrive:gain=3": [certain, vague, None],
  }.items():
    assert Choice.parse(text).chosen([certain, vague, None]) == expected


def test_json_is_in_units_of_people():
  fields = found("overdrive", 100.0, offset=-STEP).as_json()
  assert fields["gain_db"] == pytest.approx(40.0)
  assert fields["colour"] == pytest.approx(20.0)
  assert (fields["scale"], fields["offset"]) == (0.4, -STEP)
  assert fields["likelihood_gain"] == pytest.approx(1.0)
  assert (fields["effect"], fields["is_certain"]) == ("overdrive", True)


@pytest.mark.e2e
def test_channels_share_settings_and_silence_stays(paths):
  """The louder channel is searched, and its settings serve the other."""
  clean = np.stack([strings(3.0, 0), 0.7 * strings(3.0, 2)], axis=1)
  audio = rounded(overdriven(clean, 35.0, 20.0, 0.4))
  audio = np.insert(audio, 1, 0.0, axis=1)
  soundfile.write(paths[0], audio, RATE)
  one, none, other = blind.find(paths[0])
  assert one is other
  assert none is None
  line = invert_file(*paths, subtype="FLOAT").line
  assert "gain 35.0" in line
  assert "colour 20" in line
  restored, rate = soundfile.read(paths[1])
  assert (rate, soundfile.info(paths[1]).subtype) == (RATE, "FLOAT")
  assert not restored[:, 1].any()
  for k, target in enumerate(clean.T):
    assert si_sdr_db(restored[:, 2 * k], target) > 60.0


@pytest.mark.e2e
@pytest.mark.parametrize("subtype", ["PCM_16", "FLOAT"])
def test_a_file_without_the_effect_stays_to_the_bit(paths, subtype):
  audio = np.clip(strings(1.5)[:, None], -0.1, 0.1)
  soundfile.write(paths[0], audio, RATE, subtype=subtype)
  line = invert_file(*paths, Choice("overdrive")).line
  assert line.endswith("the result is the input")
  before, after = (soundfile.read(path)[0] for path in paths)
  np.testing.assert_array_equal(after, before)
  assert soundfile.info(paths[1]).subtype == subtype


@pytest.mark.parametrize("samples", [100, RATE])
def test_too_little_sound_stays(paths, samples):
  soundfile.write(paths[0], np.zeros((samples, 2)), RATE)
  assert "too little sound" in invert_file(*paths).line
  assert soundfile.info(paths[1]).frames == samples


@pytest.mark.e2e
def test_settings_are_found_amid_a_long_file(paths, monkeypatch):
  """From the loudest part, where what the effect remembers is unknown."""
  monkeypatch.setattr(blind, "LONGEST_SECONDS", 3.0)
  asked = []
  find_in = blind.find_in

  def listen(audio, rate, choice, *, is_start, step):
    asked.append((len(audio), is_start))
    return find_in(audio, rate, choice, is_start=is_start, step=step)

  monkeypatch.setattr(blind, "find_in", listen)
  clean = strings(8.0)
  clean[: 4 * RATE] *= 0.01
  audio = truncated(overdriven(clean, 35.0, 20.0, 0.4))
  soundfile.write(paths[0], audio, RATE)
  invert_file(*paths, subtype="DOUBLE")
  assert asked == [(3 * RATE, False)]
  restored, _ = soundfile.read(paths[1])
  true = found("overdrive", 10 ** (35 / 20), offset=-0.5 * STEP)
  best = undone([true], audio[:, None], len(audio))[:, 0]
  assert si_sdr_db(restored, clean) > si_sdr_db(best, clean) - 2.0 > 55.0


@pytest.mark.e2e
def test_settings_by_hand_on_the_command_line(paths, capsys):
  clean = strings(1.0)
  audio = rounded(overdriven(clean, 35.0, 20.0, 0.4))
  soundfile.write(paths[0], audio, RATE)
  options = ["--method=inversion", "--subtype=FLOAT"]
  effect = "--effect=overdrive:gain=35,colour=20,scale=0.4"
  restore.main([str(paths[0]), "-o", str(paths[1]), *options, effect])
  line, last = capsys.readouterr().out.splitlines()
  assert line.startswith("overdrive: gain 35.00 dB, scale 0.4, colour 20, ")
  assert last == f"restored: {paths[1]}"
  restored, _ = soundfile.read(paths[1])
  assert si_sdr_db(restored, clean) > 60.0
  # They are used also where they are wrong, and the line says so.
  soundfile.write(paths[0], rounded(clean), RATE)
  assert "(not certain)" in invert_file(*paths, GIVEN).line


@pytest.mark.parametrize(
  ("before", "after", "expected"),
  [
    (16_000, 44_100, 16_000),
    (44_100, 48_000, 44_100),
    (48_000, 44_100, None),
    (44_100, 44_100, None),
  ],
)
def test_the_rate_before_resampling_is_seen(before, after, expected):
  noise = 0.1 * np.random.default_rng(0).standard_normal((before, 2))
  audio = rounded(resample(noise, before, after))
  assert blind.former_rate(audio, after) == expected


@pytest.mark.e2e
def test_a_resampled_file_is_undone_at_its_former_rate(paths):
  clean = strings(3.0)
  audio = overdriven(clean, 25.0, 20.0, 0.4)[:, None]
  soundfile.write(paths[0], resample(audio, RATE, 22_050), 22_050)
  choice = Choice("overdrive")
  (one,) = blind.find(paths[0], choice)
  assert one.sample_rate == RATE
  assert one.estimate.gain_db == pytest.approx(25.0, abs=0.5)
  invert_file(*paths, choice, found=[one], subtype="FLOAT")
  restored, rate = soundfile.read(paths[1])
  assert (rate, len(restored)) == (22_050, soundfile.info(paths[0]).frames)
  target = resample(clean[:, None], RATE, rate)[:, 0]
  before = si_sdr_db(soundfile.read(paths[0])[0], target)
  assert si_sdr_db(restored, target) > before + 10.0


def test_a_channel_that_stays_is_not_resampled(paths):
  clean = strings(1.0)
  audio = np.stack([overdriven(clean, 20.0, 20.0, 0.4), clean], axis=1)
  audio = resample(audio, RATE, 22_050)
  audio[:, 1] += 0.1 * np.random.default_rng(0).standard_normal(len(audio))
  soundfile.write(paths[0], audio, 22_050, subtype="DOUBLE")
  invert_file(*paths, found=[found("overdrive", 10.0), None])
  restored, _ = soundfile.read(paths[1])
  np.testing.assert_array_equal(restored[:, 1], audio[:, 1])
  target = resample(clean[:, None], RATE, 22_050)[:, 0]
  assert si_sdr_db(restored[:, 0], target) > 30.0


@pytest.mark.e2e
def test_memory_stays_flat_in_the_length(paths):
  clean = strings(2.0)
  block = rounded(overdriven(clean, 35.0, 20.0, 0.4))
  most = {}
  for count in (12, 25):
    with soundfile.SoundFile(paths[0], "w", RATE, 1, "PCM_16") as file:
      for _ in range(count):
        file.write(block)
    tracemalloc.start()
    invert_file(*paths, GIVEN)
    _, most[count] = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert soundfile.info(paths[1]).frames == 2 * count * RATE
  assert most[25] < 1.1 * most[12]


@pytest.mark.e2e
@pytest.mark.skipif(not shutil.which("sox"), reason="needs the program sox")
def test_undoes_what_the_sox_program_made(paths):
  clean = strings(3.0)
  source, target = paths
  made = source.with_name("made.wav")
  soundfile.write(source, clean, RATE, subtype="FLOAT")
  effects = ["overdrive", "30", "20", "gain", "-3"]
  command = ["sox", "-D", source, "-b", "16", made, *effects]
  subprocess.run(command, check=True)
  line = invert_file(made, target, subtype="FLOAT").line
  assert line.startswith("overdrive: gain 30.0")
  restored, _ = soundfile.read(target)
  assert si_sdr_db(restored, clean) > 50.0
