"use strict";

/* What a user does: drop a recording, restore it, go over between before, after
   and the difference while it plays, and download the result. */

const DATA = JSON.parse(byId("data").textContent);
const LABELS = {
  before: "Before", after: "After", difference: "Difference",
};
const NOTES = {
  auto: "Looks for an overdrive, which is undone exactly, then for clipping. "
    + "What shows neither stays as it is. The first look takes some seconds.",
  declip: "Rebuilds clipped samples; all others stay as they are.",
  inversion: "Undoes an overdrive or a soft clip exactly, where it is certain "
    + "which it was. Takes some seconds.",
};
const state = {
  recording: null, version: "before", position: 0, isOn: false, repeats: false,
  upload: null, hasChosen: false,
};
let sounds = {};
const player = new Player(onPlayer);

// Showing

function update(recording) {
  const before = state.recording;
  state.recording = recording;
  showUpload("");
  showWork();
  if (recording.error) tell(recording.error);
  const { views, work, restoration } = recording;
  if (!views || (before && before.views
    && before.views.before.sound === views.before.sound)) return;
  const isFirst = byId("studio").hidden;
  byId("studio").hidden = false;
  showTransport(true);
  showSounds(views);
  if (restoration && !work && state.hasChosen && state.version === "before") {
    state.version = "after";
  }
  byId("name").textContent = recording.name;
  byId("form").textContent = describe(recording);
  drawAxes(recording);
  drawFound(recording);
  showVersions();
  showResult();
  show();
  if (state.isOn) listen(player.isPlaying);
  if (isFirst) byId("studio").scrollIntoView({ block: "nearest" });
}

function showSounds(views) {
  const place = `recordings/${state.recording.id}/files`;
  sounds = Object.fromEntries(Object.entries(views).map(([name, view]) => [
    name, { stem: name, url: `${place}/${view.sound}` }]));
  for (const [name, view] of Object.entries(views)) {
    sounds[name].picture = `${place}/${view.picture}`;
    new Image().src = sounds[name].picture; // is there when it is gone over to
  }
}

function showWork() {
  const { work, views } = state.recording || {};
  byId("work").hidden = !work;
  byId("drop").classList.toggle("looking", Boolean(work && !views));
  if (work && !views) byId("drop-text").textContent = `${work.text} …`;
  byId("start").disabled = Boolean(work);
  if (!work) return;
  byId("work-text").textContent = work.text;
  if (work.share) byId("share").value = work.share;
  else byId("share").removeAttribute("value");
}

function showVersions() {
  for (const radio of document.querySelectorAll("#versions input")) {
    radio.disabled = !sounds[radio.value];
    radio.checked = radio.value === state.version;
  }
}

function showResult() {
  const { restoration, id } = state.recording;
  byId("result").hidden = !restoration;
  if (!restoration) return;
  const { changes, lines, overflow, file } = restoration;
  byId("lines").replaceChildren(
    make("p", {}, make("strong", {}, changes ? "Restored" : "Nothing changed")),
    ...lines.map((text) => make("p", {}, text)));
  byId("download").textContent = `Download ${file}`;
  byId("download").href = `recordings/${id}/files/result`;
  byId("overflow").hidden = !overflow;
  byId("overflow").replaceChildren(`It is ${overflow}. `, make("a", {
    href: `recordings/${id}/files/result-float`, download: "",
    id: "download-float",
  }, "As 32-bit floats"), " it keeps the level.");
}

function show() {
  const { recording, version, isOn } = state;
  const view = recording && recording.views && recording.views[version];
  if (!view) return;
  drawWave(byId("wave"), recording, version);
  byId("spectrogram").src = sounds[version].picture;
  byId("picture").setAttribute("aria-label",
    `Waveform and spectrogram, ${LABELS[version].toLowerCase()}`);
  byId("picture").dataset.version = version;
  const gain = view.gain_db;
  const isQuiet = version === "difference" && !recording.restoration.changes;
  byId("gain").textContent = isQuiet ? "nothing is changed"
    : `played ${Math.abs(gain) < 0.05 ? "at its own level"
      : `${Math.abs(gain).toFixed(1)} dB ${gain > 0 ? "louder" : "quieter"}`}`;
  showNow(`${LABELS[version]} · ${recording.name}`, isOn);
  drawPosition();
}

function drawPosition() {
  if (!state.recording || !state.recording.views) return;
  const { position, recording: { seconds } } = state;
  byId("picture").style.setProperty("--position", position / seconds);
  const step = seconds < 60 ? 0.1 : 1;
  showPosition(position, seconds,
    `${clock(position, step)} of ${clock(seconds, step)}`);
}

// Playing

