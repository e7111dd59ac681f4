// What the service does now, why it waits, and its figures.

import { el, withCode } from "./dom.js";
import { capital, clock, count, long, many, percent, sentence, time } from "./words.js";

const STEPS = ["read", "embed", "pair", "base", "probe", "fit", "gate", "package", "register"];
const NOT_RUNNING = {
  "never started": "No service has run here yet",
  "not responding": "The service does not respond",
  stopped: "The service has stopped",
};
const PROMISE = { kept: "Kept", at_risk: "At risk", broken: "Broken" };

/** The state in words: the tone of its colour, a title, and sentences. */
export function stateOf(status) {
  const { cycle, held, pause, state } = status;
  if (state in NOT_RUNNING) return ["bad", NOT_RUNNING[state], []];
  if (status.trouble) return ["bad", "In trouble", [status.trouble]];
  if (cycle) return working(cycle, pause);
  if (status.unable) return ["bad", "Cannot read events", [status.unable]];
  if (pause) return ["care", "Paused", [`By ${pause.by} since ${clock(pause.at)}: ${pause.reason}`]];
  if (held) return ["care", "Held", ["The data of the last cycle are not believed, and nothing was learned from them"]];
  if (status.failing) return ["bad", "Failing", waits(status)];
  return [state === "listening" ? "good" : "care", capital(state), waits(status)];
}

function working(cycle, pause) {
  const what = [many(cycle.users ?? 0, "user"), cycle.labels ? many(cycle.labels, "label") : null].filter(Boolean);
  const said = [`Because ${because(cycle.reason)}: ${what.join(" and ")}, cycle ${cycle.cycle_id} (${cycle.kind})`];
  if (cycle.state !== "running") said.push(cycle.state);
  if (cycle.attempts) said.push(`It was tried ${cycle.attempts} times before`);
  if (cycle.next_try_at) said.push(`The next try is at ${clock(cycle.next_try_at, { seconds: true })}`);
  if (pause) said.push(`Cycles are paused by ${pause.by}, so none follows: ${pause.reason}`);
  return ["busy", cycle.kind === "incremental" ? "Learning what has changed" : `Learning, ${cycle.kind}`, said];
}

/** A cycle's reason as part of a sentence; an operator asks in the words of the ledger. */
export const because = (reason) => (reason === "operator asked" ? "a person has asked" : reason);

function waits(status) {
  if (!status.hold) return [];
  const until = status.hold_until ? ` (until ${clock(status.hold_until, { seconds: true })})` : "";
  return [`No cycle starts now: ${status.hold}${until}`];
}

const fullWaits = ({ reason, hold, until }) => `A full retrain waits until ${clock(until)} (${reason}): ${hold}`;

export function drawState(status) {
  const [tone, title, said] = stateOf(status);
  const held = status.held && !status.cycle ? waits(status) : [];
  const full = status.full_waits ? [fullWaits(status.full_waits)] : [];
  if (status.asks_full && status.full_on_drift && !status.held && !status.full_waits)
    full.push(`A full retrain is asked for, and starts by itself: ${status.asks_full}`);
  return el(
    "div",
    { class: `state ${tone}` },
    el("p", { class: "title" }, el("span", { class: "dot", "aria-hidden": "true" }), title),
    [...said, ...held, ...full].map((one) => el("p", {}, withCode(sentence(capital(one))))),
    status.cycle && steps(status.cycle),
  );
}

function steps(cycle) {
  const at = STEPS.indexOf(cycle.step);
  const counted = cycle.total ? ` ${count(cycle.done ?? 0)} of ${count(cycle.total)}` : "";
  const items = STEPS.map((step, index) => {
    const [kind, word] = index < at ? ["done", "done"] : index === at ? ["now", "now"] : ["next", "to come"];
    return el(
      "li",
      { class: kind, "aria-current": index === at ? "step" : null },
      step,
      el("span", { class: "hidden" }, `, ${word}`),
      index === at && counted ? el("span", { class: "counted" }, counted) : null,
    );
  });
  const runs = cycle.running_s ? el("p", { class: "quiet" }, `Runs for ${long(cycle.running_s)}.`) : null;
  return [el("ol", { class: "steps", "aria-label": "Steps of the cycle" }, items), runs];
}

