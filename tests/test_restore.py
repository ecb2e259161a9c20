"""The command that restores a recording: its results, and one-line errors."""

import hashlib
import json
import re
import subprocess
import sys
from pathlib import Path

import jax
import numpy as np
import pytest
import soundfile
from conftest import ROOT, files_of, pluck
from overdriven import notes

from distortion_removal import __version__, restore
from distortion_removal.effects.overdrive import overdrive
from distortion_removal.metrics.si_sdr import si_sdr
from distortion_removal.training import shipped

RATE = 8_000


@pytest.fixture
def clean(tmp_path):
  """Two tones with peaks of 0.4; lies in in.wav, clipped at -0.3 and 0.25."""
  time = np.arange(RATE)[:, None] / RATE
  tones = 0.4 * np.sin(2 * np.pi * 440.0 * np.array([1, 2]) * time)
  soundfile.write(tmp_path / "in.wav", np.clip(tones, -0.3, 0.25), RATE)
  return tones


def _restore(tmp_path, *arguments):
  source, target = (str(tmp_path / name) for name in ("in.wav", "out.wav"))
  restore.main([source, "-o", target, *map(str, arguments)])
  return soundfile.info(target)


@pytest.mark.e2e
def test_with_a_declipper(tmp_path, clean, capsys):
  options = "--clip-level=-0.3,0.25 --frame=256 --sparsity-step=4"
  options += " --method=aspade --subtype=FLOAT"
  info = _restore(tmp_path, *options.split())
  summary, line = capsys.readouterr().out.splitlines()
  assert summary.startswith("clipped at -0.3 and 0.25: ")
  assert line == f"restored: {tmp_path / 'out.wav'}"
  assert (info.frames, info.samplerate) == (len(clean), RATE)
  assert (info.channels, info.subtype) == (2, "FLOAT")


@pytest.mark.e2e
def test_with_a_trained_run(tmp_path, clean, tiny_run, capsys):
  soundfile.write(tmp_path / "in.wav", clean[:, [0, 1, 0]], 11_025)
  info = _restore(tmp_path, "--model", tiny_run, "--receipt")
  note, line = capsys.readouterr().out.splitlines()
  assert "4 kHz" in note and "the input" in note
  assert line == f"restored: {tmp_path / 'out.wav'}"
  receipt = json.loads((tmp_path / "out.wav.json").read_text())
  assert receipt["found"]["above_band"] == "the input"
  assert (info.frames, info.samplerate) == (len(clean), 11_025)
  assert (info.channels, info.subtype) == (3, "PCM_16")


@pytest.mark.e2e
def test_a_shipped_model_declips(tmp_path, capsys):
  """Clipped samples come nearer to the clean ones, the others stay."""
  rate = 16_000
  clean = pluck(0.7, 131.0, rate)
  clipped = np.clip(clean, -0.5, 0.5)
  soundfile.write(tmp_path / "in.wav", clipped, rate, subtype="DOUBLE")
  _restore(tmp_path, "-n", "hybrid-hard-clip-16k")
  summary, line = capsys.readouterr().out.splitlines()
  assert summary.startswith("clipped at -0.5 and 0.5: ")
  assert line == f"restored: {tmp_path / 'out.wav'}"
  found, _ = soundfile.read(tmp_path / "out.wav", always_2d=True)
  kept = clipped == clean
  np.testing.assert_array_equal(found[kept], clipped[kept])
  before, after = (np.linalg.norm(x - clean) for x in (clipped, found))
  assert after < 0.5 * before


@pytest.mark.e2e
def test_a_shipped_model_undoes_an_overdrive_of_any_level(tmp_path):
  rate = 16_000
  clean = notes(rate)[None]
  driven = 0.2 * np.asarray(overdrive(clean, 33.0))
  soundfile.write(tmp_path / "in.wav", driven[0], rate, subtype="FLOAT")
  _restore(tmp_path, "-n", "inverses-overdrive-16k")
  found, _ = soundfile.read(
    tmp_path / "out.wav", always_2d=True, dtype="float32"
  )
  scores = [
    si_sdr(x, clean, sample_rate=rate)[0] for x in (driven, found[None])
  ]
  assert scores[0] < 10 and scores[1] > 20


