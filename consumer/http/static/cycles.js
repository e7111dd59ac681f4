// Every cycle with its reason and its decision in a sentence, and more where somebody opens it.

import { el, table, withCode } from "./dom.js";
import { because } from "./now.js";
import { capital, count, figure, long, many, moment, named, percent, sentence, time } from "./words.js";

const WORST = 8;

/** The list; `reports` are the ids of cycles that have one, and `more` loads earlier cycles, or is null. */
export function drawCycles(cycles, reports, more) {
  if (!cycles.length) return el("p", { class: "quiet" }, "No such cycle is on record.");
  return [
    el("ol", { class: "cycles" }, cycles.map((cycle) => item(cycle, reports.has(cycle.cycle_id)))),
    more && el("p", { class: "buttons" }, el("button", { type: "button", "data-key": "more-cycles", onclick: more }, "Show earlier cycles")),
  ];
}

/** What was decided; of a cycle that runs, that it runs. */
function decided(cycle) {
  if (cycle.state === "running") return cycle.attempts ? `Is tried again, the last error was: ${cycle.last_error}` : "Is under way";
  return cycle.decision ?? `${capital(cycle.state)}: ${cycle.result?.reason ?? cycle.last_error ?? "no reason is on record"}`;
}

function item(cycle, reported) {
  const { lineage, version, ended_at: end, claimed_at: start } = cycle;
  const changed = [many(lineage.changed_users, "user"), lineage.changed_labels ? many(lineage.changed_labels, "label") : null];
  const facts = [
    time(start),
    cycle.kind,
    changed.filter(Boolean).join(" and "),
    end ? `took ${long((moment(end) - moment(start)) / 1000)}` : null,
    cycle.accept.length ? `beyond the limit of ${cycle.accept.map(named).join(", ")}` : null,
  ];
  const details = el("details", { "data-key": `cycle-${cycle.cycle_id}` }, el("summary", {}, "Figures", el("span", { class: "hidden" }, ` of cycle ${cycle.cycle_id}`)));
  details.addEventListener("toggle", () => {
    if (details.open && details.childElementCount === 1) details.append(...more(cycle));
  });
  return el(
    "li",
    { class: `cycle ${cycle.state}` },
    el("h3", {}, el("span", { class: "tag" }, cycle.state), version ? ` version ${version.version} ` : " ", el("span", { class: "id" }, cycle.cycle_id)),
    el("p", {}, `Because ${because(cycle.reason)}. `, withCode(sentence(decided(cycle)))),
    el("p", { class: "quiet" }, facts.filter(Boolean).flatMap((one, index) => (index ? [" · ", one] : [one]))),
    el("div", { class: "beside-each" }, cycle.result ? details : null, reported ? report(cycle.cycle_id) : null),
  );
}

const report = (cycleId) =>
  el("a", { href: `/api/v1/reports/${encodeURIComponent(cycleId)}`, target: "_blank", rel: "noopener" }, "Report", el("span", { class: "hidden" }, ` of cycle ${cycleId}, in a new tab`));

function more(cycle) {
  const { gate, guard, seconds, read, probe, fit, pairs } = cycle.result;
  const found = [];
  if (probe?.summary) found.push(el("p", {}, `Before anything was learned: ${sentence(probe.summary)}`));
  const facts = [
    read && ["Users read", `${count(read.accepted)}, ${count(read.refused_total)} refused, ${count(read.deleted)} deleted`],
    pairs && ["Similar pairs", `${count(pairs.before)} before, ${count(pairs.after)} after`],
    fit && ["Learning", `${fit.epochs} epochs, the best was ${fit.best_epoch}`],
    cycle.base_version && ["On top of", `version ${cycle.base_version}`],
  ].filter(Boolean);
  if (facts.length) found.push(el("dl", {}, facts.map(([name, told]) => el("div", {}, el("dt", {}, name), el("dd", {}, told)))));
  if (gate?.challenger) found.push(exam(gate));
  if (gate?.comparisons?.length) found.push(comparisons(gate.comparisons));
  if (guard?.findings?.length) found.push(findings(guard.findings));
  if (Object.keys(seconds ?? {}).length)
    found.push(table("Seconds by step", ["step", "seconds"], Object.entries(seconds).map(([step, took]) => [step, took.toFixed(1)]), "figures"));
  return found;
}

function exam({ challenger, champion }) {
  const models = [["challenger", challenger], ["champion", champion]].filter(([, scores]) => scores);
  const names = Object.keys(challenger).filter((name) => models.some(([, scores]) => typeof scores[name] === "number"));
  const rows = names.map((name) => [named(name), ...models.map(([, scores]) => figure(scores[name]))]);
  return table("Exam, on the same held-out users", ["figure", ...models.map(([name]) => name)], rows, "figures");
}

function comparisons(all) {
  const rows = all.slice(0, WORST).map((one) => [
    `${named(one.figure)}${one.slice ? ` of ${one.slice} users` : ""}, against ${one.against}`,
    one.verdict,
    signed(one.difference),
    signed(one.lower),
    one.margin === null ? "–" : String(one.margin),
  ]);
  return table("What the gate compared, the worst first", ["figure", "verdict", "difference", "at worst", "margin"], rows, "figures");
}

function findings(all) {
  const verdict = (one) => (!one.exceeded ? "fine" : one.accepted ? "accepted" : "above the limit");
  const share = (one, value) => (/share|lost|moved|refused/.test(one.name) && value <= 1 ? percent(value) : String(Number(value.toPrecision(4))));
  const rows = all.map((one) => [named(one.name), share(one, one.figure), share(one, one.limit), count(one.of), verdict(one)]);
  return table("What the guard measured", ["figure", "measured", "limit", "of", "verdict"], rows, "figures");
}

const signed = (value) => `${value < 0 ? "−" : "+"}${Math.abs(value).toFixed(4)}`;
