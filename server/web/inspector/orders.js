// Orders to matches and nodes: asked for twice, given with the operator's token.

import { keepToken, matchPath, order, token } from "./api.js";
import { byId, choices, mark, say } from "./dom.js";

const TOAST_MS = 8000;
const BAN_FOR = "24h";
/** What each order says of itself; `name` is a match, a node, or whom it is about. */
const ORDERS = {
  move: { title: "Move match", yes: "Move", text: (name) => `${name} goes on on another node. Its players see a pause of a tick or two.` },
  end: { title: "End match", yes: "End it", danger: true, text: (name) => `${name} is over for all its players, and its state is deleted. This cannot be undone.` },
  revive: { title: "Revive match", yes: "Revive", text: (name) => `${name} may be run again. If what made it fail is still there, it will be quarantined again.` },
  kick: { title: "Kick player", yes: "Kick", danger: true, text: (name) => `${name} is put out of this match. With another ticket, or as a guest, it may come again.` },
  ban: { title: "Ban account", yes: "Ban", danger: true, text: () => "The account is put out of all matches, and joins none for as long as you say: 90s, 30m, 24h or 7d." },
  unban: { title: "Lift ban", yes: "Lift it", text: (name) => `${name} may join again.` },
  drain: { title: "Drain node", yes: "Drain", danger: true, text: (name) => `${name} hands its matches over, sends its players elsewhere, and stops.` },
};

let nodes = { orders: true, nodes: [] };
let toastEnds = 0;
let pending = null;
let changed = () => {};
let askedToRead = false;

/** Tells the outcome of an order. */
function toast(text, tone) {
  const place = byId("toast");
  say(place, text);
  mark(place, "data-tone", tone);
  place.hidden = false;
  clearTimeout(toastEnds);
  toastEnds = setTimeout(() => { place.hidden = true; }, TOAST_MS);
}

function showLock() {
  const button = byId("token-open");
  const words = !nodes.orders ? "Orders: off" : token() ? "Orders: unlocked" : "Orders: locked";
  say(button, words);
  mark(button, "data-state", !nodes.orders ? "off" : token() ? "unlocked" : "locked");
}

/** Takes in the answer of `/v1/nodes`: where matches can be moved, and whether orders are taken at all. */
export function knowNodes(told) {
  nodes = told;
  showLock();
}

function askToken(why) {
  const off = "This node takes no orders. Start it with TICKCAST_OPERATOR_TOKEN, a secret of at least 16 characters, and enter that here.";
  say(byId("token-text"), nodes.orders ? why : off);
  byId("token-label").hidden = !nodes.orders;
  byId("token-yes").hidden = !nodes.orders;
  byId("token-input").value = "";
  byId("token").showModal();
}

/** Reading needs the token on this node: asks for it, once for each that was entered. */
export function askToRead(why) {
  if (askedToRead || byId("token").open) return;
  askedToRead = true;
  askToken(`${why}. ${HOW}`);
}

const HOW = "It is kept until this tab is closed. An empty one locks orders again.";

/** What an order asks for, and where. */
function request({ what, path, body }) {
  if (what === "unban") return [path, {}, "DELETE"];
  if (what === "kick") return [path, body];
  if (what === "ban") return [path, { subject: byId("ban-subject").value.trim(), for: byId("ban-for").value.trim() || BAN_FOR, reason: byId("ban-reason").value.trim() }];
  const to = byId("confirm-to").value;
  return [path, what === "move" && to ? { to } : {}];
}

function confirm({ what, name, path, body, subject }) {
  const { title, text, yes, danger } = ORDERS[what];
  pending = { what, path, body };
  byId("confirm-ban").hidden = what !== "ban";
  byId("confirm-wrong").hidden = true;
  byId("ban-subject").value = subject ?? "";
  byId("ban-for").value = BAN_FOR;
  byId("ban-reason").value = "";
  say(byId("confirm-title"), title);
  say(byId("confirm-text"), text(name));
  say(byId("confirm-yes"), yes);
  mark(byId("confirm-yes"), "class", danger ? "danger" : "main");
  byId("confirm-where").hidden = what !== "move";
  const running = nodes.nodes.filter((node) => node.state === "running").map((node) => [node.node, node.node]);
  choices(byId("confirm-to"), [["", "the one with the fewest matches"], ...running], "");
  byId("confirm").showModal();
  if (what === "ban") byId(subject ? "ban-for" : "ban-subject").focus();
}

async function give() {
  if (pending.what === "ban" && byId("ban-subject").value.trim() === "") {
    say(byId("confirm-wrong"), "Name the account.");
    byId("confirm-wrong").hidden = false;
    byId("ban-subject").focus();
    return;
  }
  const asked = request(pending);
  byId("confirm").close();
  toast("Asked. Waiting for it to be done.", "plain");
  try {
    toast(await order(...asked), "good");
    changed();
  } catch (refused) {
    toast(refused.message, "bad");
    if (refused.status === 401 || refused.status === 403) askToken(`${refused.message}. ${HOW}`);
  }
}

function handleOrder(button, match) {
  if (!nodes.orders || !token()) return askToken(`Orders need the operator's token of this node. ${HOW}`);
  const { order: what, node, who, subject, player } = button.dataset;
  const orders = {
    drain: () => ({ name: node, path: `/v1/nodes/${encodeURIComponent(node)}/drain` }),
    kick: () => ({ name: who, path: matchPath(match, what), body: { player: Number(player) } }),
    ban: () => ({ name: subject, path: "/v1/bans", subject }),
    unban: () => ({ name: subject, path: `/v1/bans/${encodeURIComponent(subject)}` }),
  };
  confirm({ what, ...(orders[what] ?? (() => ({ name: match, path: matchPath(match, what) })))() });
}

/** Listens to every button with `data-order`; `match` answers which match is shown, `done` hears when one was followed. */
export function setUpOrders(match, done) {
  changed = done;
  document.addEventListener("click", (event) => {
    const button = event.target.closest("button[data-order]");
    if (button) handleOrder(button, match());
  });
  byId("confirm-yes").addEventListener("click", give);
  byId("confirm-ban").addEventListener("keydown", (event) => {
    if (event.key !== "Enter") return;
    event.preventDefault();
    give();
  });
  byId("confirm-no").addEventListener("click", () => byId("confirm").close());
  byId("token-open").addEventListener("click", () => askToken(`Orders need the operator's token of this node. ${HOW}`));
  byId("token-no").addEventListener("click", () => byId("token").close());
  const unlock = () => {
    keepToken(byId("token-input").value.trim());
    askedToRead = false;
    byId("token").close();
    showLock();
  };
  byId("token-yes").addEventListener("click", unlock);
  byId("token-input").addEventListener("keydown", (event) => {
    if (event.key !== "Enter") return;
    // The key would press the button that the focus goes back to.
    event.preventDefault();
    unlock();
  });
}
