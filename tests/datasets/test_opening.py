"""Data sets of a run: rendered, found missing, mixed, and kept apart."""

import ml_collections
import numpy as np
import pytest
from conftest import pluck, shipped_config
from prepared import build, put, records

from distortion_removal import models
from distortion_removal.common import cores
from distortion_removal.common.errors import UserError
from distortion_removal.datasets import opening
from distortion_removal.datasets.preparation import write
from distortion_removal.datasets.sources import plucked_strings
from distortion_removal.datasets.spectrum_statistics import spectrum_statistics
from distortion_removal.effects import tasks
from distortion_removal.training import train
from distortion_removal.training.start import Start

RATE = 8_000
FORM = {"sample_rate": RATE, "excerpt_seconds": 2.0}


def _set(folder, pitches_hz):
  for name, pitch_hz in pitches_hz.items():
    put(folder / "takes" / name, pluck(1.5, pitch_hz, RATE), RATE)
  path = str(folder / "takes")
  return build("audio_folder", folder, task="hard_clip", path=path, **FORM)


@pytest.fixture(scope="module")
def held_out(tmp_path_factory):
  pitches_hz = {"train/a.wav": 110.0, "valid/b.wav": 120.0, "test/c.wav": 130.0}
  return _set(tmp_path_factory.mktemp("own"), pitches_hz)


def _data(config, builder, *sources):
  """The `data` of a run on a data set and sources of equal weight."""
  folders = [str(each.data_dir_root) for each in (builder, *sources)]
  config.data.update(FORM, dataset="audio_folder", task="hard_clip")
  config.data.data_dir = folders[0]
  config.data.sources = tuple(("audio_folder", f, 1.0) for f in folders[1:])
  return config.data


def _other(tmp_path):
  return _set(tmp_path, {"train/x.wav": 880.0, "test/y.wav": 150.0})


def test_a_mixture_of_prepared_sets(held_out, tmp_path):
  data = _data(shipped_config("default"), held_out, held_out, _other(tmp_path))
  mixture = opening.training_source(data, held_out)
  ids = {source[0]["id"] for source in mixture.sources}
  assert ids == {b"train/a.wav#000", b"train/x.wav#000"}


@pytest.mark.e2e
def test_umx_is_scaled_by_all_that_it_is_trained_on(held_out, tmp_path):
  """Not by the run's own data set, which it may not even see."""
  other = _other(tmp_path)
  config = shipped_config("umx_ceg_hard_clip", "smoke")
  _data(config, held_out, other)
  model, task = models.from_config(config), tasks.from_config(config.data)
  state = train._first_state(Start(config), model, held_out, task)
  transform = {"size": model.stft_size, "hop": model.stft_hop}
  expected, _ = spectrum_statistics(other, **transform)
  np.testing.assert_array_equal(state.params["input_mean"], -expected)
  alone, _ = spectrum_statistics(held_out, **transform)
  assert np.abs(alone - expected).max() > 0.1


@pytest.mark.parametrize("pitch_hz", [120.0, 130.0])
def test_what_the_run_holds_out_is_no_source(held_out, tmp_path, pitch_hz):
  leaky = _set(tmp_path, {"train/z.wav": pitch_hz, "test/y.wav": 150})
  data = _data(shipped_config("default"), held_out, leaky)
  with pytest.raises(UserError, match=r"trains on 1 excerpts .* holds out"):
    opening.training_source(data, held_out)


def _run_data(tmp_path, dataset="plucked_strings_smoke", hint=""):
  data = {"dataset": dataset, "task": "overdrive", "channels": 1, "hint": hint}
  return ml_collections.ConfigDict(FORM | data | {"data_dir": str(tmp_path)})


def test_a_run_renders_what_it_lacks(tmp_path):
  """With the real synthesis: every excerpt sounds, and no two are alike."""
  builder = opening.open_dataset(_run_data(tmp_path))
  sounds = np.stack([each["clean"][:, 0] for each in records(builder).values()])
  assert sounds.shape == (18, 16_000)
  np.testing.assert_array_equal(np.abs(sounds).max(axis=1), 1.0)
  sounds /= np.linalg.norm(sounds, axis=1, keepdims=True)
  assert np.abs(np.triu(sounds @ sounds.T, 1)).max() < 0.9


@pytest.mark.parametrize(("is_command", "processes"), [(False, 1), (True, 3)])
def test_only_a_command_renders_in_several_processes(
  tmp_path, monkeypatch, is_command, processes
):
  """A script of the user's might lack the guard that spawning needs."""
  asked = []

  def store_all(work, store, jobs):
    asked.append(jobs)
    raise KeyboardInterrupt

  monkeypatch.setattr(write, "store_all", store_all)
  monkeypatch.setattr(cores, "_can_spawn", False)
  monkeypatch.setattr(cores, "available", lambda: 16)
  if is_command:
    cores.allow_processes()
  kind = plucked_strings.PluckedStringsSmoke
  # Half the bytes of all samples.
  monkeypatch.setattr(kind, "BYTES_PER_PROCESS", 4 * RATE * 18)
  with pytest.raises(KeyboardInterrupt):
    opening.open_dataset(_run_data(tmp_path))
  assert asked == [processes]


def test_a_run_that_lacks_recordings_says_how_to_get_them(tmp_path):
  data = _run_data(tmp_path, "audio_folder", hint="download the music")
  with pytest.raises(UserError, match="music; run: python -m") as caught:
    opening.open_dataset(data)
  assert "--dataset=audio_folder --task=overdrive" in str(caught.value)
  assert f"--data-dir={tmp_path} " in str(caught.value)
