"use strict";

/* Draws a recording: its waveform and spectrogram, and what is found in it. */

const VERSIONS = ["before", "after", "difference"];
const STEPS = [0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120,
  300, 600, 1200, 1800, 3600];

function path(className, d) {
  const element = document.createElementNS(SVG, "path");
  element.setAttribute("class", className);
  element.setAttribute("d", d);
  return element;
}

function clock(seconds, step = 1) {
  const digits = step < 0.1 ? 2 : Number(step < 1);
  const rest = (seconds % 60).toFixed(digits);
  const whole = Math.floor(seconds / 60);
  const hours = Math.floor(whole / 60);
  const minutes = hours ? String(whole % 60).padStart(2, "0") : whole;
  return `${hours ? `${hours}:` : ""}${minutes}:${
    rest.padStart(digits ? digits + 3 : 2, "0")}`;
}

/* The largest sample of all versions: one scale for all, to compare. */
function peakOf(views) {
  return Object.values(views).reduce((peak, { low, high }) => Math.max(
    peak, ...low.flat().map(Math.abs), ...high.flat().map(Math.abs)), 1e-4);
}

/* Channels lie below each other, each between −1.08 and 1.08 of the peak. */
function drawWave(svg, recording, version) {
  const { views, clipped } = recording;
  const { low, high } = views[version];
  const scale = 1.08 * peakOf(views);
  const parts = low[0].length;
  const children = [];
  low.forEach((_, channel) => {
    const middle = (2 * channel + 1) * scale;
    const y = (value) => (middle - value).toFixed(4);
    const least = low[channel].map((value, i) => `${i + 0.5} ${y(value)}`);
    const most = high[channel].map((value, i) => `${i + 0.5} ${y(value)}`);
    children.push(path("zero", `M0 ${middle}H${parts}`));
    if (channel) children.push(path("border", `M0 ${middle - scale}H${parts}`));
    children.push(path("samples", `M${most.join("L")}L${
      least.reverse().join("L")}Z`));
    if (version === "difference") return;
    const levels = clipped.levels[channel] || [];
    children.push(path("level", levels.map(
      (level) => `M0 ${y(level)}H${parts}`).join("")));
    if (version === "before") {
      children.push(path("marks", marks(clipped, channel, views.before, y)));
    }
  });
  svg.setAttribute("viewBox", `0 0 ${parts} ${2 * scale * low.length}`);
  svg.replaceChildren(...children);
}

/* The outer part of the wave where it is clipped. */
function marks(clipped, channel, { low, high }, y) {
  const lines = [];
  clipped.low[channel].forEach((isClipped, i) => {
    if (isClipped) {
      lines.push(`M${i + 0.5} ${y(low[channel][i])}V${
        y(0.82 * low[channel][i])}`);
    }
  });
  clipped.high[channel].forEach((isClipped, i) => {
    if (isClipped) {
      lines.push(`M${i + 0.5} ${y(high[channel][i])}V${
        y(0.82 * high[channel][i])}`);
    }
  });
  return lines.join("");
}

/* Labels of an axis, at shares of its length. */
function label(element, texts, side) {
  element.replaceChildren(...texts.map(([text, share]) => {
    const span = make("span", {}, text);
    span.style.setProperty(side, `${100 * share}%`);
    return span;
  }));
}

function drawAxes(recording) {
  const { seconds, found } = recording;
  const step = STEPS.find((x) => seconds / x <= 8) || 3600;
  const times = [];
  for (let i = 0; i * step < 0.97 * seconds; i += 1) {
    times.push([clock(i * step, step), i * step / seconds]);
  }
  label(byId("times"), times, "left");
  const top = found.sample_rate / 2000;
  const each = [0.5, 1, 2, 5, 10, 20, 50].find((x) => top / x <= 5) || 100;
  const levels = [];
  for (let i = 1; i * each < 0.95 * top; i += 1) {
    levels.push([`${i * each} kHz`, i * each / top]);
  }
  label(byId("frequencies"), levels, "bottom");
}

