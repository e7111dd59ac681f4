// Elements. Whatever is told becomes a text node, so no text of the service is ever read as HTML.

const SVG = "http://www.w3.org/2000/svg";

/** An element: `attributes` by name, functions as listeners (`onclick`); null and false leave one out. */
export function el(tag, attributes = {}, ...content) {
  return filled(document.createElement(tag), attributes, content);
}

/** The same for pictures. */
export function svg(tag, attributes = {}, ...content) {
  return filled(document.createElementNS(SVG, tag), attributes, content);
}

export const byId = (id) => document.getElementById(id);

function filled(node, attributes, content) {
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "function") node.addEventListener(name.slice(2), value);
    else if (value !== null && value !== undefined && value !== false) node.setAttribute(name, value === true ? "" : value);
  }
  node.append(...content.flat(Infinity).filter((one) => one !== null && one !== undefined && one !== false));
  return node;
}

const drawn = new WeakMap();

/**
 * Put what `draw` gives into `place`, if `facts` are others than the last time. So nothing moves under a reader, and what
 * has the focus or is open stays so: elements are recognised by `data-key`.
 */
export function redraw(place, facts, draw) {
  const signature = JSON.stringify(facts);
  if (drawn.get(place) === signature) return;
  drawn.set(place, signature);
  const focused = place.contains(document.activeElement) ? document.activeElement.dataset.key : undefined;
  const open = [...place.querySelectorAll("details[open][data-key]")].map((one) => one.dataset.key);
  place.replaceChildren(...[draw()].flat(Infinity).filter(Boolean));
  for (const one of place.querySelectorAll("details[data-key]")) one.open ||= open.includes(one.dataset.key);
  if (focused) focusKey(focused, place, place.querySelector("button, summary, a"));
}

/** Put the focus where it was, or on `otherwise` where that is gone. */
export function focusKey(key, place, otherwise) {
  const same = [...place.querySelectorAll("[data-key]")].find((one) => one.dataset.key === key);
  (same ?? otherwise)?.focus({ preventScroll: true });
}

/** A sentence that a screen reader says. */
export function announce(sentence) {
  byId("said").textContent = sentence;
}

/** A table whose first column names its rows; where it is too wide it scrolls by itself, and not the page. */
export function table(caption, heads, rows, className = "") {
  const head = el("tr", {}, heads.map((one) => el("th", { scope: "col" }, one)));
  const body = rows.map(([first, ...rest]) =>
    el("tr", {}, el("th", { scope: "row" }, first), rest.map((one) => el("td", {}, one))),
  );
  return el(
    "div",
    { class: "wide", role: "group", "aria-label": caption, tabindex: "0" },
    el("table", { class: className }, el("caption", {}, caption), el("thead", {}, head), el("tbody", {}, body)),
  );
}

/** A text in which `commands` stand between backticks, which are set as code. */
export function withCode(text) {
  return String(text).split("`").map((part, index) => (index % 2 ? el("code", {}, part) : part));
}
