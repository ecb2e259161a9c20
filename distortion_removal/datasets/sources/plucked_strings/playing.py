"""Invents playing: lines, arpeggios, strums, riffs, as a list of notes.

Nothing here knows about sound. A style turns a tuning (MIDI numbers of the open
strings, lowest first) and a rhythm into `Note`s; `synthesis` turns those into
audio. Every draw comes from the generator that is passed in.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np


def _shapes(text: str) -> list[list[tuple[int, int]]]:
  """Parses chords to (string, fret), from frets written lowest string first."""
  return [
    [(string, int(fret)) for string, fret in enumerate(shape) if fret != "x"]
    for shape in text.split()
  ]


# All the frets of a shape are moved up the neck together.
_CHORDS = _shapes(
  "022100 022000 020100 020030 0x110x x02220 x02210 x02120 x02010 x02200 "
  "x32010 x32333 320003 xx0232 xx0231"
)
_POWER_CHORDS = _shapes("022xxx 02xxxx x022xx xx023x")
_SCALES = (
  (0, 2, 4, 5, 7, 9, 11),
  (0, 2, 3, 5, 7, 8, 10),
  (0, 2, 3, 5, 7, 9, 10),
  (0, 2, 4, 7, 9),
  (0, 3, 5, 7, 10),
  (0, 3, 5, 6, 7, 10),
)
# Lengths in beats that one rhythm draws from.
_SHORT = ((0.5,), (0.25, 0.5), (0.5, 1.0), (1 / 3, 2 / 3), (0.25, 0.5, 1.0))
_LONG = ((1.0,), (1.0, 2.0), (0.5, 1.0, 3.0), (0.5, 1.5), (2.0, 4.0))


class Slot(NamedTuple):
  """A place in the rhythm: when, for how long, how loud."""

  start_s: float
  length_s: float
  level_db: float


class Note(NamedTuple):
  """One pluck of one string."""

  string: int  # index of the string, 0 the lowest
  start_s: float  # the pluck; below 0 if it sounds as the excerpt begins
  duration_s: float  # until the finger stops it
  midi: float  # pitch at the pluck, in semitones (69 is 440 Hz)
  level_db: float  # peak of the note, 0 for an ordinary one
  mute: float = 0.0  # how much the palm damps the string, 0 (none) to 1
  bend_semitones: float = 0.0  # end of a bend or a slide, relative to `midi`
  bend_start_s: float = 0.0  # after the pluck
  bend_s: float = 0.1  # the bend's duration
  vibrato_semitones: float = 0.0  # height; it builds up on a held note
  vibrato_hz: float = 5.5


def compose(
  rng: np.random.Generator, open_midi: Sequence[float], seconds: float
) -> list[Note]:
  """Invents what one player plays in `seconds`.

  Args:
    rng: Source of every choice.
    open_midi: Pitches of the open strings, lowest first: six for a guitar,
      fewer for a bass, which plays lines only.
    seconds: Length of the excerpt; the last notes may ring past it.

  Returns:
    Notes in the order of their plucks; on one string, none overlaps the next.
  """
  style: Callable = _line
  if len(open_midi) >= 6:
    styles = (_line, _arpeggio, _strum, _riff)
    style = styles[rng.choice(4, p=(0.35, 0.2, 0.27, 0.18))]
  notes = []
  # An excerpt cut from a take starts anywhere in a phrase.
  while not any(0 <= note.start_s < 0.8 * seconds for note in notes):
    notes = list(style(rng, open_midi, seconds))
  notes = _one_note_per_string(_by_hand(rng, notes))
  return [
    note
    for note in notes
    if note.start_s < seconds and note.start_s + note.duration_s > 0.0
  ]


def _rhythm(rng, seconds, palettes) -> tuple[float, list[Slot]]:
  """Draws the length of a bar, and a pattern of two bars with breaks."""
  beat_s = 60.0 / rng.uniform(65.0, 165.0)
  palette = palettes[rng.integers(len(palettes))]
  rest_share = rng.choice((0.0, 0.0, 0.0, 0.1, 0.15))
  lengths = []
  while sum(lengths) < 8.0:
    lengths.append(rng.choice(palette))
  sounds = rng.random(len(lengths)) >= rest_share
  slots = []
  origin_s = -beat_s * rng.uniform(0.0, 4.0)
  beat = 0.0
  while origin_s + beat * beat_s < seconds:
    pause = rng.random() < 0.2 * rest_share
    for length, sound in zip(lengths, sounds, strict=True):
      accent_db = 1.5 * (round(beat, 6) % 1.0 == 0.0)
      level_db = accent_db + rng.normal(0.0, 1.8)
      if sound and not pause:
        start_s = origin_s + beat * beat_s
        slots.append(Slot(start_s, length * beat_s, level_db))
      beat += length
  return 4.0 * beat_s, slots


def _line(rng, open_midi, seconds):
  """Plays single notes that wander through a scale at one place of the neck."""
  _, slots = _rhythm(rng, seconds, _SHORT + _LONG)
  scale = _SCALES[rng.integers(len(_SCALES))]
  position = rng.integers(0, 13)
  steps = np.add.outer(12 * np.arange(4), scale).ravel()
  pitches = open_midi[0] + position + steps
  pitches = pitches[pitches <= open_midi[-1] + position + 4]
  legato = rng.choice((0.7, 0.95, 1.0, 1.0))
  expression = rng.uniform(0.0, 0.6)
  leap = rng.choice((1.2, 2.5))
  mute = rng.uniform(0.3, 0.9) * (rng.random() < 0.1)
  step = rng.integers(len(pitches))
  for start_s, length_s, level_db in slots:
    step = min(abs(step + round(rng.normal(0.0, leap))), len(pitches) - 1)
    midi, duration_s = pitches[step], length_s * legato
    string = _string_for(midi, open_midi, position)
    note = Note(string, start_s, duration_s, midi, level_db, mute)
    yield note._replace(**_expression(rng, expression, duration_s))


def _expression(rng, share, duration_s) -> dict[str, float]:
  """Draws a bend, slide or vibrato for a `share` of the notes held long."""
  if duration_s < 0.25 or rng.random() >= share:
    return {}
  if rng.random() < 0.5:
    height, vibrato_hz = rng.uniform(0.1, 0.5), rng.uniform(4.0, 7.0)
    return {"vibrato_semitones": height, "vibrato_hz": vibrato_hz}
  return {
    "bend_semitones": float(rng.choice((-2, -1, 0.5, 1, 2, 2, 3, 5))),
    "bend_start_s": rng.uniform(0.05, 0.5) * duration_s,
    "bend_s": rng.uniform(0.06, 0.25),
    "vibrato_semitones": rng.uniform(0.0, 0.3),
  }


def _string_for(midi, open_midi, position) -> int:
  """Returns the string on which `midi` lies nearest to the hand's position."""
  reachable = [s for s, pitch in enumerate(open_midi) if pitch <= midi]
  return min(reachable, key=lambda s: abs(midi - open_midi[s] - position - 2))


