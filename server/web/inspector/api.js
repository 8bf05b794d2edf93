// Questions and orders to the node that served the page.

const ANSWER_WITHIN_MS = 8000;
const TOKEN = "tickcast-operator-token";

/** What the node answered that is no success; `status` is 0 where it did not answer. */
export class Refused extends Error {
  constructor(status, text) {
    super(text);
    this.status = status;
  }
}

async function ask(path, options) {
  let response;
  try {
    response = await fetch(path, { ...options, cache: "no-store", signal: AbortSignal.timeout(ANSWER_WITHIN_MS) });
  } catch {
    throw new Refused(0, "this node does not answer");
  }
  let answer;
  try {
    answer = await response.json();
  } catch {
    throw new Refused(response.status, `the node answered ${response.status} without a word`);
  }
  if (!response.ok) throw new Refused(response.status, answer.error ?? `the node answered ${response.status}`);
  return answer;
}

/** The path of a match below `/v1`. */
export const matchPath = (id, part = "") => `/v1/matches/${encodeURIComponent(id)}${part && `/${part}`}`;

/** Asks; `params` that are empty are left out. */
export function get(path, params = {}) {
  const given = Object.entries(params).filter(([, value]) => value !== "" && value !== null && value !== undefined);
  const query = new URLSearchParams(given).toString();
  // Only a node whose port others reach asks for it.
  const headers = token() ? { Authorization: `Bearer ${token()}` } : {};
  return ask(query ? `${path}?${query}` : path, { headers });
}

/** The operator's token; empty if none was entered. It is forgotten with the tab. */
export const token = () => sessionStorage.getItem(TOKEN) ?? "";

export function keepToken(entered) {
  if (entered) sessionStorage.setItem(TOKEN, entered);
  else sessionStorage.removeItem(TOKEN);
}

/** Gives an order and answers what was done. */
export async function order(path, body = {}, method = "POST") {
  const headers = { Authorization: `Bearer ${token()}`, "Content-Type": "application/json" };
  const answer = await ask(path, { method, headers, body: JSON.stringify(body) });
  return answer.done;
}
