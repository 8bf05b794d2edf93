// Orders to matches and nodes: asked for twice, given with the operator's token.

import { keepToken, matchPath, order, token } from "./api.js";
import { byId, choices, mark, say } from "./dom.js";

const TOAST_MS = 8000;
const ORDERS = {
  move: { title: "Move match", yes: "Move", text: (name) => `${name} goes on on another node. Its players see a pause of a tick or two.` },
  end: { title: "End match", yes: "End it", danger: true, text: (name) => `${name} is over for all its players, and its state is deleted. This cannot be undone.` },
  revive: { title: "Revive match", yes: "Revive", text: (name) => `${name} may be run again. If what made it fail is still there, it will be quarantined again.` },
  drain: { title: "Drain node", yes: "Drain", danger: true, text: (name) => `${name} hands its matches over, sends its players elsewhere, and stops.` },
};

let nodes = { orders: true, nodes: [] };
let toastEnds = 0;
let pending = null;
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

function confirm(what, name, path) {
  const { title, text, yes, danger } = ORDERS[what];
  pending = { what, path };
  say(byId("confirm-title"), title);
  say(byId("confirm-text"), text(name));
  say(byId("confirm-yes"), yes);
  mark(byId("confirm-yes"), "class", danger ? "danger" : "main");
  byId("confirm-where").hidden = what !== "move";
  const running = nodes.nodes.filter((node) => node.state === "running").map((node) => [node.node, node.node]);
  choices(byId("confirm-to"), [["", "the one with the fewest matches"], ...running], "");
  byId("confirm").showModal();
}

async function give() {
  const { what, path } = pending;
  const to = byId("confirm-to").value;
  byId("confirm").close();
  toast("Asked. Waiting for it to be done.", "plain");
  try {
    toast(await order(path, what === "move" && to ? { to } : {}), "good");
  } catch (refused) {
    toast(refused.message, "bad");
    if (refused.status === 401 || refused.status === 403) askToken(`${refused.message}. ${HOW}`);
  }
}

function handleOrder(button, match) {
  if (!nodes.orders || !token()) return askToken(`Orders need the operator's token of this node. ${HOW}`);
  const what = button.dataset.order;
  const name = what === "drain" ? button.dataset.node : match;
  const path = what === "drain" ? `/v1/nodes/${encodeURIComponent(name)}/drain` : matchPath(name, what);
  confirm(what, name, path);
}

/** Listens to every button with `data-order`; `match` answers which match is shown. */
export function setUpOrders(match) {
  document.addEventListener("click", (event) => {
    const button = event.target.closest("button[data-order]");
    if (button) handleOrder(button, match());
  });
  byId("confirm-yes").addEventListener("click", give);
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
