// The page: asks the service, and draws what has changed.

import { ask, token } from "./api.js";
import { drawCycles } from "./cycles.js";
import { confirm } from "./dialog.js";
import { announce, byId, el, redraw } from "./dom.js";
import { SPANS, drawExams, drawSamples, widthIn } from "./figures.js";
import { keepAsking } from "./live.js";
import { drawFacts, drawState, stateOf } from "./now.js";
import { ordersNow } from "./orders.js";
import { drawToDo, thingsToDo } from "./todo.js";
import { drawInstances, drawVersions, orderButton } from "./versions.js";
import { clock, many, sentence, time } from "./words.js";

const SHOWN = 10;
const LOADED = 40;
const SAMPLES_EVERY = 60000;
const POINTS = 300;

const known = {
  status: null, cycles: [], more: false, reports: new Set(), versions: [], moreVersions: false, shown: { cycles: SHOWN, versions: SHOWN }, samples: [], exams: [],
  span: SPANS[1][1], outcome: "", changed: null, sampled: 0, told: null,
};

async function turn() {
  const status = await ask("status");
  known.status = status;
  const changed = JSON.stringify([
    status.last_cycle?.cycle_id, status.cycle?.cycle_id, status.cycle?.attempts, status.champion, status.pin, status.pause, status.hold_down,
  ]);
  const asked = [];
  if (changed !== known.changed) asked.push(loadPast());
  if (Date.now() - known.sampled >= SAMPLES_EVERY) asked.push(loadSamples());
  await Promise.all(asked);
  known.changed = changed;
  answered();
  draw();
}

async function loadPast() {
  const [reports] = await Promise.all([ask("reports"), loadCycles(), loadVersions()]);
  known.reports = new Set(reports.reports.map((report) => report.cycle_id));
}

/** The newest cycles; where they reach those that are known already, the known ones stay. */
async function loadCycles() {
  const { outcome } = known;
  const newest = (limit) => ask("cycles", { limit, outcome });
  const there = known.cycles;
  const reach = (found) => found.cycles.some((one) => there.some((other) => other.cycle_id === one.cycle_id));
  let found = await newest(there.length ? SHOWN : LOADED);
  if (there.length && !reach(found)) found = await newest(LOADED);
  if (outcome !== known.outcome) return;
  const fresh = new Set(found.cycles.map((cycle) => cycle.cycle_id));
  const earlier = reach(found) ? there.filter((cycle) => !fresh.has(cycle.cycle_id)) : [];
  known.more = earlier.length ? known.more : found.more;
  known.cycles = [...found.cycles, ...earlier];
}

async function loadVersions() {
  const found = await ask("versions", { limit: known.shown.versions });
  known.versions = found.versions.toReversed();
  known.moreVersions = found.more;
}

async function loadEarlier() {
  const before = known.shown.cycles;
  if (known.more && before + SHOWN > known.cycles.length) {
    const found = await ask("cycles", { limit: LOADED, outcome: known.outcome, before: known.cycles.at(-1).cycle_id });
    known.cycles.push(...found.cycles);
    known.more = found.more;
  }
  known.shown.cycles += SHOWN;
  announce(`${many(Math.min(known.cycles.length, known.shown.cycles) - before, "earlier cycle")} shown.`);
}

async function loadSamples() {
  const since = new Date(Date.now() - known.span * 1000).toISOString();
  known.samples = (await ask("samples", { since, points: POINTS })).samples;
  known.sampled = Date.now();
}

/** Something that a person has asked for; that nobody answers shows at the top, where it shows anyway. */
const please = (load) => load().then(draw, () => askNow());

function draw() {
  const { status } = known;
  if (!status) return;
  const things = thingsToDo(status);
  redraw(byId("state"), stateFacts(status), () => drawState(status));
  redraw(byId("todo"), things, () => drawToDo(things, begin));
  redraw(byId("facts"), status, () => drawFacts(status));
  redraw(byId("orders"), ordersNow(status), () => ordersNow(status).map(([label, name]) => orderButton(label, `order-${name}`, { name }, begin)));
  redraw(byId("range"), known.span, () => SPANS.map(([name, seconds]) => rangeButton(name, seconds)));
  const [samples, exams] = [byId("samples"), byId("exams")];
  redraw(samples, [known.samples, status.freshness?.target, widthIn(samples)], () => drawSamples(known.samples, status.freshness, widthIn(samples)));
  redraw(exams, [known.cycles, widthIn(exams)], () => drawExams(known.cycles, widthIn(exams)));
  const cycles = known.cycles.slice(0, known.shown.cycles);
  const earlier = known.more || known.cycles.length > cycles.length ? () => please(loadEarlier) : null;
  redraw(byId("cycle-list"), [cycles, [...known.reports], Boolean(earlier)], () => drawCycles(cycles, known.reports, earlier));
  redraw(byId("version-list"), [known.versions, known.moreVersions, status.pin, status.champion], () =>
    drawVersions(known.versions, status, begin, known.moreVersions ? showVersions : null));
  redraw(byId("instance-list"), status.instances, () => drawInstances(status));
  redraw(byId("foot"), [status.release, status.ledger, Boolean(token.get())], () => foot(status));
  say(status, things);
}

