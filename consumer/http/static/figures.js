// Figures over time: the service's by the minute, the models' by cycle.

import { chart } from "./chart.js";
import { el } from "./dom.js";
import { count, long, moment } from "./words.js";

const HOUR = 3600;

/** How far back the pictures go: what is written on the button, and seconds. */
export const SPANS = [["6 hours", 6 * HOUR], ["1 day", 24 * HOUR], ["1 week", 168 * HOUR], ["2 weeks", 336 * HOUR]];

const EXAMS = [
  ["auc", "outcome_auc", "AUC by cycle", "AUC of outcomes by cycle", "Both models on the same held-out users, at the same moment."],
  ["recall_at_10", "recall_at_50", "Recall@10 by cycle", "Recall@50 by cycle", "How many of those that belong together a model puts nearest."],
];
const MEGABYTE = 2 ** 20;

/** How wide a picture is in a place that has so many pixels. */
export const widthIn = (place) => (place.clientWidth >= 700 ? Math.floor((place.clientWidth - 32) / 2) : place.clientWidth);

/** Lag, pending, age and memory. */
export function drawSamples(samples, freshness, width) {
  if (!samples.length) return el("p", { class: "quiet" }, "No figures are on record of this time: the service notes them once a minute.");
  const lines = (...wanted) => wanted.map(([name, role, of]) => ({ name, role, points: broken(samples, of) }));
  const labels = samples.some((one) => one.pending_labels);
  const target = freshness?.target ? { value: freshness.target, name: `promise: ${long(freshness.target)}` } : null;
  const whole = (value) => (Number.isInteger(value) ? count(value) : "");
  return [
    chart({ title: "Lag, events", key: "chart-lag", told: whole, width, lines: lines(["lag", "challenger", (one) => one.lag]) }),
    chart({
      title: labels ? "Pending" : "Pending users",
      key: "chart-pending",
      told: whole,
      width,
      lines: lines(["users", "challenger", (one) => one.pending_users], ...(labels ? [["labels", "similar", (one) => one.pending_labels]] : [])),
    }),
    chart({
      title: "Oldest pending change",
      key: "chart-oldest",
      told: long,
      width,
      ofTime: true,
      limit: target,
      lines: lines(["age", "challenger", (one) => one.oldest_pending_s ?? 0]),
    }),
    chart({
      title: "Memory, MB",
      key: "chart-memory",
      told: whole,
      width,
      lines: lines(
        ["service", "challenger", (one) => inMegabytes(one.consumer_bytes)],
        ["trainer", "champion", (one) => inMegabytes(one.trainer_bytes)],
      ),
    }),
  ];
}

/** Challenger and champion of each cycle that is loaded. */
export function drawExams(cycles, width) {
  return examLines(cycles).map(({ title, lines, note }, index) =>
    chart({
      title,
      key: `chart-exam-${index}`,
      told: (value) => value.toFixed(3),
      width,
      whole: false,
      lines,
      note,
    }),
  );
}

const inMegabytes = (bytes) => (bytes ? Math.round(bytes / MEGABYTE) : null);

/** The points of a line, which is broken where nothing was measured for long. */
function broken(samples, of) {
  const moments = samples.map(({ at }) => moment(at).getTime());
  const spans = moments.slice(1).map((at, index) => at - moments[index]).sort((a, b) => a - b);
  const usual = spans[Math.floor(spans.length / 2)] ?? 60000;
  return samples.flatMap((one, index) => {
    const point = [moments[index], of(one) ?? null];
    const gap = index && moments[index] - moments[index - 1] > 3 * usual;
    return gap ? [[moments[index - 1] + usual, null], point] : [point];
  });
}

/** Champions and challengers by cycle, oldest first, by the figures of outcomes where those have judged. */
function examLines(cycles) {
  const exams = cycles.filter((cycle) => cycle.result?.gate?.challenger).reverse();
  const outcomes = exams.some(({ result }) => result.gate.judged_by === "outcomes");
  return EXAMS.map(([alike, of, title, titleOf, note]) => {
    const figureName = outcomes ? of : alike;
    const points = (model) => exams.map(({ ended_at: end, result }) => [moment(end).getTime(), result.gate[model]?.[figureName] ?? null]);
    return {
      title: outcomes ? titleOf : title,
      note,
      lines: [
        { name: "challenger", role: "challenger", dots: true, points: points("challenger") },
        { name: "champion", role: "champion", points: points("champion") },
      ],
    };
  });
}
