// What somebody has to look at, each with its way out.

import { el, withCode } from "./dom.js";
import { capital, clock, many, sentence } from "./words.js";

/**
 * The things to do, the gravest first: `{key, title, texts, wayOut, offers}`, where `offers` are pairs of a label and
 * the order that it begins.
 */
export function thingsToDo(status) {
  return [...ofService(status), ...ofPromise(status), ...ofCycles(status), ...ofData(status)];
}

function* ofService({ trouble, unable, notice, cycle }) {
  if (trouble) yield { key: "trouble", title: "Ledger or disk cannot be used", texts: [trouble] };
  if (unable && cycle) yield { key: "unable", title: "Events cannot be read", texts: [unable] };
  for (const [index, line] of (notice ?? "").split("\n").filter(Boolean).entries())
    yield { key: `notice-${index}`, title: "A word about the events", texts: [line], mild: true };
}

function* ofPromise({ freshness }) {
  if (!["at_risk", "broken"].includes(freshness?.state)) return;
  const title = freshness.state === "broken" ? "The freshness promise is broken" : "The freshness promise is at risk";
  yield { key: "freshness", title, texts: [freshness.reason ?? "the oldest change waits too long"] };
}

function* ofCycles({ held, failing, asks_full: asksFull, full_on_drift: byItself, cycle }) {
  if (held) {
    const offers = [];
    if (held.asks_full) offers.push(["Retrain from scratch …", { name: "full" }]);
    const full = held.way_out.includes("train --full"); // the way out names the command that is needed
    if (held.way_out.includes("--accept")) offers.push(["Accept the data …", { name: "accept", cycle: held.cycle_id, full }]);
    const row = held.in_a_row > 1 ? [`${held.in_a_row} cycles in a row were held`] : [];
    yield { key: "held", title: "Data are held", texts: [held.reason, ...row], wayOut: held.way_out, offers };
  }
  if (failing) {
    const tried = `Cycle ${failing.cycle_id}, tried ${failing.attempts} of ${failing.of} times: ${failing.error || "nothing is known of why"}`;
    const next = failing.next_try_at ? [`The next try is at ${clock(failing.next_try_at, { seconds: true })}`] : [];
    const offers = cycle ? [] : [["Try at once …", { name: "retrain" }]];
    yield { key: "failing", title: "Cycles fail", texts: [tried, ...next], offers };
  }
  if (asksFull && !byItself && !held)
    yield { key: "full", title: "A full retrain is asked for", texts: [asksFull], offers: [["Retrain from scratch …", { name: "full" }]] };
}

function* ofData({ state, open_dead_letters: letters, gaps }) {
  if (state === "too many dead letters")
    yield {
      key: "letters",
      title: "Reading has paused: too many dead letters",
      texts: [`${many(letters, "record")} could not be understood`],
      wayOut: "mend the producer or the settings, then `retrainer dead-letters replay` or `discard`; reading goes on by itself",
    };
  else if (letters)
    yield {
      key: "letters",
      title: many(letters, "dead letter"),
      texts: ["Records that could not be understood wait for a decision"],
      wayOut: "`retrainer dead-letters list` shows each with its reason",
    };
  if (gaps?.length) {
    const newest = gaps.at(-1);
    const where = `${newest.topic}[${newest.partition}]@${newest.from_offset}`;
    yield {
      key: "gaps",
      title: `${many(gaps.length, "gap")} since the last full retrain`,
      texts: [`Events were lost, the last at ${where}: ${newest.reason}`],
      wayOut: "a full retrain reads every user, and makes good what was lost",
      offers: [["Retrain from scratch …", { name: "full" }]],
    };
  }
}

/** The list; `begin` is called with the order of a button. */
export function drawToDo(things, begin) {
  if (!things.length) return el("p", { class: "calm quiet" }, "Nobody has to do anything.");
  return el(
    "section",
    { class: "todo", "aria-labelledby": "todo-title" },
    el("h2", { id: "todo-title" }, "To do"),
    el("ul", {}, things.map((one) => item(one, begin))),
  );
}

function item({ key, title, texts, wayOut, offers = [], mild = false }, begin) {
  const buttons = offers.map(([label, wanted]) =>
    el("button", { type: "button", "data-key": `todo-${key}-${wanted.name}`, onclick: () => begin(wanted) }, label),
  );
  return el(
    "li",
    { class: mild ? "mild" : "" },
    el("h3", {}, title),
    texts.map((one) => el("p", {}, withCode(sentence(capital(one))))),
    wayOut && el("p", { class: "way" }, el("b", {}, "Way out: "), withCode(sentence(wayOut))),
    buttons.length ? el("div", { class: "buttons" }, buttons) : null,
  );
}
