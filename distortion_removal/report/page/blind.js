"use strict";

/* Listening without names: versions are shuffled, by a number that a listener
   can note, and called A, B, C …. */

function generator(seed) { // mulberry32
  let a = seed >>> 0;
  return () => {
    a = (a + 0x6d2b79f5) >>> 0;
    let t = Math.imul(a ^ (a >>> 15), a | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

function shuffled(items, random) {
  const result = [...items];
  for (let i = result.length - 1; i > 0; i -= 1) {
    const j = Math.floor(random() * (i + 1));
    [result[i], result[j]] = [result[j], result[i]];
  }
  return result;
}

function setBlind(isBlind) {
  pause();
  state.active = null;
  state.isBlind = isBlind;
  state.isRevealed = false;
  const random = generator(state.order);
  for (const excerpt of excerpts) {
    const versions = excerpt.cells.map((_, version) => version);
    const heard = versions.filter((version) => excerpt.cells[version].states
      .some((sound) => sound.stem !== undefined));
    excerpt.order = isBlind ? shuffled(heard, random) : versions;
    const others = versions.filter((v) => !excerpt.order.includes(v));
    excerpt.row.append(...[...excerpt.order, ...others].map(
      (version) => excerpt.cells[version].element));
  }
  tasks.forEach(renameColumns);
  byId("blind").setAttribute("aria-pressed", String(isBlind));
  byId("blind-tools").hidden = !isBlind;
  byId("blind-note").hidden = !isBlind;
  byId("order").value = state.order;
  tell("");
  reveal(false);
  show();
}

function reveal(isRevealed) {
  state.isRevealed = isRevealed;
  byId("reveal").setAttribute("aria-pressed", String(isRevealed));
  byId("reveal").textContent = isRevealed ? "Hide again" : "Reveal";
  document.body.classList.toggle("blind", state.isBlind && !isRevealed);
  excerpts.forEach(renderExcerpt);
  show();
}

/* Column headers are for screen readers; the cells have their own names. */
function renameColumns(task) {
  const names = task.section.querySelectorAll("thead th");
  task.data.versions.forEach((version, i) => {
    names[i + 1].textContent = state.isBlind
      ? `Version ${String.fromCharCode(65 + i)}` : version.label;
  });
}
