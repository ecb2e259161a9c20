"use strict";

/* What a listener does: choose, play, switch, listen blindly. `state.active` is
   the chosen cell and `state.isOn` whether it is to be heard; the player
   follows. */

const byId = (id) => document.getElementById(id);
const DATA = JSON.parse(byId("data").textContent);
const tasks = DATA.tasks.map(buildTask);
const excerpts = tasks.flatMap((task) => task.excerpts);
const cells = excerpts.flatMap((excerpt) => excerpt.cells);
const owners = new Map(cells.flatMap(
  (cell) => cell.states.map((sound) => [sound, cell.excerpt])));
const state = {
  active: null, isOn: false, repeats: false,
  isBlind: false, isRevealed: false, order: 1,
};
const player = new Player(onPlayer);

// Playing

function play(cell) {
  choose(cell);
  state.isOn = true;
  tell("");
  const sound = stateOf(cell);
  const isSwitch = player.isPlaying
    && owners.get(player.sound) === cell.excerpt;
  const started = isSwitch ? player.switchTo(sound)
    : player.play(sound, cell.excerpt.position);
  started.catch((error) => {
    pause();
    tell(error.message);
  });
  requestAnimationFrame(tick);
  show();
}

function pause() {
  remember();
  state.isOn = false;
  player.pause();
  show();
}

function toggle(cell) {
  if (state.isOn && state.active === cell) pause();
  else if (canPlay(cell)) play(cell);
}

/* Makes a cell the chosen one, without a sound. */
function choose(cell) {
  remember();
  const hadFocus = state.active
    && state.active.button === document.activeElement;
  state.active = cell;
  if (hadFocus) cell.button.focus({ preventScroll: true });
  show();
}

/* Goes to another cell: heard if something is heard now. */
function go(cell) {
  if (!canPlay(cell)) {
    if (state.isOn) pause();
    choose(cell);
    tell(`No sound of ${cell.label} here.`);
  } else if (state.isOn) {
    play(cell);
  } else {
    choose(cell);
  }
  cell.element.scrollIntoView({ block: "nearest" });
}

function seek(excerpt, position) {
  const longest = excerpt.data.seconds;
  excerpt.position = Math.max(0, Math.min(position, longest - 0.02));
  if (state.isOn && state.active.excerpt === excerpt) {
    const isHeard = player.isPlaying && owners.get(player.sound) === excerpt;
    if (isHeard) player.seek(excerpt.position);
    else play(state.active);
  }
  drawPosition(excerpt);
}

function remember() {
  const excerpt = owners.get(player.sound);
  if (excerpt && player.isPlaying) excerpt.position = player.position;
}

function onPlayer() {
  if (player.isPending) return;
  if (player.hasEnded && player.sound && state.isOn) {
    state.isOn = false;
    owners.get(player.sound).position = 0;
    drawPosition(state.active.excerpt);
    show();
  } else if (player.isPlaying && player.sound) {
    prepareNeighbours();
  }
}

/* Fetches what may be chosen next; on disk nothing needs to be. */
function prepareNeighbours() {
  if (IS_LOCAL || !state.active) return;
  const { excerpt, states } = state.active;
  const { level } = excerpt.task;
  const own = excerpt.cells.flatMap((cell) => cell.states);
  player.sources.keepOnly(new Set(own));
  const next = [...excerpt.cells.map(stateOf), states[level + 1],
    states[level - 1]];
  for (const sound of next) if (sound && sound.stem) player.sources.url(sound);
}

function setLevel(task, level) {
  if (level < 0 || level >= task.data.levels.length) return;
  remember();
  task.level = level;
  task.radios[level].checked = true;
  task.excerpts.forEach((excerpt) => renderExcerpt(excerpt));
  const { active, isOn } = state;
  if (active && active.excerpt.task === task) {
    if (stateOf(active) !== player.sound && isOn) go(active);
    else if (isOn && !canPlay(active)) pause();
  }
  show();
}

// Showing

function renderExcerpt(excerpt) {
  excerpt.cells.forEach((cell) => render(cell, state));
}

