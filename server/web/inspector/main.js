// The inspector's page: what is shown, by the address behind `#`, and when it is asked for.
//
//   #/              nodes, matches (`#/?search=&game=&owner=&status=&sort=&order=&offset=`), what this node saw
//   #/match/ID      one match
//
// It polls: a question that is lost is asked again anyway, the node answers from what it has, and no connection has to
// be watched. Nothing is asked while the tab is hidden. Whatever is shown stays when answers fail; the banner says why.
//
// For tests and style sheets these stay as they are:
//   #pulse[data-state=live|stale|gone|waiting]   #banner (hidden when all is well)   #toast[data-tone]
//   #nodes > [data-node=NAME][data-state]        in it [data-part=state|matches|connections|heard|version|load|note]
//   #search #filter-game #filter-owner #filter-status   #matches-head [data-sort]   #matches-count #matches-empty
//   #matches-rows > [data-match=ID]              #page-prev #page-next #page-label   #all-events #events > [data-what]
//   #match-id #match-status[data-state] #match-problem   #hash[data-state=agree|differ|unknown]
//   #live, #facts > [data-fact=NAME]             #picture   #legend > [data-kind][aria-pressed]
//   #kinds > [data-kind][aria-pressed]           #entities-rows > [data-entity=KIND:INDEX]   #entities-prev, -next, -label
//   #chat > [data-number][data-team]             the last line first
//   #players-search #players-rows > [data-player=NUMBER]   #players-prev #players-next #players-label #players-empty
//   #bans-search #bans-rows > [data-subject=ACCOUNT]       in it [data-part=left|since|reason]   #bans-prev, -next, -label
//   [data-order=move|end|revive|drain|kick|ban|unban]      #confirm: #confirm-to #confirm-yes #confirm-no #confirm-wrong
//   #confirm-ban: #ban-subject #ban-for #ban-reason
//   #token-open[data-state=locked|unlocked|off]  #token: #token-input #token-yes #token-no

import { get, matchPath } from "./api.js";
import { setUpBans, showBans, wantedBans } from "./bans.js";
import { byId, mark, say, span } from "./dom.js";
import { showEvents } from "./events.js";
import { openMatch, setUpMatch, showEntities, showGone, showMatch, wantedEntities } from "./match.js";
import { setUpMatches, showMatches, wanted } from "./matches.js";
import { showNodes } from "./nodes.js";
import { askToRead, knowNodes, setUpOrders } from "./orders.js";
import { setUpPicture, showPicture } from "./picture.js";
import { openPlayers, setUpPlayers, showPlayers, wantedPlayers } from "./players.js";

const LIST_EVERY_MS = 1000;
const PICTURE_EVERY_MS = 250;
const MATCH_EVERY_MS = 500;
const EVENTS_SHOWN = 30;
/** What is older than this is said to be so. */
const FRESH_MS = 4000;

// When what is shown was true, by this page's clock, why it is no newer, when the node last answered, and whether it
// does not now.
const state = { trueAt: null, trouble: null, answeredAt: null, failed: false, bannerAt: 0 };

