// Who plays in the match that is shown, with the accounts, and the orders that put them out. Names and accounts are text.

import { byId, count, el, keyed, say } from "./dom.js";
import { Pages } from "./pages.js";

/** @type {Pages} */
let pages;
/** Entities of the match. */
let all = 0;

export function setUpPlayers(changed) {
  pages = new Pages("players", changed);
}

/** Begins with a match anew. */
export function openPlayers() {
  pages.clear();
  byId("players-rows").replaceChildren();
  say(byId("players-count"), "");
}

/** Which players are to be asked for. */
export const wantedPlayers = () => pages.wanted;

function create(row) {
  const order = (what, word, danger) =>
    el("button", { type: "button", class: danger && "danger", "data-order": what, "data-player": row.player }, word);
  const orders = el("td", { class: "row-orders" }, order("kick", "Kick", false), order("ban", "Ban", true));
  return el("tr", { "data-player": row.player }, el("th", { scope: "row", class: "mono" }, row.player), el("td", {}), el("td", {}), el("td", {}), orders);
}

/** What a player is sent of the match, in words. */
const sight = (sees) => (sees === null ? "everything" : `${count(sees.entities)} of ${count(all)} entities`);

function update(line, row) {
  const [, name, account, sees, orders] = line.children;
  say(sees, sight(row.sees));
  sees.title = row.sees === null ? "" : `segments ${row.sees.segments.join(", ")}`;
  say(name, row.name || "–");
  say(account, row.account ?? "guest");
  const who = row.account ?? `player ${row.player}`;
  for (const button of orders.children) {
    button.dataset.who = row.name || `player ${row.player}`;
    button.dataset.subject = row.account ?? "";
    button.setAttribute("aria-label", `${button.textContent} ${who}`);
  }
  // A guest can be kicked; an account is what can be banned.
  orders.lastChild.hidden = row.account === null;
}

/** Shows the answer of `/v1/matches/ID/players`. */
export function showPlayers(told) {
  if (!pages.show(told, told.players.length)) return;
  say(byId("players-count"), count(told.total));
  all = told.entities;
  keyed(byId("players-rows"), told.players, (row) => row.player, create, update);
  byId("players-empty").hidden = told.players.length > 0;
  say(byId("players-empty"), told.total === 0 ? "Nobody plays." : "Nobody of that name, number or account.");
}
