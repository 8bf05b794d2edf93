// One match: facts, hash agreement, entities, chat, events.

import { byId, clock, count, el, keyed, mark, micros, rate, say, span } from "./dom.js";
import { showEvents } from "./events.js";

const PAGE = 50;
let shown = { id: null, kind: null, offset: 0 };

/** Begins with a match anew. */
export function openMatch(id) {
  shown = { id, kind: null, offset: 0 };
  say(byId("match-id"), id);
  for (const part of ["facts", "live", "kinds", "entities-head", "entities-rows", "chat", "events"]) byId(part).replaceChildren();
  say(byId("entities-label"), "");
  showAgreement({ hash: null, relay: null, node: "" });
}

/** Which entities are to be asked for; null while the kinds are not known. */
export const wantedEntities = () => (shown.kind === null ? null : { kind: shown.kind, offset: shown.offset, limit: PAGE });

export function setUpMatch() {
  byId("entities-prev").addEventListener("click", () => turn(-PAGE));
  byId("entities-next").addEventListener("click", () => turn(PAGE));
}

function turn(by) {
  shown.offset = Math.max(0, shown.offset + by);
}

function showFacts(list, facts) {
  const create = ([name, word]) => el("div", { "data-fact": name }, el("dt", {}, word), el("dd", {}));
  keyed(list, facts, ([name]) => name, create, (fact, [, , text, tone]) => {
    say(fact.lastChild, text);
    mark(fact, "data-tone", tone ?? "plain");
  });
}

function liveFacts(match) {
  const { stats } = match;
  const budget = match.tick_rate ? 1e6 / match.tick_rate : null;
  const tight = (us) => (us && budget && us > budget / 2 ? "bad" : "plain");
  return [
    ["tick", "Tick", count(match.tick)],
    ["players", "Players", `${count(match.players)} of ${count(match.players_max)}`],
    ["tick-time", "Tick time p50 / p99", `${micros(stats?.tick_us_p50)} / ${micros(stats?.tick_us_p99)}`, tight(stats?.tick_us_p99)],
    ["commit-time", "Commit p50 / p99", `${micros(stats?.commit_us_p50)} / ${micros(stats?.commit_us_p99)}`, tight(stats?.commit_us_p99)],
    ["bytes", "Published", rate(stats?.bytes_per_s)],
    ["overruns", "Overruns", count(stats?.overruns), stats?.overruns ? "bad" : "plain"],
  ];
}

/** When the match last changed its owner: to the second if this node saw it, else by the ticks made since. */
function lastTakeover({ events, claims = [], tick, tick_rate: hz }) {
  const seen = events.find((event) => event.what === "owned");
  if (seen) return `${clock(seen.at_ms)}: ${seen.text}`;
  if (claims.length < 2) return "none";
  const [{ epoch, tick: began }] = claims;
  return `epoch ${epoch} from tick ${count(began)} on, ${span(((tick - began) / hz) * 1000)} of ticks ago`;
}

function wordFacts(match) {
  const ownerships = (match.claims ?? []).map(({ epoch, tick }) => `${epoch} from ${count(tick)}`);
  const options = Object.entries(match.options ?? {}).map(([name, value]) => `${name} ${value}`);
  return [
    ["game", "Game", match.game ?? "–"],
    ["owner", "Owner", match.owner || "nobody"],
    ["tick-rate", "Tick rate", match.tick_rate ? `${match.tick_rate} Hz, ${micros(1e6 / match.tick_rate)} a tick` : "–"],
    ["epoch", "Epoch", count(match.epoch)],
    ["takeover", "Last takeover", lastTakeover(match)],
    ["claims", "Epochs", ownerships.join(", ") || "–"],
    ["lease", "Lease left", span(match.lease_left_ms)],
    ["last-tick", "Last tick", match.last_tick_age_ms === null ? "never" : `${span(match.last_tick_age_ms)} ago`],
    ["crashes", "Failed ownerships", count(match.crashes), match.crashes > 1 ? "bad" : "plain"],
    ["heir", "Named heir", match.heir || "none"],
    ["snapshot", "Snapshot of tick", count(match.snapshot_tick)],
    ["created", "Made", match.created_ms ? clock(match.created_ms) : "–"],
    ["options", "Options", options.join(", ") || "none"],
  ];
}

