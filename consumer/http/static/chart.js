// Lines over time as SVG, which takes its colours from the style sheet, so dark and light need no second drawing.

import { el, svg, table } from "./dom.js";
import { clock, day } from "./words.js";

const HEIGHT = 190;
const [LEFT, RIGHT, TOP, BOTTOM] = [58, 8, 10, 24];
const MINUTE = 60000;
const STEPS = [5, 10, 30, 60, 180, 360, 720, 1440, 2880, 5760].map((minutes) => minutes * MINUTE);
const SECONDS = [1, 5, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 28800, 86400, 172800, 604800];
const ROWS = 16;

/**
 * A figure with its lines.
 *
 * `lines` are `{name, role, points: [[milliseconds, value or null], ...], dots}`; `role` names the colour, a null breaks the
 * line. `told` gives a value in words, `whole` starts the axis at zero, `limit` is a line across, `width` in pixels.
 */
export function chart({ title, lines, told, width, key, whole = true, limit = null, ofTime = false, note = "" }) {
  const shown = lines.filter((line) => line.points.some(([, value]) => value !== null));
  const heading = el("h3", {}, title);
  if (!shown.length) return el("figure", {}, heading, el("p", { class: "quiet" }, "Nothing is measured yet."));
  const points = shown.flatMap((line) => line.points);
  const [from, to] = range(points.map(([at]) => at), MINUTE);
  const values = points.map(([, value]) => value).filter((value) => value !== null);
  const [low, high] = range([...values, ...(whole ? [0] : []), ...(limit ? [limit.value] : [])], whole ? 1 : 1e-3);
  const marks = ticks(low, high, ofTime);
  const [bottom, top] = [whole ? 0 : Math.min(low, marks[0]), Math.max(high, marks.at(-1))];
  const x = (at) => LEFT + ((at - from) / (to - from)) * (width - LEFT - RIGHT);
  const y = (value) => HEIGHT - BOTTOM - ((value - bottom) / (top - bottom)) * (HEIGHT - TOP - BOTTOM);
  const summary = shown.map((line) => summed(line, told)).join("; ");
  const reading = el("p", { class: "reading", "aria-hidden": "true" }, keys(shown, (line) => told(last(line)[1])));
  const cursor = svg("line", { class: "cursor", y1: TOP, y2: HEIGHT - BOTTOM, x1: -9, x2: -9 });
  const picture = svg(
    "svg",
    { viewBox: `0 0 ${width} ${HEIGHT}`, width, height: HEIGHT, role: "img", "aria-label": `${title}: ${summary}` },
    marks.map((value) => [
      svg("line", { class: "grid", x1: LEFT, x2: width - RIGHT, y1: y(value), y2: y(value) }),
      svg("text", { x: LEFT - 8, y: y(value) + 4, "text-anchor": "end" }, told(value)),
    ]),
    moments(from, to, width).map((at) => svg("text", { x: x(at), y: HEIGHT - 6, "text-anchor": "middle" }, tick(at, to - from))),
    limit && svg("line", { class: "limit", x1: LEFT, x2: width - RIGHT, y1: y(limit.value), y2: y(limit.value) }),
    limit && svg("text", { class: "limit", x: width - RIGHT, y: y(limit.value) - 5, "text-anchor": "end" }, limit.name),
    shown.map((line) => drawn(line, x, y)),
    cursor,
  );
  picture.addEventListener("pointermove", (event) => {
    const at = from + ((event.offsetX - LEFT) / (width - LEFT - RIGHT)) * (to - from);
    const [nearest] = nearestOf(shown[0].points, at);
    for (const name of ["x1", "x2"]) cursor.setAttribute(name, x(nearest));
    const said = keys(shown, (line) => (nearestOf(line.points, nearest)[1] === null ? "–" : told(nearestOf(line.points, nearest)[1])));
    reading.replaceChildren(`${clock(nearest / 1000)}: `, ...said);
  });
  picture.addEventListener("pointerleave", () => {
    for (const name of ["x1", "x2"]) cursor.setAttribute(name, -9);
    reading.replaceChildren(...keys(shown, (line) => told(last(line)[1])));
  });
  return el("figure", {}, heading, reading, picture, note && el("figcaption", {}, note), asTable(title, shown, told, key));
}

