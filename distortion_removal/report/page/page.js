"use strict";

/* What a listener does: choose, play, go over to another version or level.
   `state.active` is the chosen cell and `state.isOn` whether it is to be heard;
   the player follows. */

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
  start(player.isPlaying && owners.get(player.sound) === cell.excerpt);
}

/* Starts the chosen cell: where its excerpt is heard now, or is remembered. */
function start(inStep) {
  const { active } = state;
  state.isOn = true;
  tell("");
  const sound = stateOf(active);
  const started = inStep ? player.switchTo(sound)
    : player.play(sound, active.excerpt.position);
  started.catch((error) => {
    pause();
    // A file's name has the method's.
    const isHidden = state.isBlind && !state.isRevealed;
    tell(isHidden ? "This version cannot be played." : error.message);
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
    // What is about to start has its position already: it starts anew.
    const isHeard = player.isPlaying && !player.isPending
      && owners.get(player.sound) === excerpt;
    if (isHeard) player.seek(excerpt.position);
    else start(false);
  }
  drawPosition(excerpt);
}

function remember() {
  const excerpt = owners.get(player.sound);
  if (excerpt && player.isPlaying) excerpt.position = player.position;
}

function onPlayer() {
  if (player.isPending) return;
  if (player.deck.ended && player.sound && state.isOn) {
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
  for (const sound of [...excerpt.cells.map(stateOf), ...states]) {
    if (sound.stem) addressOf(sound);
  }
}

function setLevel(task, level) {
  if (level < 0 || level >= task.data.levels.length) return;
  remember();
  task.level = level;
  task.radios[level].checked = true;
  task.excerpts.forEach((excerpt) => renderExcerpt(excerpt));
  const { active, isOn } = state;
  // What is about to start is of the level before.
  const isStale = (cell) => player.isPending || stateOf(cell) !== player.sound;
  if (isOn && active.excerpt.task === task && isStale(active)) go(active);
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
  showTransport(Boolean(active));
  if (!active) return;
  const { excerpt } = active;
  const { levels, level } = excerpt.task.data;
  const text = levels.length < 2 ? ""
    : ` · ${minus(levels[excerpt.task.level])} ${level.unit}`.trimEnd();
  showNow(`${active.label} · ${excerpt.label}${text}`, isOn);
  byId("toggle").disabled = !canPlay(active);
  drawPosition(excerpt);
}

function drawPosition(excerpt) {
  const { position, data } = excerpt;
  excerpt.row.style.setProperty("--position", position / data.seconds);
  excerpt.row.classList.toggle("started", position > 0);
  if (!state.active || state.active.excerpt !== excerpt) return;
  showPosition(position, data.seconds,
    `${position.toFixed(1)} of ${data.seconds.toFixed(1)} s`);
}

function tick() {
  if (!state.isOn) return;
  remember();
  drawPosition(state.active.excerpt);
  requestAnimationFrame(tick);
}

function setRepeat(repeats) {
  state.repeats = repeats;
  player.loop = repeats;
  byId("repeat").setAttribute("aria-pressed", String(repeats));
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
  document.addEventListener("keydown", (event) => onKey(event, KEYS,
    pressNumber));
}

function begin() {
  byId("main").append(...tasks.map((task) => task.section));
  byId("tasks").append(...tasks.map((task, i) => make(
    "a", { href: `#task-${i + 1}` }, task.data.label)));
  byId("tasks").hidden = tasks.length < 2;
  const names = new Set(tasks.map(({ data }) => `“${data.dataset}”`));
  byId("datasets").textContent = "Data sets of the recordings, whose licences "
    + `hold for these sounds, too: ${[...names].join(", ")}.`;
  wire();
  const asked = Number(QUERY.get("blind"));
  state.order = asked > 0 ? Math.round(asked)
    : 1 + Math.floor(Math.random() * 999);
  excerpts.forEach(renderExcerpt);
  if (QUERY.has("blind")) setBlind(true);
}

begin();
