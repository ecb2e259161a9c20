"use strict";

/* Asks the server: takes a recording there, has it restored, and follows the
   work. `state.recording` is what it has last said. */

const POLLING_MS = 250;

async function ask(place, options = {}) {
  const id = state.recording ? state.recording.id : "";
  const response = await fetch(`recordings/${id}${place}`, options)
    .catch(() => { throw new Error("The server has ended; start it again."); });
  const answer = response.status === 204 ? {} : await response.json();
  if (!response.ok) throw new Error(answer.error);
  return answer;
}

function upload(file) {
  if (state.upload) state.upload.abort();
  const request = new XMLHttpRequest();
  state.upload = request;
  pause();
  tell("");
  showUpload(`Uploading ${file.name}`);
  request.upload.addEventListener("progress", ({ loaded, total }) => {
    const share = Math.round(100 * loaded / total);
    if (total) showUpload(`Uploading ${file.name}: ${share} %`);
  });
  request.addEventListener("load", () => {
    showUpload("");
    const answer = JSON.parse(request.responseText);
    if (request.status !== 201) tell(answer.error);
    else open(answer);
  });
  request.addEventListener("error", () => {
    showUpload("");
    tell("The recording could not be sent; is the server still running?");
  });
  const name = encodeURIComponent(file.name);
  request.open("POST", `recordings?name=${name}`);
  request.send(file);
}

function showUpload(text) {
  byId("drop").classList.toggle("busy", Boolean(text));
  byId("drop-text").textContent = text || (state.recording
    ? "Drop another, or choose one"
    : "Drop a recording here, or choose a file");
}

function open(recording) {
  Object.assign(state, { version: "before", position: 0, hasChosen: false });
  sounds = {};
  byId("studio").hidden = true;
  showTransport(false);
  update(recording);
  follow();
}

/* Asks for news until the work is done. */
async function follow() {
  const { id } = state.recording;
  while (state.recording && state.recording.id === id && state.recording.work) {
    await new Promise((resolve) => { setTimeout(resolve, POLLING_MS); });
    if (!state.recording || state.recording.id !== id) return;
    try {
      update(await ask(""));
    } catch (error) {
      fail(error);
      return;
    }
  }
}

function fail(error) {
  state.recording = state.recording && { ...state.recording, work: null };
  showWork();
  tell(error.message);
}

async function restore() {
  tell("");
  state.recording = {
    ...state.recording, work: { text: "waiting", share: 0 },
  };
  showWork();
  const preset = document.querySelector("#presets input:checked").value;
  const body = JSON.stringify({
    method: byId("method").value, preset,
    strength: Number(byId("strength").value),
    clip_level: byId("level").value === "" ? null : Number(byId("level").value),
  });
  try {
    update(await ask("/restoration", { method: "POST", body }));
    state.hasChosen = true;
    await follow();
  } catch (error) {
    fail(error);
  }
}

async function stop() {
  try {
    update(await ask("/restoration", { method: "DELETE" }));
  } catch (error) {
    fail(error);
  }
}

/* Leaves no recording behind that this page alone knows of. */
function leave() {
  if (state.recording) {
    fetch(`recordings/${state.recording.id}`, {
      method: "DELETE", keepalive: true,
    });
  }
}