function showAgreement({ hash, relay, node }) {
  const badge = byId("hash");
  const differs = hash?.agrees === false || relay?.agrees === false;
  const state = differs ? "differ" : hash ? "agree" : "unknown";
  mark(badge, "data-state", state);
  const words = { agree: "Hashes agree", differ: "Hashes differ", unknown: "No hash to compare" };
  const details = [];
  if (hash) details.push(`stored ${hash.stored}, recomputed ${hash.recomputed}`);
  if (relay) {
    const owners = relay.owners === null ? "the owner's is gone from the ring" : `the owner's ${relay.owners}`;
    details.push(`copy of ${node} at tick ${count(relay.tick)}: ${relay.recomputed}, ${owners}`);
  } else if (hash) {
    details.push(`${node} does not follow it`);
  }
  if (!badge.firstChild) badge.append(el("strong", {}), el("span", {}));
  say(badge.firstChild, words[state]);
  say(badge.lastChild, details.join("; "));
}

function showKinds(kinds) {
  if (shown.kind === null) shown.kind = kinds.find((kind) => kind.count > 0)?.name ?? kinds[0]?.name ?? null;
  const create = (kind) => {
    const button = el("button", { type: "button", "data-kind": kind.name });
    button.addEventListener("click", () => {
      shown.kind = kind.name;
      shown.offset = 0;
      showKinds(kinds);
    });
    return button;
  };
  keyed(byId("kinds"), kinds, (kind) => kind.name, create, (button, kind) => {
    mark(button, "aria-pressed", String(kind.name === shown.kind));
    say(button, `${kind.name} ${count(kind.count)}`);
  });
}

/** Shows what was said, the last line first: names and texts are a player's, and text. */
function showChat(lines) {
  if (lines.length === 0) {
    keyed(byId("chat"), [{}], () => "none", () => el("li", { class: "empty" }), (item) => say(item, "Nothing so far."));
    return;
  }
  const create = ({ number, tick, from, team, name, text }) => {
    const who = el("span", { class: "what" }, name || `player ${from}`);
    const to = team === 0 ? "" : `, to team ${team}`;
    const place = el("span", { class: "place" }, `tick ${count(tick)}, player ${from}${to}`);
    return el("li", { "data-number": number, "data-team": team }, who, el("span", { class: "text" }, text), place);
  };
  keyed(byId("chat"), [...lines].reverse(), ({ number, tick }) => `${number}.${tick}`, create, () => {});
}

/** Shows the answer of `/v1/matches/ID`. */
export function showMatch(match) {
  mark(byId("match-status"), "data-state", match.status);
  say(byId("match-status"), match.status);
  byId("match-problem").hidden = !match.problem;
  say(byId("match-problem"), match.problem ? `The state cannot be read: ${match.problem}` : "");
  document.querySelector('#orders [data-order="revive"]').hidden = match.status !== "quarantined";
  showFacts(byId("live"), liveFacts(match));
  showFacts(byId("facts"), wordFacts(match));
  showAgreement(match);
  showKinds(match.kinds ?? []);
  showChat(match.chat ?? []);
  showEvents(byId("events"), match.events, false);
}

const shownValue = (value) => (typeof value === "number" && !Number.isInteger(value) ? value.toFixed(2) : String(value));

/** Shows the answer of `/v1/matches/ID/entities`. */
export function showEntities(told) {
  if (told.kind !== shown.kind) return;
  if (told.offset > 0 && told.offset >= told.total) {
    shown.offset = Math.max(0, Math.ceil(told.total / PAGE) - 1) * PAGE;
    return;
  }
  const numeric = (at) => typeof told.entities[0]?.values[at] === "number" && "number";
  const column = (name, at) => ({ name, at });
  keyed(
    byId("entities-head"),
    [column("index", -1), ...told.fields.map(column)],
    ({ name, at }) => `${told.kind}.${at}.${name}`,
    ({ name, at }) => el("th", { scope: "col", class: numeric(at) }, name),
    () => {},
  );
  keyed(
    byId("entities-rows"),
    told.entities,
    (entity) => `${told.kind}:${entity.index}`,
    (entity) => {
      const cells = entity.values.map((_, at) => el("td", { class: numeric(at) }));
      return el("tr", { "data-entity": `${told.kind}:${entity.index}` }, el("th", { scope: "row" }, entity.index), ...cells);
    },
    (row, entity) => entity.values.forEach((value, at) => say(row.children[at + 1], shownValue(value))),
  );
  const last = told.offset + told.entities.length;
  say(byId("entities-label"), told.total ? `${count(told.offset + 1)} to ${count(last)} of ${count(told.total)}, tick ${count(told.tick)}` : "none");
  byId("entities-prev").disabled = told.offset === 0;
  byId("entities-next").disabled = last >= told.total;
}

/** The match that is shown is gone. */
export function showGone() {
  mark(byId("match-status"), "data-state", "gone");
  say(byId("match-status"), "gone");
  byId("match-problem").hidden = false;
  say(byId("match-problem"), "This match is over, or there never was one of this name. What is below was seen last.");
}
