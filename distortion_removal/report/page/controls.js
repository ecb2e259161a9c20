"use strict";

/* What pages with a player share: elements, messages, the bar at the foot, and
   when a key is left to what has the focus. */

const SVG = "http://www.w3.org/2000/svg";
const byId = (id) => document.getElementById(id);
const minus = (text) => String(text).replace("-", "−");

function make(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name in element) element[name] = value;
    else element.setAttribute(name, value);
  }
  element.append(...children);
  return element;
}

function tell(message) {
  byId("message").textContent = message;
  byId("message").hidden = !message;
}

function showTransport(isShown) {
  byId("transport").hidden = !isShown;
  document.body.classList.toggle("has-transport", isShown);
}

function showNow(text, isOn) {
  if (byId("now").textContent !== text) byId("now").textContent = text;
  byId("toggle").setAttribute("aria-pressed", String(isOn));
}

function showPosition(position, seconds, text) {
  byId("position").max = seconds;
  byId("position").value = position;
  byId("position").setAttribute("aria-valuetext", text);
  byId("time").textContent = text;
}

/* Does what `actions` have for a key, or `pressNumber` for 1 to 9. */
function onKey(event, actions, pressNumber) {
  const { target, key } = event;
  if (event.ctrlKey || event.metaKey || event.altKey || byId("keys").open) {
    return;
  }
  const isField = target.matches("input[type=number], select");
  const hasArrows = target.matches("input") && key.startsWith("Arrow");
  const hasSpace = target.matches("button, a, input[type=file]") && key === " ";
  if (isField || hasArrows || hasSpace) return;
  const action = /^[1-9]$/.test(key) ? () => pressNumber(Number(key))
    : actions[key.length === 1 ? key.toLowerCase() : key];
  if (!action) return;
  event.preventDefault();
  action();
}