def test_models_are_listed_without_a_recording(capsys):
  with pytest.raises(SystemExit) as caught:
    restore.main(["--list-models"])
  assert not caught.value.code
  lines = capsys.readouterr().out.splitlines()
  assert [line.split()[0] for line in lines] == shipped.names()
  text = "hybrid-hard-clip-16k  hard clip, 16 kHz, "
  assert any(line.startswith(text) for line in lines)


@pytest.mark.e2e
def test_from_a_pipe_to_a_pipe_as_from_file_to_file(tmp_path, clean):
  options = ["--method=aspade", "--frame=256", "--clip-level=-0.3,0.25"]
  _restore(tmp_path, *options)
  command = [sys.executable, "-m", "distortion_removal.restore", "-", "-o", "-"]
  result = subprocess.run(
    [*command, *options],
    input=(tmp_path / "in.wav").read_bytes(),
    capture_output=True,
    cwd=ROOT,
    check=True,
  )
  assert result.stdout == (tmp_path / "out.wav").read_bytes()
  assert b"restored: -\n" in result.stderr


@pytest.fixture
def album(tmp_path, clean, monkeypatch):
  """Two recordings that are not clipped, a damaged one between, a folder."""
  (tmp_path / "album" / "more").mkdir(parents=True)
  monkeypatch.chdir(tmp_path)
  for name in ("1.wav", "more/3.wav"):
    soundfile.write(tmp_path / "album" / name, clean, RATE)
  (tmp_path / "album" / "2.wav").write_text("not music")


def _run(*arguments):
  """Runs the command; returns its exit status, or the line of an error."""
  try:
    restore.main(["--method=aspade", *arguments])
  except SystemExit as exit_:
    return exit_.code
  return 0


@pytest.mark.usefixtures("album")
def test_a_bad_file_does_not_stop_a_batch(tmp_path, capsys):
  assert _run("album", "-o", "new/out") == 1
  out, err = capsys.readouterr()
  assert out.splitlines()[-1] == "2 restored, 0 skipped, 1 failed"
  assert re.fullmatch("error: album/2.wav: not audio.*", err.splitlines()[-1])
  made = {
    p.relative_to(tmp_path / "new/out") for p in files_of(tmp_path / "new")
  }
  assert set(map(str, made)) == {"1.wav", "more/3.wav"}
  # What is there is kept, or replaced, as it is asked for.
  before = files_of(tmp_path)
  code = _run("album", "-o", "new/out")
  assert re.fullmatch(r"error: .*--overwrite.*--skip-existing.*", code)
  assert files_of(tmp_path) == before
  (tmp_path / "new/out/1.wav").write_text("kept")
  assert _run("album", "-o", "new/out", "--skip-existing") == 1
  assert "\n0 restored, 2 skipped, 1 failed\n" in capsys.readouterr().out
  assert (tmp_path / "new/out/1.wav").read_text() == "kept"
  assert _run("album/1.wav", "-o", "new/out", "--overwrite") == 0
  assert soundfile.info("new/out/1.wav").frames == RATE


@pytest.mark.usefixtures("album")
def test_a_new_result_has_no_old_receipt():
  words = ["album/1.wav", "-o", "out.wav"]
  assert _run(*words, "--receipt") == 0
  assert Path("out.wav.json").exists()
  assert _run(*words, "--overwrite") == 0
  assert not Path("out.wav.json").exists()
  Path("out.wav.json").write_text('{"mine": 1}')
  assert _run(*words, "--overwrite") == 0
  assert Path("out.wav.json").read_text() == '{"mine": 1}'


