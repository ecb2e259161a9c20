"use strict";

/* Builds a task's section and fills its cells: what is seen, not what is heard.

   A task has `level`, the index of the one shown, and `excerpts`; an excerpt
   has `position` (seconds), `cells`, one per version, and `order`, the versions
   as they are shown; a cell has `states`, one per level or one for all. */

const DIGITS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
  + "+/";
const ARROWS = { higher: "↑", lower: "↓" };
const COLUMN = { role: "columnheader", scope: "col" };

const unbroken = (text) => text.replaceAll("-", "\u2011"); // but at spaces
const capital = (text) => text.charAt(0).toUpperCase() + text.slice(1);

function buildTask(data, index) {
  const task = { data, level: Math.floor(data.levels.length / 2) };
  task.excerpts = data.excerpts.map(
    (excerpt, i) => buildExcerpt(task, excerpt, i));
  const heading = make("h2", { id: `task-${index + 1}` }, data.label);
  const names = data.versions.map(
    (version) => make("th", COLUMN, version.label));
  // Roles by name: as blocks, on a narrow screen, tables would lose theirs.
  const table = make("table", { role: "table", "aria-labelledby": heading.id },
    make("colgroup", {}, make("col", { className: "names" })),
    make("thead", { role: "rowgroup", className: "spoken" },
      make("tr", { role: "row" }, make("th", COLUMN, "excerpt"), ...names)),
    make("tbody", { role: "rowgroup" },
      ...task.excerpts.map((excerpt) => excerpt.row)));
  task.section = make("section", { className: "task" },
    make("div", { className: "bar" }, heading, buildLevels(task, index)),
    make("p", { className: "note" }, describeTask(data)),
    table);
  table.style.setProperty("--columns", data.versions.length);
  return task;
}

function describeTask({ dataset, excerpts, lufs }) {
  const count = `${excerpts.length} excerpt${excerpts.length === 1 ? "" : "s"}`;
  return `Data set ${dataset} · ${count} · ${minus(lufs)} LUFS`;
}

function buildLevels(task, index) {
  const { levels, level } = task.data;
  const unit = level.unit ? ` ${level.unit}` : "";
  task.radios = levels.map((value, i) => make("input", {
    type: "radio", name: `level-${index + 1}`, value: i,
    checked: i === task.level, autocomplete: "off",
  }));
  return make("fieldset", { className: "levels", hidden: levels.length < 2 },
    make("legend", {}, capital(level.label) + (unit && `,${unit}`)),
    ...task.radios.map((radio, i) => make("label", {}, radio,
      make("span", {}, minus(levels[i]),
        make("span", { className: "spoken" }, unit)))));
}

function buildExcerpt(task, data, index) {
  const excerpt = {
    task, data, position: 0, label: `Excerpt ${index + 1}`,
    order: data.cells.map((_, version) => version),
    peak: peakOf(data.cells.flat()), // one scale for all, to compare
  };
  const whole = data.start === 0 && data.of - data.seconds < 0.6;
  const end = (data.start + data.seconds).toFixed(1);
  const length = whole ? `${data.seconds.toFixed(1)} s`
    : `${data.start.toFixed(1)}–${end} of ${data.of.toFixed(1)} s`;
  excerpt.header = make("th", { role: "rowheader", scope: "row" },
    make("span", { className: "excerpt" }, excerpt.label),
    make("span", { className: "file" }, data.name),
    make("span", { className: "file" }, length));
  excerpt.cells = data.cells.map(
    (states, version) => buildCell(excerpt, states, version));
  excerpt.row = make("tr", { role: "row" }, excerpt.header,
    ...excerpt.cells.map((cell) => cell.element));
  return excerpt;
}

function buildCell(excerpt, states, version) {
  const cell = {
    excerpt, states, version,
    info: excerpt.task.data.versions[version],
    button: make("button", { type: "button", className: "play" }),
    name: make("span", { className: "name" }),
    key: make("kbd", { "aria-hidden": "true" }),
    wave: document.createElementNS(SVG, "svg"),
    image: make("img", {
      loading: "lazy", decoding: "async", width: 120, height: 40, alt: "",
    }),
    notes: make("div", { className: "notes" }),
  };
  cell.button.setAttribute("aria-pressed", "false");
  cell.wave.setAttribute("aria-hidden", "true");
  cell.wave.setAttribute("preserveAspectRatio", "none");
  cell.wave.append(document.createElementNS(SVG, "path"));
  cell.thumb = make("div", { className: "thumb", role: "img" },
    cell.wave, cell.image, make("span", { className: "line" }));
  cell.element = make("td", { role: "cell" },
    make("div", { className: "head" }, cell.button, cell.name, cell.key),
    cell.thumb, cell.notes);
  if (cell.info.colour) {
    cell.element.style.setProperty("--colour", cell.info.colour);
  }
  return cell;
}