function listen(inStep) {
  state.isOn = true;
  const sound = sounds[state.version];
  const started = inStep ? player.switchTo(sound)
    : player.play(sound, state.position);
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

function toggle() {
  if (!sounds[state.version]) return;
  if (state.isOn) pause();
  else listen(false);
}

/* Goes over to another version at the same position. */
function choose(version) {
  if (!sounds[version]) return;
  remember();
  state.version = version;
  showVersions();
  show();
  if (state.isOn) listen(player.isPlaying);
}

function seek(position) {
  if (!state.recording || !state.recording.views) return;
  const last = state.recording.seconds - 0.02;
  state.position = Math.max(0, Math.min(position, last));
  if (state.isOn && player.isPlaying && !player.isPending) {
    player.seek(state.position);
  } else if (state.isOn) {
    listen(false);
  }
  drawPosition();
}

function remember() {
  const isOurs = Object.values(sounds).includes(player.sound);
  if (isOurs && player.isPlaying) state.position = player.position;
}

function onPlayer() {
  if (player.isPending || !player.deck.ended || !state.isOn) return;
  Object.assign(state, { isOn: false, position: 0 });
  show();
}

function tick() {
  if (!state.isOn) return;
  remember();
  drawPosition();
  requestAnimationFrame(tick);
}

function setRepeat(repeats) {
  state.repeats = repeats;
  player.loop = repeats;
  byId("repeat").setAttribute("aria-pressed", String(repeats));
}

// Putting it together

function skip(seconds) {
  remember();
  seek(state.position + seconds);
}

const KEYS = {
  " ": toggle,
  ",": () => skip(-0.5),
  ".": () => skip(0.5),
  0: () => seek(0),
  r: () => setRepeat(!state.repeats),
  "?": () => byId("keys").showModal(),
};

function segment(group, value, text, isChecked, key) {
  const radio = make("input", {
    type: "radio", name: group, value, checked: isChecked, autocomplete: "off",
  });
  const words = make("span", {}, text);
  if (key) words.append(" ", make("kbd", { "aria-hidden": "true" }, key));
  byId(group).append(make("label", {}, radio, words));
  return radio;
}

function buildForm() {
  VERSIONS.forEach((version, i) => segment(
    "versions", version, LABELS[version], i === 0, i + 1,
  ).addEventListener("change", () => choose(version)));
  DATA.presets.forEach((preset) => segment(
    "presets", preset, preset, preset === DATA.preset));
  const options = [["auto", "Automatic"], ["declip", "Declip"],
    ["inversion", "Undo an overdrive"]];
  byId("method").append(
    ...options.map(([value, text]) => make("option", { value }, text)),
    make("optgroup", { label: "Networks" }, ...DATA.networks.map(
      ([value]) => make("option", { value }, value))));
  byId("file").accept = DATA.suffixes.join(",");
  byId("drop-note").textContent = "WAV, AIFF, FLAC, MP3, Ogg, M4A and more, "
    + `up to ${DATA.megabytes} MB`;
}

function showMethod() {
  const { value } = byId("method");
  const network = DATA.networks.find(([name]) => name === value);
  byId("method-note").textContent = NOTES[value]
    || `A trained network for: ${network[1]}`;
  const isDeclipper = value === "auto" || value === "declip";
  byId("presets").hidden = !isDeclipper;
  byId("level-field").hidden = !isDeclipper;
  byId("strength-text").textContent = `${byId("strength").value} %`;
}

function wireDrop() {
  byId("file").addEventListener("change", () => {
    if (byId("file").files.length) upload(byId("file").files[0]);
    byId("file").value = ""; // the same again is a change
  });
  for (const kind of ["dragenter", "dragover"]) {
    document.addEventListener(kind, (event) => {
      event.preventDefault();
      document.body.classList.add("dragging");
    });
  }
  document.addEventListener("dragleave", (event) => {
    if (!event.relatedTarget) document.body.classList.remove("dragging");
  });
  document.addEventListener("drop", (event) => {
    event.preventDefault();
    document.body.classList.remove("dragging");
    const [file] = event.dataTransfer.files;
    if (file) upload(file);
  });
}

function wire() {
  byId("restore").addEventListener("submit", (event) => {
    event.preventDefault();
    restore();
  });
  byId("restore").addEventListener("input", showMethod);
  byId("stop").addEventListener("click", stop);
  byId("toggle").addEventListener("click", toggle);
  byId("position").addEventListener(
    "input", (event) => seek(Number(event.target.value)));
  byId("picture").addEventListener("click", (event) => {
    const box = byId("picture").getBoundingClientRect();
    seek((event.clientX - box.left) / box.width * state.recording.seconds);
    if (!state.isOn) listen(false);
  });
  byId("repeat").addEventListener("click", () => setRepeat(!state.repeats));
  byId("help").addEventListener("click", () => byId("keys").showModal());
  window.addEventListener("pagehide", leave);
  document.addEventListener("keydown", (event) => onKey(
    event, KEYS, (number) => choose(VERSIONS[number - 1])));
}

buildForm();
showMethod();
showUpload("");
wireDrop();
wire();