/* The 20 ms with most clipped samples, and what they have become. */
function drawSpot(recording) {
  const { spot, clipped, found } = recording;
  const isClipped = spot.signs.some(Boolean);
  const of = found.channels > 1 ? `, channel ${spot.channel + 1}` : "";
  const start = clock(spot.seconds[0], 0.01);
  const length = Math.round(1000 * (spot.seconds[1] - spot.seconds[0]));
  byId("spot-text").textContent = isClipped
    ? `The ${length} ms with most clipping, at ${start}${of}`
    : `The first ${length} ms${of}`;
  const curves = [spot.before, spot.after || []];
  const peak = 1.12 * Math.max(1e-4, ...curves.flat().map(Math.abs));
  const line = (values) => values.length ? `M${values.map(
    (value, i) => `${i} ${(-value).toFixed(4)}`).join("L")}` : "";
  const dots = spot.before.map((value, i) => (spot.signs[i]
    ? `M${i} ${-value}h0.01` : "")).join("");
  const levels = (clipped.levels[spot.channel] || []).map(
    (level) => `M0 ${-level}H${spot.before.length}`).join("");
  byId("spot").setAttribute(
    "viewBox", `0 ${-peak} ${spot.before.length - 1} ${2 * peak}`);
  byId("spot").setAttribute("aria-label", byId("spot-text").textContent);
  byId("spot").replaceChildren(
    path("zero", `M0 0H${spot.before.length}`), path("level", levels),
    path("after", line(spot.after || [])), path("curve", line(spot.before)),
    path("dots", dots));
  document.querySelector(".is-clipped").hidden = !isClipped;
  document.querySelector(".is-after").hidden = !spot.after;
}

function drawHistogram({ histogram, clipped }) {
  const { edges, counts } = histogram;
  const tops = counts.map((count) => Math.log10(1 + count));
  const top = Math.max(...tops, 1);
  const bars = `M0 ${top}${tops.map((value, i) => `V${
    (top - value).toFixed(3)}H${i + 1}`).join("")}V${top}Z`;
  const levels = [...new Set(clipped.levels.flat())].map((level) => {
    const share = (level - edges[0]) / (edges[1] - edges[0]);
    return `M${(share * counts.length).toFixed(2)} 0V${top}`;
  }).join("");
  byId("histogram").setAttribute("viewBox", `0 0 ${counts.length} ${top}`);
  byId("histogram").replaceChildren(path("bars", bars), path("level", levels));
  byId("least").textContent = minus(edges[0].toFixed(2));
  byId("largest").textContent = edges[1].toFixed(2);
}

function describe({ found, seconds, format, subtype }) {
  const channels = { 1: "mono", 2: "stereo" }[found.channels]
    || `${found.channels} channels`;
  const kind = format === subtype ? format : `${format} ${subtype}`;
  return [clock(seconds), channels, `${found.sample_rate / 1000} kHz`,
    kind.replace("_", " ")].join(" · ");
}

function decibels(value, unit) {
  return value === null ? null : `${minus(value.toFixed(1))} ${unit}`;
}

function facts({ found, seconds, effect }) {
  const { clipping, levels } = found;
  const share = 100 * clipping.clipped_share;
  const rows = [["Clipping", clipping.summary]];
  if (clipping.clipped_samples) {
    rows.push(["Clipped", `${Number(share.toPrecision(2))} % of the samples`]);
    rows.push(["Input SDR", clipping.input_sdr_db === null ? null
      : `about ${clipping.input_sdr_db.toFixed(0)} dB`]);
    clipping.channels.forEach((channel, i) => {
      const spans = channel.spans.map((span) => `${
        clock(span.start_seconds)}–${clock(span.end_seconds)}`).join(", ");
      const name = found.channels > 1 ? `Where, channel ${i + 1}` : "Where";
      if (spans && seconds > 1) rows.push([name, spans]);
    });
  }
  rows.push(["Soft clip", clipping.soft], ["Doubts", clipping.doubts]);
  rows.push(["Overdrive", effect]);
  rows.push(["Peak", decibels(levels.peak_dbfs, "dBFS")]);
  rows.push(["True peak", decibels(levels.true_peak_dbtp, "dBTP")]);
  rows.push(["Loudness", decibels(levels.loudness_lufs, "LUFS")]);
  const dc = Math.max(...levels.dc.map(Math.abs));
  rows.push(["DC offset", dc > 1e-4 ? dc.toPrecision(2) : null]);
  return rows.filter(([, text]) => text);
}

function drawFound(recording) {
  byId("facts").replaceChildren(...facts(recording).map(([name, text]) => make(
    "div", {}, make("dt", {}, name), make("dd", {}, text))));
  drawSpot(recording);
  drawHistogram(recording);
}
