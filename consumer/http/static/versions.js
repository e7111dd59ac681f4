// What was registered, which one is champion, and what a person may do with the others; the instances of the service.

import { el, table } from "./dom.js";
import { capital, count, figure, many, time } from "./words.js";

const STANDINGS = {
  barred: "something kept it from becoming champion",
  withdrawn: "by a rollback; no challenger is measured against it",
  deleted: "from the registry, by retention",
};

/** A word for what has become of a version, and the word's meaning. */
function standing(version) {
  if (version.champion) return null;
  const word = version.deleted_at ? "deleted" : version.withdrawn ? "withdrawn" : version.not_promoted ? "barred" : null;
  return word && [word, word === "barred" ? version.not_promoted : STANDINGS[word]];
}

/** The newest versions; `begin` is called with the order of a button, `more` shows earlier ones, or is null. */
export function drawVersions(versions, status, begin, more) {
  if (!versions.length) return el("p", { class: "quiet" }, "No version is registered yet.");
  const outcomes = versions.some(({ metrics }) => typeof metrics?.outcome_auc === "number");
  const [auc, recall] = outcomes ? ["outcome_auc", "recall_at_50"] : ["auc", "recall_at_10"];
  const rows = versions.map((version) => [
    name(version, status.pin),
    time(version.registered_at),
    version.kind,
    [many(version.changed_users, "user"), version.changed_labels ? many(version.changed_labels, "label") : null].filter(Boolean).join(", "),
    figure(version.metrics?.[auc]),
    figure(version.metrics?.[recall]),
    buttons(version, versions, status, begin),
  ]);
  const heads = ["version", "registered", "kind", "learned", outcomes ? "AUC of outcomes" : "AUC", outcomes ? "recall@50" : "recall@10", "orders"];
  return [
    table("Newest first; figures are those of each version's own exam", heads, rows, "versions"),
    more && el("p", { class: "buttons" }, el("button", { type: "button", "data-key": "more-versions", onclick: more }, "Show earlier versions")),
  ];
}

function name(version, pin) {
  const word = standing(version);
  return [
    el("b", {}, String(version.version)),
    version.champion ? [" ", el("span", { class: "tag champion" }, "champion")] : null,
    pin?.version === version.version ? [" ", el("span", { class: "tag" }, "pinned")] : null,
    word ? [" ", el("span", { class: "tag faint", title: word[1] }, word[0])] : null,
  ];
}

function buttons(version, versions, status, begin) {
  if (version.champion) return orderButton(status.pin ? "Unpin …" : "Pin …", `version-pin-${version.version}`, { name: status.pin ? "unpin" : "pin" }, begin);
  if (version.deleted_at) return el("span", { class: "quiet" }, "gone");
  const back = status.champion !== null && version.version < status.champion && !version.withdrawn;
  return [
    orderButton("Promote …", `promote-${version.version}`, { name: "promote", version: version.version }, begin, `Promote version ${version.version}`),
    back ? [" ", orderButton("Roll back …", `rollback-${version.version}`, { name: "rollback", version: version.version }, begin, `Roll back to version ${version.version}`)] : null,
  ];
}

/** A button that begins an order. */
export function orderButton(label, key, wanted, begin, spoken = null) {
  return el("button", { type: "button", "data-key": key, "aria-label": spoken, onclick: () => begin(wanted) }, label);
}

/** The instances that share the ledger. */
export function drawInstances(status) {
  const found = status.instances ?? [];
  if (!found.length) return el("p", { class: "quiet" }, "No instance has reported within the last seconds.");
  const rows = found.map((one) => [
    one.name,
    [one.state ?? "unknown", one.runs_cycles ? [" ", el("span", { class: "tag" }, "runs cycles")] : null],
    one.partitions === null ? "–" : count(one.partitions),
    one.lag === null ? "unknown" : count(one.lag),
    one.trouble ?? one.unable ?? "none",
  ]);
  return table(`${capital(many(found.length, "service"))} on this ledger`, ["instance", "state", "partitions", "lag", "trouble"], rows);
}
