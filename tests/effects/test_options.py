"""Options of effects: from the configuration to the degraded audio."""

import functools
import re

import jax
import numpy as np
import pytest
import scipy.signal
from conftest import shipped_config

from distortion_removal import effects
from distortion_removal.common.errors import UserError
from distortion_removal.datasets import pairs
from distortion_removal.effects import tasks
from distortion_removal.effects.options import NO_OPTIONS, EffectOptions, Filter
from distortion_removal.training import check_config

RATE = 16_000


def _data(task, **fields):
  data = shipped_config("default").data
  data.task = task
  data.sample_rate = RATE
  data.effect.update(fields)
  return data


def _batch(seconds=0.25):
  """Three decaying tones at three levels."""
  time = np.arange(round(RATE * seconds)) / RATE
  tones = [
    0.5 * np.exp(-5 * time) * np.sin(2 * np.pi * pitch_hz * time)
    for pitch_hz in (110.0, 233.0, 987.0)
  ]
  return {
    "clean": np.float32(tones)[..., None],
    "level": np.float32([6.0, 20.0, 35.0]),
    "seed": np.uint32([1, 2, 3]),
  }


def _options(task, **fields):
  return tasks.from_config(_data(task, **fields)).options


def _degrade(task, batch, **fields):
  degrade = pairs.degrader(tasks.from_config(_data(task, **fields)))
  return np.asarray(jax.jit(degrade)(batch))


def test_there_is_a_field_for_every_option_of_any_effect():
  options = {o.name for e in effects.EFFECTS.values() for o in e.options}
  assert set(_data("overdrive").effect) == options | {"before", "after"}


def test_defaults_are_no_options():
  for name in tasks.TASKS:
    assert tasks.from_config(_data(name)) is tasks.get(name)
  assert _options("overdrive", colour=0.0, oversample=1) == NO_OPTIONS
  assert _options("diode", rails=[1, 0.5], knees=(2.5, 2.5)) == NO_OPTIONS
  # The default is 4.
  assert _options("random_distortion", oversample=1).suffix == "oversample1"


@pytest.mark.parametrize(
  ("task", "fields"),
  [
    ("overdrive", {"colour": 20.0, "oversample": 4}),
    ("hard_clip", {"rail": 0.3, "oversample": 2}),
    ("tanh", {"oversample": 8}),
    ("diode", {"rails": (0.8, 0.3), "knees": (2.0, 5.0)}),
    ("bit_crush", {"hold": 3}),
  ],
)
def test_options_reach_the_effect(task, fields):
  batch = _batch()
  apply = functools.partial(effects.get(task).apply, **fields)
  expected = jax.jit(apply)(batch["clean"], batch["level"])
  degraded = _degrade(task, batch, **fields)
  np.testing.assert_allclose(degraded, expected, atol=1e-6)
  assert np.abs(degraded - _degrade(task, batch)).max() > 1e-3


def test_a_pedal_is_filters_around_soxs_formula():
  """In float64, the filters as digital coefficients at the rate in Hz."""
  batch = _batch()
  found = _degrade(
    "overdrive",
    batch,
    colour=20.0,
    before=(("high_pass", 200.0),),
    after=[["low_pass", 3000.0, 0.0, 0.7071]],
  )
  low = scipy.signal.butter(2, 3000.0, "low", fs=RATE)
  high = scipy.signal.butter(2, 200.0, "high", fs=RATE)
  sides = zip(batch["clean"], batch["level"], found, strict=True)
  for clean, gain_db, actual in sides:
    x = scipy.signal.lfilter(*high, np.float64(clean[:, 0]))
    u = np.clip(10 ** (gain_db / 20) * x + 20 / 200, -1, 1)
    v = scipy.signal.lfilter([1, -1], [1, -0.995], u - u**3 / 3)
    expected = scipy.signal.lfilter(*low, 0.5 * x + 0.75 * v)
    np.testing.assert_allclose(actual[:, 0], expected, atol=2e-4)


def test_a_task_is_named_after_its_options():
  filters = (("low_shelf", 200.0, -6.0), ("peaking", 900, 3.5, 2.0))
  fields = {"colour": 20.0, "oversample": 4, "before": filters}
  task = tasks.from_config(
    _data("overdrive", **fields, after=(("low_pass", 4000.0),))
  )
  assert task.options == EffectOptions(
    (("colour", 20.0), ("oversample", 4)),
    before=(Filter("low_shelf", 200.0, -6.0), Filter("peaking", 900, 3.5, 2)),
    after=(Filter("low_pass", 4000.0, 0.0, 0.7071),),
  )
  assert task.label == (
    "CEG-OD (low shelf at 200 Hz by -6 dB before, "
    "peaking at 900 Hz by 3.5 dB of Q 2 before, colour 20, oversample 4, "
    "low pass at 4000 Hz after)"
  )
  assert re.fullmatch(
    r"overdrive_colour20_oversample4_tone[0-9a-f]{8}", task.name
  )
  assert (task.effect, task.degraded_peak) == ("overdrive", None)


def test_names_differ_where_options_do():
  variants = [
    {},
    {"rails": (1.0, 0.25)},
    {"rails": (1.0, 0.250001)},
    {"before": (("low_pass", 4000.0),)},
    {"before": (("low_pass", 4001.0),)},
    {"after": (("low_pass", 4000.0),)},
  ]
  names = [tasks.from_config(_data("diode", **x)).name for x in variants]
  assert len(set(names)) == len(variants)
  assert names[1] == "diode_rails1-0.25"


SHELF = (("low_shelf", 200.0, -6.0),)


@pytest.mark.parametrize(
  ("task", "field", "value", "message"),
  [
    ("hard_clip", "colour", 20.0, "hard_clip has no such option, only rail"),
    ("hard_clip_sdr", "oversample", 4, "no such option, none"),
    ("overdrive", "colour", float("nan"), "between 0 and 100"),
    ("overdrive", "oversample", 3, "1, 2, 4 or 8"),
    ("hard_clip", "rail", 0.0, "a number above 0"),
    ("diode", "rails", (1.0,), "two numbers above 0"),
    ("diode", "rails", (1.0, -1.0), "two numbers above 0"),
    ("diode", "knees", (0.5, 1.0), "two numbers from 1"),
    ("bit_crush", "hold", 0, "a whole number from 1"),
    ("tanh", "before", (("low_pass", 8000.0),), "half of config.data.sample"),
    ("tanh", "after", (("low_pass", 5.0),), "at least 5.657 Hz"),
    ("tanh", "after", (("peaking", 79.0, 24.0, 0.1),), "at least 159.2 Hz"),
    ("tanh", "after", (("low_pass", 900.0, -3.0),), "a low_pass has no gain"),
    ("tanh", "after", (("peak", 900.0, -3.0),), "'peak': choose from low_pass"),
    ("tanh", "after", (("peaking", 900.0, 3.0, 0.0),), "must be above 0"),
    ("tanh", "after", ("peaking", 900.0), "'peaking' is no tone filter"),
    ("tanh", "after", (("peaking", "900"),), "is no tone filter"),
    ("recorded", "before", SHELF, "have their degraded audio already"),
    ("hard_clip_sdr", "before", SHELF, "would change the input SDR"),
  ],
)
def test_values_that_cannot_work_are_refused(task, field, value, message):
  config = shipped_config("default")
  config.data = _data(task, **{field: value})
  match = rf"^config\.data\.effect(\.{field})?: .*{re.escape(message)}.*$"
  with pytest.raises(UserError, match=match) as caught:
    check_config.check(config)
  assert "\n" not in str(caught.value)
