// Who may not join, for how much longer and why, and the orders that change it. Accounts and reasons are text.

import { byId, clock, count, el, keyed, say, span } from "./dom.js";
import { Pages } from "./pages.js";

/** @type {Pages} */
let pages;

export function setUpBans(changed) {
  pages = new Pages("bans", changed);
}

/** Which bans are to be asked for. */
export const wantedBans = () => pages.wanted;

function create(ban) {
  const lift = el("button", { type: "button", "data-order": "unban", "data-subject": ban.subject, "aria-label": `Lift the ban of ${ban.subject}` }, "Lift");
  const cells = ["left", "since", "reason"].map((part) => el("td", { "data-part": part }));
  return el("tr", { "data-subject": ban.subject }, el("th", { scope: "row", class: "mono" }, ban.subject), ...cells, el("td", { class: "row-orders" }, lift));
}

function update(line, ban) {
  const [, left, since, reason] = line.children;
  say(left, ban.left_ms === null ? "until it is lifted: it cannot be read" : span(ban.left_ms));
  say(since, ban.since_ms === null ? "–" : clock(ban.since_ms));
  say(reason, ban.reason || "–");
}

/** Shows the answer of `/v1/bans`. */
export function showBans(told) {
  if (!pages.show(told, told.bans.length)) return;
  say(byId("bans-count"), count(told.total));
  keyed(byId("bans-rows"), told.bans, (ban) => ban.subject, create, update);
  byId("bans-empty").hidden = told.bans.length > 0;
  say(byId("bans-empty"), told.total === 0 ? "Nobody is banned." : "No banned account begins so.");
}
