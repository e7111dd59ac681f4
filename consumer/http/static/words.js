// Figures and times as people read them.

import { el } from "./dom.js";

const NUMBER = new Intl.NumberFormat("en");
const CLOCK = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit" });
const SECONDS = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", second: "2-digit" });
const DAY = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short" });
const YEAR = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short", year: "numeric" });

export const count = (value) => NUMBER.format(value);
export const figure = (value) => (value === null || value === undefined ? "–" : value.toFixed(4));
export const percent = (share) => `${Number((share * 100).toFixed(share > 0.99 && share < 1 ? 2 : 1))} %`;
export const megabytes = (bytes) => `${count(Math.round(bytes / 2 ** 20))} MB`;

/** `3 users`, `1 user`. */
export const many = (number, what) => `${count(number)} ${number === 1 ? what : `${what}s`}`;

export const capital = (text) => text.charAt(0).toUpperCase() + text.slice(1);

export const sentence = (text) => (/[.!?]$/.test(text.trimEnd()) ? text.trimEnd() : `${text.trimEnd()}.`);

/** Seconds in the two largest units that say something. */
export function long(seconds) {
  const whole = Math.max(0, Math.round(seconds));
  if (whole < 90) return `${whole} s`;
  const minutes = Math.round(whole / 60);
  if (minutes < 90) return `${minutes} min`;
  const hours = Math.floor(minutes / 60);
  if (hours < 48) return minutes % 60 && hours < 12 ? `${hours} h ${minutes % 60} min` : `${hours} h`;
  return `${Math.round(hours / 24)} days`;
}

/** A moment, from ISO 8601 or seconds since the epoch. */
export const moment = (at) => (typeof at === "number" ? new Date(at * 1000) : new Date(at));

/** A moment in the reader's zone, with the day where that is not today. */
export function clock(at, { seconds = false } = {}) {
  const then = moment(at);
  const now = new Date();
  const time = (seconds ? SECONDS : CLOCK).format(then);
  if (then.toDateString() === now.toDateString()) return time;
  return `${(then.getFullYear() === now.getFullYear() ? DAY : YEAR).format(then)}, ${time}`;
}

export const day = (at) => DAY.format(moment(at));
export const utc = (at) => `${moment(at).toISOString().slice(0, 19).replace("T", " ")} UTC`;

/** A moment as an element: the reader's zone, and UTC for who points at it. */
export function time(at, options) {
  return el("time", { datetime: moment(at).toISOString(), title: utc(at) }, clock(at, options));
}

const FIGURES = {
  recall_at_10: "recall@10",
  recall_at_50: "recall@50",
  auc: "AUC",
  outcome_auc: "AUC of outcomes",
  earlier_auc: "AUC of earlier labels",
  f1: "F1",
};

/** What a figure of an exam or of the guard is called. */
export const named = (name) => FIGURES[name] ?? name.replaceAll("_", " ");