/** What is told in tiles: name, value, what more there is to say, and whether it is bad. */
export function drawFacts(status) {
  const tiles = [champion(status), promise(status.freshness), lag(status), pending(status), lastCycle(status), known(status)];
  const drawn = tiles.filter(Boolean).map(([name, value, more, tone = ""]) =>
    el("div", { class: tone }, el("dt", {}, name), el("dd", {}, el("b", {}, value), more ? el("span", {}, more) : null)),
  );
  return el("dl", { class: "tiles" }, drawn);
}

function champion({ champion: version, pin, hold_down: down, vectors }) {
  const said = [];
  if (pin) said.push(`pinned by ${pin.by}: ${pin.reason}`);
  if (down) said.push(`after a rollback, version ${down.version} stays away until ${clock(down.until)}`);
  if (vectors && vectors.version !== version) said.push(`vectors are those of version ${vectors.version ?? "none"}`);
  return ["Champion", version === null ? "none yet" : `version ${version}`, said.join("; ")];
}

function promise(found) {
  if (!found || found.state === "none") return null;
  const said = [`${long(found.target)} at most`];
  if (found.oldest_age !== null) said.push(`the oldest change waits for ${long(found.oldest_age)}`);
  const shares = [[found.kept_day, "day"], [found.kept_week, "week"]].filter(([share]) => share !== null);
  if (shares.length) said.push(`kept for ${shares.map(([share, span]) => `${percent(share)} of the last ${span}`).join(", ")}`);
  return ["Freshness promise", PROMISE[found.state], said.join("; "), found.state === "kept" ? "" : "warn"];
}

function lag({ lag: now, lag_known: before }) {
  if (now !== null) return ["Lag", many(now, "event"), now === 0 ? "all is read" : "still to be read"];
  return ["Lag", "unknown", before ? [`${many(before.events, "event")} at `, time(before.at)] : null];
}

function pending(status) {
  const found = status.pending;
  if (!found) return ["Pending", "unknown", "the ledger does not answer"];
  const labels = found.labels ? ` and ${many(found.labels, "label")}` : "";
  const tried = found.users + (found.labels ?? 0) - found.untried_users - (found.untried_labels ?? 0);
  const said = [found.oldest_age_s === null ? "" : `the oldest for ${long(found.oldest_age_s)}`];
  if (tried) said.push(`${count(tried)} were tried before and ride with the next cycle`);
  return ["Pending", `${many(found.users, "user")}${labels}`, said.filter(Boolean).join("; ")];
}

function lastCycle({ last_cycle: last, cycles_since_version: since }) {
  if (!last) return ["Last cycle", "none yet", null];
  const others = Object.entries(since ?? {}).map(([outcome, number]) => `${number} ${outcome}`);
  return [
    "Last cycle",
    last.version ? `version ${last.version}` : last.outcome,
    ["ended at ", time(last.ended_at), others.length ? `; since the last version: ${others.join(", ")}` : ""],
  ];
}

function known(status) {
  if (status.known_users === undefined) return null;
  const labels = status.known_labels ? `, ${many(status.known_labels, "label")}` : "";
  const refused = Object.entries(status.refused ?? {}).filter(([, number]) => number);
  const unfit = refused.map(([what, number]) => many(number, what.replace(/s$/, ""))).join(" and ");
  const said = [`${many(status.events ?? 0, "event")} read`, unfit ? `rows of ${unfit} are refused` : ""];
  return ["Known", `${many(status.known_users, "user")}${labels}`, said.filter(Boolean).join("; ")];
}