function route() {
  const [, match] = location.hash.match(/^#\/match\/([^?]+)/) ?? [];
  try {
    return match === undefined ? null : decodeURIComponent(match);
  } catch {
    return null;
  }
}

/** Takes in how old an answer is. */
function note(told) {
  const now = performance.now();
  state.answeredAt = now;
  state.failed = false;
  if (told.as_of) {
    state.trouble = told.as_of.trouble;
    state.trueAt = told.as_of.age_ms === null ? null : now - told.as_of.age_ms;
  }
  return told;
}

function showPulse() {
  const now = performance.now();
  const old = state.trueAt === null ? null : now - state.trueAt;
  const seen = old === null ? "Nothing was seen before that." : `Shown is what was seen ${span(old)} ago.`;
  let [kind, words, banner] = ["live", "live", ""];
  if (state.failed) {
    const since = state.answeredAt === null ? "" : ` for ${span(now - state.answeredAt)}`;
    [kind, words, banner] = ["gone", "no answer", `This node has not answered${since}. ${seen}`];
  } else if (state.trouble) {
    [kind, words, banner] = ["stale", `${span(old)} old`, `Redis does not answer this node (${state.trouble}). ${seen} Orders will fail until it is back.`];
  } else if (state.answeredAt === null) {
    [kind, words] = ["waiting", "connecting"];
  } else if (old > FRESH_MS) {
    [kind, words] = ["stale", `${span(old)} old`];
  }
  mark(byId("pulse"), "data-state", kind);
  say(byId("pulse"), words);
  byId("banner").hidden = banner === "";
  // An alert is read aloud when its text changes: the age is in the pulse, so the banner keeps its words for a while.
  if (banner === "" || now - state.bannerAt > 1000) {
    say(byId("banner"), banner);
    state.bannerAt = now;
  }
}

async function pollList() {
  const answers = await Promise.all([get("/v1/nodes"), get("/v1/matches", wanted()), get("/v1/events", { limit: EVENTS_SHOWN })]);
  if (route() !== null) return;
  const [nodes, matches, events] = answers.map(note);
  knowNodes(nodes);
  showNodes(nodes);
  showMatches(matches);
  showEvents(byId("all-events"), events.events, true);
}

async function pollMatch(id) {
  const match = await get(matchPath(id));
  if (route() === id) showMatch(note(match));
}

async function pollEntities(id) {
  const wished = wantedEntities();
  if (wished === null) return;
  const rows = await get(matchPath(id, "entities"), wished);
  if (route() === id) showEntities(rows);
}

async function pollPlayers(id) {
  const rows = await get(matchPath(id, "players"), wantedPlayers());
  if (route() === id) showPlayers(rows);
}

async function pollBans() {
  const bans = await get("/v1/bans", wantedBans());
  if (route() === null) showBans(bans);
}

async function pollPicture(id) {
  const map = await get(matchPath(id, "map"));
  if (route() === id) showPicture(map);
}

/** Runs a poll; the page goes on showing what it has when it fails. */
async function poll(asked, gone) {
  try {
    await asked();
  } catch (refused) {
    if (refused.status === undefined) throw refused;
    if (refused.status === 0) state.failed = true;
    if (refused.status === 401) askToRead(refused.message);
    if (refused.status === 404) gone?.();
    // The others are about a state that cannot be read or loaded: the answer about its match tells why.
  }
}

/** Repeats a poll while the tab is seen, each time after the last answer. */
function repeat(every, asked) {
  let timer = 0;
  let busy = false;
  const next = async () => {
    clearTimeout(timer);
    if (busy) return;
    busy = true;
    if (!document.hidden) await asked();
    busy = false;
    timer = setTimeout(next, document.hidden ? LIST_EVERY_MS : every);
  };
  next();
  return next;
}

function open() {
  const id = route();
  byId("list-view").hidden = id !== null;
  byId("match-view").hidden = id === null;
  document.title = id === null ? "tickcast inspector" : `${id} · tickcast inspector`;
  if (id !== null) {
    openMatch(id);
    openPlayers();
    showPicture(null);
    window.scrollTo(0, 0);
  }
}

setUpMatches();
setUpMatch();
setUpPicture();
setUpPlayers(() => again());
setUpBans(() => again());
setUpOrders(route, () => again());
let shownMatch = route();
open();
const polls = [
  repeat(LIST_EVERY_MS, () => (route() === null ? poll(pollList) : poll(async () => knowNodes(await get("/v1/nodes"))))),
  repeat(MATCH_EVERY_MS, () => route() !== null && poll(() => pollMatch(route()), showGone)),
  repeat(MATCH_EVERY_MS, () => route() !== null && poll(() => pollEntities(route()))),
  repeat(LIST_EVERY_MS, () => (route() === null ? poll(pollBans) : poll(() => pollPlayers(route())))),
  repeat(PICTURE_EVERY_MS, () => route() !== null && poll(() => pollPicture(route()))),
];
function again() {
  polls.forEach((next) => next());
}
window.addEventListener("hashchange", () => {
  if (route() !== shownMatch) {
    shownMatch = route();
    open();
  }
  again();
});
document.addEventListener("visibilitychange", again);
for (const id of ["kinds", "entities-prev", "entities-next"]) byId(id).addEventListener("click", again);
setInterval(showPulse, 250);