@pytest.mark.usefixtures("album")
def test_a_defect_of_ours_does_not_stop_a_batch_either(monkeypatch, capsys):
  work = restore.declip_file

  def fail(source, *arguments, **how):
    if source.name == "1.wav":
      raise ZeroDivisionError("x")
    return work(source, *arguments, **how)

  monkeypatch.setattr(restore, "declip_file", fail)
  assert _run("album/1.wav", "album/more/3.wav") == 1
  out, err = capsys.readouterr()
  assert out.splitlines()[-1] == "1 restored, 0 skipped, 1 failed"
  assert "Traceback" in err
  assert "error: album/1.wav: " in err
  with pytest.raises(ZeroDivisionError):
    _run("album/1.wav")


@pytest.mark.usefixtures("album")
def test_a_dry_run_touches_nothing(tmp_path, monkeypatch, capsys):
  monkeypatch.setattr(restore.devices, "use", pytest.fail)
  (tmp_path / "out").mkdir()
  (tmp_path / "out" / "1.wav").touch()
  before = files_of(tmp_path)
  assert _run("album", "-o", "out", "--skip-existing", "--dry-run") == 0
  assert capsys.readouterr().out.splitlines() == [
    "would skip: album/1.wav -> out/1.wav",
    "would restore: album/2.wav -> out/2.wav",
    "would restore: album/more/3.wav -> out/more/3.wav",
  ]
  assert files_of(tmp_path) == before
  # Mistakes are told as in earnest.
  assert "--overwrite" in _run("album", "-o", "out", "--dry-run")
  assert "never overwritten" in _run("album", "-o", "album", "--dry-run")


@pytest.mark.usefixtures("clean")
def test_a_receipt(tmp_path, monkeypatch):
  monkeypatch.chdir(tmp_path)
  options = ["--method=parabola", "--frame=64", "--iterations=2"]
  options += ["--strength=60", "--receipt", "--clip-level=-0.3,inf"]
  assert _run("in.wav", *options) == 0
  found = json.loads((tmp_path / "in_restored.wav.json").read_text())
  assert found["distortion_removal"] == __version__
  assert found["jax"] == jax.__version__
  assert found["method"] == "parabola"
  assert found["options"]["strength"] == 0.6
  assert found["options"]["clip_level"] == [-0.3, "inf"]
  # The levels of the file's codes.
  clipping = found["found"]
  np.testing.assert_allclose(clipping["low"], -0.3, atol=2**-15)
  assert clipping["high"] == [[], []]
  samples, _ = soundfile.read("in.wav")
  assert clipping["clipped_samples"] == np.sum(samples == samples.min())
  assert clipping["summary"] in found["line"]
  for kind, name in (("input", "in.wav"), ("output", "in_restored.wav")):
    digest = hashlib.sha256((tmp_path / name).read_bytes()).hexdigest()
    assert found[kind] == {"file": name, "sha256": digest}
  assert 0.0 < found["seconds"] < 600.0


@pytest.mark.parametrize("preset", [None, "fast"])
@pytest.mark.usefixtures("clean")
def test_a_preset_is_the_declipper_where_it_is_chosen(
  tmp_path, monkeypatch, capsys, preset
):
  monkeypatch.setattr(restore.automatic.blind, "find", lambda *_: [])
  monkeypatch.setattr(
    restore, "declip_file", lambda _, target, method, **__: pytest.fail(method)
  )
  options = [f"--preset={preset}"] if preset else []
  with pytest.raises(pytest.fail.Exception, match=preset or "best"):
    _restore(tmp_path, *options)
  assert f"restored by {preset or 'best'}\n" in capsys.readouterr().out