function stateOf(cell) {
  return cell.states[Math.min(cell.excerpt.task.level, cell.states.length - 1)];
}

function canPlay(cell) {
  return stateOf(cell).stem !== undefined;
}

/* Shows a cell at the task's level, under the name it goes by. */
function render(cell, { isBlind, isRevealed }) {
  const state = stateOf(cell);
  const { excerpt } = cell;
  const place = excerpt.order.indexOf(cell.version);
  const letter = String.fromCharCode(65 + place);
  if (!isBlind) cell.label = cell.info.label;
  else if (isRevealed) cell.label = `${letter}: ${cell.info.label}`;
  else cell.label = `Version ${letter}`;
  const isHidden = isBlind && !isRevealed;
  const isGap = state.stem === undefined;
  cell.element.classList.toggle("unlisted", place < 0);
  cell.element.classList.toggle("gap", isGap);
  cell.name.textContent = unbroken(isHidden ? letter : cell.label);
  cell.key.textContent = place < 9 ? place + 1 : "";
  cell.button.hidden = isGap;
  cell.thumb.hidden = isGap;
  cell.button.setAttribute(
    "aria-label", `Play ${cell.label}, ${excerpt.label}`);
  cell.thumb.setAttribute("aria-label", isHidden ? "Position"
    : `Waveform and spectrogram, ${cell.label}, ${excerpt.label}`);
  cell.notes.replaceChildren();
  if (isGap) {
    cell.notes.append(make("p", { className: "reason" },
      isHidden ? "no sound at this level" : state.gap));
  } else if (isHidden) {
    cell.image.removeAttribute("src");
    drawWave(cell.wave, "", 1);
  } else {
    cell.notes.append(...describeSound(state, excerpt.task.data));
    cell.image.src = `${state.stem}.png`;
    drawWave(cell.wave, state.wave, excerpt.peak);
  }
}

function describeSound(state, { metrics }) {
  const scores = (state.scores || []).map((text, i) => {
    const metric = metrics[i];
    const unit = text !== "n/a" && metric.unit ? ` ${metric.unit}` : "";
    return make("div", {},
      make("dt", {}, `${unbroken(metric.label)}\u00a0`,
        make("span", { "aria-hidden": "true" }, ARROWS[metric.direction]),
        make("span", { className: "spoken" }, `${metric.direction} is better`)),
      make("dd", {}, minus(text) + unit));
  });
  const notes = scores.length
    ? [make("dl", { className: "scores" }, ...scores)] : [];
  if (state.quiet) {
    notes.push(make("p", { className: "quiet" },
      `quieter: ${minus(state.quiet)} LUFS, peak at full scale`));
  }
  return notes;
}

/* Amplitudes from their digits: −31.5 … 31.5 stand for −1 … 1. */
function amplitudes(digits) {
  return [...digits].map((digit) => DIGITS.indexOf(digit) - 31.5);
}

function peakOf(states) {
  return states.reduce((peak, state) => amplitudes(state.wave || "").reduce(
    (greatest, value) => Math.max(greatest, Math.abs(value)), peak), 1);
}

function drawWave(svg, digits, peak) {
  const codes = amplitudes(digits);
  const columns = codes.length / 2;
  const low = [];
  const high = [];
  for (let i = 0; i < columns; i += 1) {
    low.push(`${i + 0.5} ${0.3 - codes[2 * i]}`); // silence is a thin line
    high.push(`${i + 0.5} ${-0.3 - codes[2 * i + 1]}`);
  }
  const outline = [...high, ...low.reverse()].join("L");
  svg.setAttribute("viewBox", `0 ${-peak} ${columns || 1} ${2 * peak}`);
  svg.firstChild.setAttribute("d", outline && `M${outline}Z`);
}