def _chord_changes(rng, shapes, open_midi, bar_s) -> Callable:
  """Draws four chords in turn, as a function of time to (string, pitch)s."""
  frets = rng.integers(0, 9, size=4) * (rng.random() < 0.7)
  chords = [
    [(s, open_midi[s] + fret + f) for s, f in shapes[rng.integers(len(shapes))]]
    for fret in frets
  ]
  held_s = bar_s * rng.choice((0.5, 1.0, 1.0, 2.0))
  return lambda time_s: chords[int(time_s // held_s) % len(chords)]


def _arpeggio(rng, open_midi, seconds):
  """Plays the strings of a chord one by one, left ringing into each other."""
  bar_s, slots = _rhythm(rng, seconds, _SHORT)
  chord_at = _chord_changes(rng, _CHORDS, open_midi, bar_s)
  order = rng.permutation(8) if rng.random() < 0.4 else np.arange(8)
  ring_s = rng.uniform(0.5, 2.0) * bar_s
  harmonic = rng.random() < 0.1
  for i, slot in enumerate(slots):
    chord = chord_at(slot.start_s)
    string, midi = chord[order[i % 8] % len(chord)]
    if harmonic:  # the octave harmonic of the open string
      midi = open_midi[string] + 12
    yield Note(string, slot.start_s, ring_s, midi, slot.level_db)


def _strum(rng, open_midi, seconds):
  """Plays whole chords, down and up, some of them choked."""
  palettes = _SHORT if rng.random() < 0.6 else _LONG
  bar_s, slots = _rhythm(rng, seconds, palettes)
  chord_at = _chord_changes(rng, _CHORDS, open_midi, bar_s)
  spread_s = rng.uniform(0.003, 0.025)
  choked_share = rng.choice((0.0, 0.0, 0.15))
  legato = rng.choice((0.7, 1.0, 1.0))
  for i, (start_s, length_s, level_db) in enumerate(slots):
    chord = chord_at(start_s)
    if i % 2 and length_s < 0.4:  # an upstroke meets the high strings
      chord = chord[::-1][: rng.integers(3, 6)]
    choked = rng.random() < choked_share
    duration_s = 0.1 if choked else length_s * legato
    for place, (string, midi) in enumerate(chord):
      pluck_s = start_s + place * spread_s
      pluck_db = level_db - 0.5 * place
      yield Note(string, pluck_s, duration_s, midi, pluck_db, float(choked))


def _riff(rng, open_midi, seconds):
  """Plays power chords between palm-muted notes on their lowest string."""
  bar_s, slots = _rhythm(rng, seconds, _SHORT + _LONG[:2])
  chord_at = _chord_changes(rng, _POWER_CHORDS, open_midi, bar_s)
  muted_share = rng.choice((0.0, 0.3, 0.6))
  mute = rng.uniform(0.4, 1.0)
  legato = rng.choice((0.7, 1.0, 1.0))
  for start_s, length_s, level_db in slots:
    chord = chord_at(start_s)
    muted = rng.random() < muted_share
    for place, (string, midi) in enumerate(chord[:1] if muted else chord):
      pluck_s = start_s + 0.004 * place
      duration_s = length_s * legato
      yield Note(string, pluck_s, duration_s, midi, level_db, mute * muted)


def _by_hand(rng, notes) -> list[Note]:
  """Moves every pluck by some milliseconds and a decibel."""
  moved = []
  for note in notes:
    start_s = note.start_s + rng.normal(0.0, 0.004)
    level_db = note.level_db + rng.normal(0.0, 1.0)
    moved.append(note._replace(start_s=start_s, level_db=level_db))
  return moved


def _one_note_per_string(notes) -> list[Note]:
  """Ends each note where the next one on its string begins."""
  next_start_s: dict[int, float] = {}
  ended = []
  for note in sorted(notes, key=lambda note: note.start_s, reverse=True):
    room_s = next_start_s.get(note.string, np.inf) - note.start_s
    next_start_s[note.string] = note.start_s
    ended.append(note._replace(duration_s=min(note.duration_s, room_s)))
  return ended[::-1]