@pytest.mark.usefixtures("clean")
def test_the_difference_on_top_of_the_input_is_the_result(tmp_path):
  options = ["--method=parabola", "--frame=64", "--iterations=2"]
  options += ["--subtype=DOUBLE"]
  results = {}
  for name in ("", "--delta", "--strength=0", "--max-gain=1"):
    _restore(tmp_path, *options, "--overwrite", *filter(None, [name]))
    results[name], _ = soundfile.read(tmp_path / "out.wav")
  before, _ = soundfile.read(tmp_path / "in.wav")
  np.testing.assert_array_equal(results["--strength=0"], before)
  change = results["--delta"]
  assert np.abs(change).max() > 0.05
  np.testing.assert_allclose(before + change, results[""], atol=1e-15)
  # The level of the second channel, whose tops below are not flat.
  most = 10 ** (1 / 20) * before.max(axis=0)
  expected = np.minimum(results[""], most)
  is_high = results[""] > 0
  np.testing.assert_allclose(
    results["--max-gain=1"][is_high], expected[is_high], atol=1e-12
  )


@pytest.mark.parametrize(
  ("arguments", "message"),
  [
    ("--model=run --method=aspade", "give either --model"),
    ("--model=run --frame=512", "--frame is for --method; a network"),
    ("--model=no/run", "no/run: no trained run here"),
    ("--model=run --band=half", "choose from 'full', 'model'"),
    ("--method=aspade --band=model", "--band is for --model"),
    ("--model= --dry-run", "no trained run here"),
    ("--model=no-model --dry-run", "its models: hybrid-hard-clip-16k"),
    ("--effect=fuzz --dry-run", "'fuzz'"),
    ("--method=nmf --shrinkage=pew --dry-run", "nmf has no option --shrinkage"),
    ("--model=no-model", "its models: hybrid-hard-clip-16k"),
    ("--model=no.safetensors", "no.safetensors: not there"),
    ("--method=aspad", "choose from 'auto', 'inversion', 'aspade',"),
    ("--method=social_sparsity --sparsity-step=2", "no option --sparsity-step"),
    ("--method=aspade --frame=0", "--frame: '0' is not a whole number"),
    ("--method=social_sparsity --crossfade=-1", "'-1' is not a whole number"),
    ("--method=aspade --clip-level=0", "clip level 0.0: "),
    ("--method=aspade --clip-level=1,2,3", "'1,2,3' is neither a number nor"),
    ("--method=aspade --knee=0", "knee 0.0: "),
    ("--method=aspade --knee=seek", "'seek' is neither a number nor"),
    ("--method=aspade --knee=0.3 --clip-level=0.5", "not both"),
    ("--model=run --knee=0.3", "--knee is for --method; a network"),
    ("--method=social_sparsity --shrinkage=pw", "unknown shrinkage 'pw'"),
    ("--method=aspade --hop=1024", "with hop 1024"),
    ("--method=aspade --preset=fast", "--preset is for --method=auto"),
    ("--model=run --preset=fast", "--preset is for --method"),
    ("--preset=better", "choose from 'fast', 'normal', 'best'"),
    ("--strength=101", "'101' is not a number from 0 to 100"),
    ("--max-gain=-1", "'-1' is not a number from 0 on"),
    ("--on-overflow=clip", "choose from 'attenuate', 'float', 'limit'"),
    ("--overwrite --skip-existing", "not allowed with"),
    ("--device=npu", "choose from 'auto', 'cpu', 'gpu', 'tpu'"),
    ("--method=aspade --dither --subtype=FLOAT", "--dither is for integer"),
    ("--method=aspade --dither --subtype=ULAW", "--dither is for integer"),
  ],
)
def test_mistakes_are_one_line(tmp_path, clean, arguments, message):
  """They are refused for a recording that is not clipped, too."""
  soundfile.write(tmp_path / "in.wav", clean, RATE)
  with pytest.raises(SystemExit) as caught:
    _restore(tmp_path, *arguments.split())
  assert re.fullmatch(f"error: .*{re.escape(message)}.*", caught.value.code)
  assert not (tmp_path / "out.wav").exists()
