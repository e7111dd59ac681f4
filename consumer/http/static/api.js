// Questions to the service, and orders. The token lies in this tab's memory only, and goes nowhere but to the service.

const TOKEN = "retrainer-token";
const LONGEST = 15000;

/** What the service answers when it does not do what it was asked; `way_out` says what a person can do. */
export class Refusal extends Error {
  constructor(status, what, wayOut) {
    super(what);
    this.status = status;
    this.wayOut = wayOut;
  }
}

export const token = {
  get: () => sessionStorage.getItem(TOKEN),
  set: (value) => sessionStorage.setItem(TOKEN, value),
  forget: () => sessionStorage.removeItem(TOKEN),
};

/** What `/api/v1/PATH` answers; empty parameters are left out. */
export function ask(path, parameters = {}) {
  const given = Object.entries(parameters).filter(([, value]) => value !== null && value !== undefined && value !== "");
  const query = new URLSearchParams(given).toString();
  return answer(`/api/v1/${path}${query ? `?${query}` : ""}`, {});
}

/** Give an order with the token. */
export function order(name, body) {
  const headers = { "Content-Type": "application/json", Authorization: `Bearer ${token.get() ?? ""}` };
  return answer(`/api/v1/orders/${name}`, { method: "POST", headers, body: JSON.stringify(body) });
}

async function answer(address, options) {
  const asked = { ...options, cache: "no-store", credentials: "omit", signal: AbortSignal.timeout(LONGEST) };
  const response = await fetch(address, asked);
  const said = await response.json().catch(() => null);
  if (response.ok && said !== null) return said;
  const error = said?.error;
  throw new Refusal(response.status, error?.what ?? `the service answers ${response.status}`, error?.way_out ?? null);
}
