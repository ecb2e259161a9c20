"""Sounds as loud and soft as music, and a limiter for them."""

import numpy as np

RATE = 44_100


def music(seed=0, seconds=6):
  """Chords of many loudnesses, `[time]`, with a peak of 1."""
  rng = np.random.default_rng(seed)
  time = np.arange(seconds * RATE) / RATE
  sound = np.zeros(len(time))
  for onset in range(2 * seconds):
    since = time - onset / 2
    chord = sum(
      np.sin(2 * np.pi * rng.uniform(80, 2_000) * since + rng.uniform(0, 6))
      for _ in range(8)
    )
    envelope = np.exp(-6 * since) * 10 ** rng.uniform(-0.5, 0)
    sound += np.where(since >= 0, envelope, 0) * chord
  return sound / abs(sound).max()


def limited(sound, knee, top):
  """Goes on smoothly from the knee towards the top, above zero only."""
  room = top - knee
  beyond = knee + room * np.tanh((sound - knee) / room)
  return np.where(sound > knee, beyond, sound)


def limited_both_ways(sound, knee, top):
  """Does so below zero, too."""
  return -limited(-limited(sound, knee, top), knee, top)