function show() {
  const { active, isOn } = state;
  for (const cell of cells) {
    const isActive = cell === active;
    cell.element.classList.toggle("active", isActive);
    cell.button.setAttribute("aria-pressed", String(isActive && isOn));
  }
  byId("transport").hidden = !active;
  document.body.classList.toggle("has-transport", Boolean(active));
  if (!active) return;
  const { excerpt } = active;
  const { levels, level } = excerpt.task.data;
  const text = levels.length < 2 ? ""
    : ` · ${minus(levels[excerpt.task.level])} ${level.unit}`.trimEnd();
  const now = `${active.label} · ${excerpt.label}${text}`;
  if (byId("now").textContent !== now) byId("now").textContent = now;
  byId("toggle").setAttribute("aria-pressed", String(isOn));
  byId("toggle").disabled = !canPlay(active);
  byId("position").max = excerpt.data.seconds;
  drawPosition(excerpt);
}

function drawPosition(excerpt) {
  const { position, data } = excerpt;
  excerpt.row.style.setProperty("--position", position / data.seconds);
  excerpt.row.classList.toggle("started", position > 0);
  if (!state.active || state.active.excerpt !== excerpt) return;
  const text = `${position.toFixed(1)} of ${data.seconds.toFixed(1)} s`;
  byId("position").value = position;
  byId("position").setAttribute("aria-valuetext", text);
  byId("time").textContent = text;
}

function tick() {
  if (!state.isOn) return;
  remember();
  drawPosition(state.active.excerpt);
  requestAnimationFrame(tick);
}

function tell(message) {
  byId("message").textContent = message;
  byId("message").hidden = !message;
}

// Listening blindly

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

function setRepeat(repeats) {
  state.repeats = repeats;
  player.loop = repeats;
  byId("repeat").setAttribute("aria-pressed", String(repeats));
}

// Keys

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

function onKey(event) {
  const { target, key } = event;
  if (event.ctrlKey || event.metaKey || event.altKey || byId("keys").open) {
    return;
  }
  const isField = target.matches("input[type=number]");
  const hasArrows = target.matches("input") && key.startsWith("Arrow");
  const hasSpace = target.matches("button, a, input") && key === " ";
  if (isField || hasArrows || hasSpace) return;
  const action = /^[1-9]$/.test(key) ? () => pressNumber(Number(key))
    : KEYS[key.length === 1 ? key.toLowerCase() : key];
  if (!action) return;
  event.preventDefault();
  action();
}

// Putting it together

function wire() {
  for (const cell of cells) {
    cell.button.addEventListener("click", () => toggle(cell));
    cell.thumb.addEventListener("click", (event) => {
      const box = cell.thumb.getBoundingClientRect();
      const share = (event.clientX - box.left) / box.width;
      seek(cell.excerpt, share * cell.excerpt.data.seconds);
      if (!(state.isOn && state.active === cell)) play(cell);
    });
  }
  for (const task of tasks) {
    task.radios.forEach((radio, level) => radio.addEventListener(
      "change", () => setLevel(task, level)));
  }
  byId("toggle").addEventListener("click", () => toggle(state.active));
  byId("position").addEventListener("input", (event) => seek(
    state.active.excerpt, Number(event.target.value)));
  byId("repeat").addEventListener("click", () => setRepeat(!state.repeats));
  byId("blind").addEventListener("click", () => setBlind(!state.isBlind));
  byId("reveal").addEventListener("click", () => reveal(!state.isRevealed));
  byId("order").addEventListener("change", (event) => {
    state.order = Math.max(1, Math.round(Number(event.target.value)) || 1);
    setBlind(true);
  });
  byId("help").addEventListener("click", () => byId("keys").showModal());
  document.addEventListener("keydown", onKey);
}

function begin() {
  byId("main").append(...tasks.map((task) => task.section));
  byId("tasks").append(...tasks.map((task, i) => make(
    "a", { href: `#task-${i + 1}` }, task.data.label)));
  byId("tasks").hidden = tasks.length < 2;
  const names = new Set(tasks.map(({ data }) => data.dataset));
  byId("datasets").textContent = [...names].map((name) => "Recordings are from "
    + `the data set “${name}”, whose licence holds for what is made of them, `
    + "too.").join(" ");
  wire();
  const asked = Number(QUERY.get("blind"));
  state.order = asked > 0 ? Math.round(asked)
    : 1 + Math.floor(Math.random() * 999);
  excerpts.forEach(renderExcerpt);
  if (QUERY.has("blind")) setBlind(true);
}

begin();
