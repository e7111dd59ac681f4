// What a person may order: what each order does in words, what it sends, and the command that does the same.

import { clock, many, named } from "./words.js";

/** A text as one word of a shell. */
const quoted = (text) => `'${text.replaceAll("'", "'\\''")}'`;

const REST = (status) => (status.pause ? " Cycles are paused, so it starts when they are resumed." : "");
const SEEN = (status) => (status.champion === null ? {} : { instead_of: status.champion });
const INSTEAD = (status) => (status.champion === null ? "" : ` --instead-of ${status.champion}`);
const pendingOf = ({ pending }) => {
  if (!pending) return "what is pending";
  return `${many(pending.users, "pending user")}${pending.labels ? ` and ${many(pending.labels, "label")}` : ""}`;
};

const retrain = (full, accept = []) => ({
  path: "retrain",
  body: () => ({ full, accept }),
  command: () => `retrainer train${full ? " --full" : ""}${accept.map((name) => ` --accept ${name.toUpperCase()}`).join("")}`,
  choice: accept.length ? null : full,
  button: "Retrain",
  done: "A cycle is asked for; it starts as soon as it may.",
});

/**
 * An order, ready to be confirmed: `path` of the API, `title`, `tells` what will happen, `body(status)` what is sent beside
 * the reason, `command(status, reason)` the same on a terminal, `button`, and `done` what is said afterwards.
 */
export function orderOf(wanted, status, guards = []) {
  const { name, version, full } = wanted;
  return ORDERS[name](status, version, guards, full);
}

const ORDERS = {
  retrain: (status) => ({
    ...retrain(false),
    title: "Retrain now?",
    tells: `A cycle learns ${pendingOf(status)} on top of the champion, without waiting for the trigger. The gate decides whether the result is registered.${REST(status)}`,
  }),
  full: (status) => ({
    ...retrain(true),
    title: "Retrain from scratch?",
    tells: `A cycle reads every user and trains from scratch. The gate decides whether the result is registered.${REST(status)}`,
  }),
  accept: (status, _, guards, full) => ({
    ...retrain(full, guards),
    title: "Accept the held data?",
    tells: `A cycle ${full ? "from scratch " : ""}learns the data that were held, beyond the limit of ${guards.map(named).join(", ") || "the guard"}. The limit is waived for this cycle alone, and that stays on record.${REST(status)}`,
    button: "Accept and retrain",
  }),
  pause: (status) => ({
    path: "pause",
    title: "Pause cycles?",
    tells: `No cycle starts, whatever asks for one, until somebody resumes them. Events are read on, and changes are kept.${status.cycle ? ` Cycle ${status.cycle.cycle_id} goes on to its end, and its version does not become champion by itself.` : ""}`,
    body: () => ({}),
    command: (_, reason) => `retrainer pause --reason ${quoted(reason)}`,
    button: "Pause",
    done: "Cycles are paused.",
  }),
  resume: (status) => ({
    path: "resume",
    title: "Resume cycles?",
    tells: `Cycles start again, and what was asked for meanwhile is taken up.${status.pause ? ` ${status.pause.by} paused them at ${clock(status.pause.at)}: ${status.pause.reason}` : ""}`,
    body: () => ({}),
    command: (_, reason) => `retrainer resume --reason ${quoted(reason)}`,
    button: "Resume",
    done: "Cycles start again.",
  }),
  pin: ({ champion }) => ({
    path: "pin",
    title: `Pin version ${champion}?`,
    tells: `Version ${champion} stays champion: challengers are measured against it and registered, and none becomes champion by itself until somebody unpins it.`,
    body: () => ({ version: champion }),
    command: (_, reason) => `retrainer pin ${champion} --reason ${quoted(reason)}`,
    button: "Pin",
    done: `Version ${champion} is pinned.`,
  }),
  unpin: ({ pin }) => ({
    path: "unpin",
    title: `Unpin version ${pin?.version ?? ""}?`,
    tells: "Challengers become champion again. Those that were registered meanwhile wait for somebody to promote them.",
    body: () => ({}),
    command: (_, reason) => `retrainer unpin --reason ${quoted(reason)}`,
    button: "Unpin",
    done: "Challengers become champion again.",
  }),
  promote: (status, version) => ({
    path: "promote",
    title: `Promote version ${version}?`,
    tells: `Version ${version} becomes champion${status.champion === null ? "" : ` instead of version ${status.champion}`}. What it has not learned is pending again. A pin and a hold-down end.`,
    body: (seen) => ({ version, ...SEEN(seen) }),
    command: (seen, reason) => `retrainer promote ${version}${INSTEAD(seen)} --reason ${quoted(reason)}`,
    button: "Promote",
    done: `Version ${version} is champion.`,
  }),
  rollback: (status, version) => ({
    path: "rollback",
    title: version ? `Roll back to version ${version}?` : "Roll back to the champion before?",
    tells: `${version ? `Version ${version}` : "The champion before"} becomes champion instead of version ${status.champion}. The versions after it are withdrawn, what they had learned is pending again, and for a while no version that has learned it becomes champion by itself.`,
    body: (seen) => ({ ...(version ? { version } : {}), ...SEEN(seen) }),
    command: (seen, reason) => `retrainer rollback${version ? ` ${version}` : ""}${INSTEAD(seen)} --reason ${quoted(reason)}`,
    button: "Roll back",
    done: version ? `Version ${version} is champion again.` : "The champion before is champion again.",
  }),
};

/** The orders that make sense now, as `[label, name]`. */
export function ordersNow(status) {
  return [
    ["Retrain …", "retrain"],
    status.pause ? ["Resume cycles …", "resume"] : ["Pause cycles …", "pause"],
    status.champion === null ? null : ["Roll back …", "rollback"],
    status.pin ? ["Unpin the champion …", "unpin"] : status.champion === null ? null : ["Pin the champion …", "pin"],
  ].filter(Boolean);
}

const UNDER_WAY = {
  retrain: "the one that is asked for comes after it.",
  pause: "it goes on to its end.",
};

/** What an order has done beyond what was asked for, of what the service answers. */
export function consequences(path, answer) {
  const found = [];
  const moved = (counts) => Object.entries(counts ?? {}).filter(([, number]) => number).map(([what, number]) => many(number, what.replace(/s$/, ""))).join(" and ");
  if (answer.withdrawn?.length) found.push(`Withdrawn: version ${answer.withdrawn.join(", ")}.`);
  if (moved(answer.given_back)) found.push(`Pending again: ${moved(answer.given_back)}.`);
  if (moved(answer.learned)) found.push(`Settled: ${moved(answer.learned)}.`);
  if (answer.hold_down_until) found.push(`What has learned the same again stays away until ${clock(answer.hold_down_until)}.`);
  if (answer.forgotten_cycles) found.push("A full retrain is asked for: the ledger does not know all that later cycles have learned.");
  const following = UNDER_WAY[path] ?? "its version will not become champion by itself.";
  if (answer.running_cycle) found.push(`Cycle ${answer.running_cycle} is under way: ${following}`);
  if (answer.not_mirrored) found.push(`The registry does not show it yet: ${answer.not_mirrored}.`);
  return found;
}
