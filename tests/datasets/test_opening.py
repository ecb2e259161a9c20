"""Data sets together: what one trains on, another does not test on."""

import numpy as np
import pytest
import soundfile
from conftest import pluck, shipped_config

from distortion_removal import models, prepare
from distortion_removal.common.errors import UserError
from distortion_removal.datasets import opening
from distortion_removal.datasets.preparation import parts
from distortion_removal.datasets.spectrum_statistics import (
  spectrum_statistics,
)
from distortion_removal.effects import tasks
from distortion_removal.training import train

RATE = 8_000


def _set(tmp_path, name, files):
  """A folder of takes by path, prepared; where it lies."""
  for path, pitch_hz in files.items():
    place = tmp_path / "takes" / name / path
    place.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(place, pluck(1.5, pitch_hz, RATE), RATE)
  builder = opening.open_builder(
    "audio_folder",
    task="hard_clip",
    data_dir=str(tmp_path / name),
    sample_rate=RATE,
    excerpt_seconds=2.0,
    path=str(tmp_path / "takes" / name),
  )
  return prepare.prepare(builder)


@pytest.fixture
def held_out(tmp_path):
  files = {"train/a.wav": 110.0, "valid/b.wav": 120.0, "test/c.wav": 130.0}
  return _set(tmp_path, "own", files)


def _data(tiny_config, builder, sources):
  data = tiny_config.data
  data.data_dir, data.sample_rate = str(builder.data_dir_root), RATE
  data.sources = sources
  return data


def test_a_mixture_of_prepared_sets(tiny_config, held_out, tmp_path):
  other = _set(tmp_path, "other", {"train/x.wav": 140.0, "test/y.wav": 150.0})
  folders = [str(b.data_dir_root) for b in (held_out, other)]
  sources = tuple(("audio_folder", folder, 1.0) for folder in folders)
  mixture = opening.training_source(
    _data(tiny_config, held_out, sources), held_out
  )
  ids = {source[0]["id"] for source in mixture.sources}
  assert ids == {b"train/a.wav#000", b"train/x.wav#000"}


def test_umx_is_scaled_by_all_that_it_is_trained_on(held_out, tmp_path):
  """Not by the run's own data set, which it may not even see."""
  other = _set(tmp_path, "other", {"train/x.wav": 880.0, "test/y.wav": 150.0})
  config = shipped_config("umx_ceg_hard_clip", "smoke")
  config.data.dataset, config.data.excerpt_seconds = "audio_folder", 2.0
  _data(config, held_out, (("audio_folder", str(other.data_dir_root), 1.0),))
  model = models.from_config(config)
  task = tasks.from_config(config.data)
  state = train._first_state(config, model, held_out, task)
  transform = {"size": model.stft_size, "hop": model.stft_hop}
  expected, _ = spectrum_statistics(other, **transform)
  np.testing.assert_array_equal(state.params["input_mean"], -expected)
  alone, _ = spectrum_statistics(held_out, **transform)
  assert np.abs(alone - expected).max() > 0.1


@pytest.mark.parametrize("pitch_hz", [120.0, 130.0])
def test_what_the_run_holds_out_is_no_source(
  tiny_config, held_out, tmp_path, pitch_hz
):
  """A deliberate leak, under another name."""
  leaky = _set(tmp_path, "leaky", {"train/z.wav": pitch_hz, "test/y.wav": 150})
  sources = (("audio_folder", str(leaky.data_dir_root), 1.0),)
  with pytest.raises(UserError, match=r"trains on 1 excerpts .* holds out"):
    opening.training_source(_data(tiny_config, held_out, sources), held_out)


def test_recorded_is_not_for_takes_without_a_degraded_side(tmp_path):
  with pytest.raises(UserError, match="use paired_folder"):
    opening.open_builder(
      "audio_folder", task="recorded", data_dir=str(tmp_path)
    )


def _die():
  import os
  import signal

  os.kill(os.getpid(), signal.SIGKILL)


def test_a_killed_process_is_told_in_one_line(tmp_path):
  work = [parts.Part(name, _die, version="1") for name in ("a", "b")]
  encoder = parts.Encoder(None, RATE)
  with pytest.raises(UserError, match=r"was killed.*--jobs=1"):
    list(parts.store_all(work, 2, folder=tmp_path, encoder=encoder))
  assert np.all([path.suffix != ".json" for path in tmp_path.iterdir()])