function drawn(line, x, y) {
  const path = [];
  let open = false;
  for (const [at, value] of line.points) {
    if (value !== null) path.push(`${open ? "L" : "M"}${x(at).toFixed(1)} ${y(value).toFixed(1)}`);
    open = value !== null;
  }
  const alone = (index) => [index - 1, index + 1].every((beside) => (line.points[beside]?.[1] ?? null) === null);
  const dots = line.points.filter(([, value], index) => value !== null && (line.dots || alone(index)));
  return svg(
    "g",
    { class: `line ${line.role}` },
    svg("path", { d: path.join("") }),
    dots.map(([at, value]) => svg("circle", { cx: x(at), cy: y(value), r: line.dots ? 3 : 1.5 })),
  );
}

const keys = (lines, told) =>
  lines.map((line) => el("span", { class: `key ${line.role}` }, lines.length > 1 ? `${line.name} ` : "", el("b", {}, told(line))));

const last = (line) => line.points.findLast(([, value]) => value !== null);

function summed(line, told) {
  const values = line.points.map(([, value]) => value).filter((value) => value !== null);
  const [least, most] = [Math.min(...values), Math.max(...values)];
  return `${line.name}: ${told(last(line)[1])} at last, between ${told(least)} and ${told(most)}`;
}

function nearestOf(points, at) {
  return points.reduce((best, one) => (Math.abs(one[0] - at) < Math.abs(best[0] - at) ? one : best));
}

/** What the picture shows, for who does not see it: some moments, evenly spaced; drawn when it is opened. */
function asTable(title, lines, told, key) {
  const details = el("details", { "data-key": key }, el("summary", {}, "As a table"));
  details.addEventListener("toggle", () => {
    if (!details.open || details.querySelector("table")) return;
    const moments = lines[0].points.map(([at]) => at);
    const every = Math.max(1, Math.ceil(moments.length / ROWS));
    const some = moments.filter((_, index) => (moments.length - 1 - index) % every === 0);
    const cell = (line, at) => {
      const value = nearestOf(line.points, at)[1];
      return value === null ? "–" : told(value);
    };
    const rows = some.map((at) => [clock(at / 1000), ...lines.map((line) => cell(line, at))]);
    details.append(table(title, ["at", ...lines.map((line) => line.name)], rows, "figures"));
  });
  return details;
}

function range(values, least) {
  const [low, high] = [Math.min(...values), Math.max(...values)];
  return high - low < least ? [low - (low === 0 ? 0 : least / 2), low + least] : [low, high];
}

function ticks(low, high, ofTime) {
  const rough = (high - low) / 3.5;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = ofTime ? (SECONDS.find((one) => one >= rough) ?? SECONDS.at(-1)) : [1, 2, 5, 10].find((one) => one * power >= rough) * power;
  const first = Math.floor(low / step);
  return Array.from({ length: Math.ceil(high / step) - first + 1 }, (_, index) => (first + index) * step);
}

function moments(from, to, width) {
  const step = STEPS.find((one) => (to - from) / one <= (width - LEFT) / 95) ?? STEPS.at(-1);
  const zone = new Date(to).getTimezoneOffset() * MINUTE;
  const first = Math.ceil((from - zone) / step) * step + zone;
  const found = [];
  for (let at = first; at <= to - step / 4; at += step) found.push(at);
  return found;
}

const tick = (at, span) => {
  const midnight = new Date(at).getHours() === 0 && new Date(at).getMinutes() === 0;
  return span > 3 * 1440 * MINUTE || midnight ? day(at / 1000) : clock(at / 1000).split(", ").at(-1);
};
