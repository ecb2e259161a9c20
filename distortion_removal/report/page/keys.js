"use strict";

/* What each key does, see `onKey`. */

function firstCell(excerpt, place = 0) {
  const shown = excerpt.order.map((version) => excerpt.cells[version]);
  const wanted = shown[Math.min(place, shown.length - 1)];
  return canPlay(wanted) ? wanted : shown.find(canPlay) || wanted;
}

function moveExcerpt(step) {
  const { active } = state;
  if (!active) {
    go(firstCell(excerpts[0]));
    return;
  }
  const next = excerpts[excerpts.indexOf(active.excerpt) + step];
  const place = active.excerpt.order.indexOf(active.version);
  if (next) go(firstCell(next, place));
}

function pressNumber(number) {
  const excerpt = state.active ? state.active.excerpt : excerpts[0];
  const version = excerpt.order[number - 1];
  if (version === undefined) return;
  const cell = excerpt.cells[version];
  if (canPlay(cell)) state.isOn = true;
  go(cell);
}

const active = () => state.active || firstCell(excerpts[0]);
const moveLevel = (step) => {
  const { task } = active().excerpt;
  setLevel(task, task.level + step);
};
const skip = (seconds) => {
  const { excerpt } = active();
  remember();
  seek(excerpt, excerpt.position + seconds);
};
const KEYS = {
  " ": () => toggle(active()),
  ArrowLeft: () => moveLevel(-1),
  ArrowRight: () => moveLevel(1),
  ArrowUp: () => moveExcerpt(-1),
  ArrowDown: () => moveExcerpt(1),
  ",": () => skip(-0.5),
  ".": () => skip(0.5),
  0: () => seek(active().excerpt, 0),
  r: () => setRepeat(!state.repeats),
  b: () => setBlind(!state.isBlind),
  "?": () => byId("keys").showModal(),
};