/** What the state is drawn of: the seconds of a running cycle alone draw it each time. */
const stateFacts = (status) => [
  status.state, status.trouble, status.unable, status.cycle, status.held?.cycle_id, status.pause, status.failing,
  status.hold, status.hold_until, status.full_waits, status.asks_full,
];

/** A screen reader is told of another state or another thing to do, and of nothing else. */
function say(status, things) {
  const [, title] = stateOf(status);
  const news = [title, ...things.filter((one) => !one.mild).map((one) => one.title)].join(". ");
  document.title = `${things.length ? `(${things.length}) ` : ""}${title} · Retrainer`;
  if (known.told !== null && known.told !== news) announce(news);
  known.told = news;
}

const showVersions = () => {
  known.shown.versions += SHOWN;
  please(loadVersions);
};

function rangeButton(name, seconds) {
  const chosen = () => {
    known.span = seconds;
    please(loadSamples);
  };
  return el("button", { type: "button", "data-key": `range-${name}`, "aria-pressed": String(known.span === seconds), onclick: chosen }, name);
}

function foot({ release, ledger }) {
  const forget = () => {
    token.forget();
    draw();
    announce("The token is forgotten.");
  };
  return [
    el("p", {}, `Retrainer${release ? ` ${release}` : ""} · ledger ${ledger} · `, el("a", { href: "/api/v1/openapi.json" }, "API"), " · ", el("a", { href: "/metrics" }, "metrics")),
    token.get() && el("p", { class: "buttons" }, "This tab keeps the token until it is closed. ", el("button", { type: "button", "data-key": "forget", onclick: forget }, "Forget the token")),
  ];
}

async function begin(wanted) {
  try {
    const guards = wanted.name === "accept" ? await guardsOf(wanted.cycle) : [];
    confirm(wanted, known.status, guards, askNow);
  } catch {
    askNow(); // says that nobody answers
  }
}

/** The limits of the guard for which a cycle was held. */
async function guardsOf(cycleId) {
  const cycle = known.cycles.find((one) => one.cycle_id === cycleId) ?? (await ask(`cycles/${encodeURIComponent(cycleId)}`));
  return (cycle.result?.guard?.findings ?? []).filter((one) => one.exceeded && !one.accepted).map((one) => one.name);
}

function answered() {
  document.body.classList.remove("old");
  byId("away").replaceChildren();
  byId("link").replaceChildren("Live, as of ", time(Date.now() / 1000, { seconds: true }));
}

function failed(error, lastAnswer, next) {
  document.body.classList.add("old");
  const since = lastAnswer ? `No answer since ${clock(lastAnswer / 1000, { seconds: true })}` : "No answer yet";
  const why = error.status ? `: ${error.message}${error.wayOut ? `; ${error.wayOut}` : ""}` : "";
  const old = known.status ? " What is shown is what was known then." : "";
  if (!byId("away").childElementCount || byId("away").dataset.why !== since + why) {
    byId("away").dataset.why = since + why;
    byId("away").replaceChildren(el("p", {}, `${sentence(since + why)}${old} `, el("button", { type: "button", "data-key": "try", onclick: askNow }, "Try now")));
  }
  byId("link").textContent = `Not live; asks again at ${clock(next / 1000, { seconds: true })}`;
}

byId("outcome").addEventListener("change", (event) => {
  known.outcome = event.target.value;
  known.cycles = [];
  known.shown.cycles = SHOWN;
  please(loadCycles);
});

let resized = null;
addEventListener("resize", () => {
  clearTimeout(resized);
  resized = setTimeout(draw, 150);
});

const askNow = keepAsking(turn, failed);
