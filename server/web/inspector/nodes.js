// The nodes as cards.

import { byId, count, el, keyed, mark, say, span } from "./dom.js";

const part = (card, name) => card.querySelector(`[data-part="${name}"]`);

function create(node) {
  const line = (name, word) => [el("dt", {}, word), el("dd", { "data-part": name })];
  const drain = el("button", { type: "button", class: "quiet", "data-order": "drain", "data-node": node.node }, "Drain");
  return el(
    "li",
    { class: "card", "data-node": node.node },
    el("div", { class: "head" }, el("h3", {}, node.node), el("span", { class: "tag", "data-part": "state" })),
    el(
      "dl",
      {},
      ...line("matches", "Matches"),
      ...line("connections", "Connections"),
      ...line("heard", "Heard"),
      ...line("version", "Version"),
    ),
    el("meter", { "data-part": "load", min: 0, max: 1, "aria-label": "Matches of those it takes at most" }),
    el("p", { class: "note", "data-part": "note" }),
    drain,
  );
}

function update(card, node, complaints) {
  mark(card, "data-state", node.state);
  mark(part(card, "state"), "data-state", node.state);
  say(part(card, "state"), node.state);
  say(part(card, "matches"), `${count(node.matches)} of ${count(node.matches_max)}`);
  say(part(card, "connections"), count(node.connections));
  say(part(card, "heard"), node.answers ? "answers this page" : `${span(node.beat_age_ms)} ago`);
  say(part(card, "version"), node.version || "–");
  part(card, "load").value = node.matches_max ? node.matches / node.matches_max : 0;
  const notes = node.answers ? complaints : [];
  say(part(card, "note"), notes.join("; "));
  part(card, "note").hidden = notes.length === 0;
  card.querySelector("button").disabled = node.state !== "running";
}

/** Shows the answer of `/v1/nodes`. */
export function showNodes(told) {
  say(byId("where"), `${told.node} · ${told.mode === "memory" ? "memory mode, one node" : `cluster of ${told.nodes.length}`}`);
  keyed(byId("nodes"), told.nodes, (node) => node.node, create, (card, node) => update(card, node, told.complaints));
}
