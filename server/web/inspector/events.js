// Event logs: of one match, and of all that the node saw.

import { clock, el, keyed, say } from "./dom.js";

const WORDS = {
  created: "made",
  owned: "new owner",
  released: "given up",
  handed_over: "handed over",
  fenced: "fenced",
  repaired: "repaired",
  set_back: "set back",
  reset: "reset told",
  panicked: "panicked",
  desync: "desync",
  deaf: "deaf",
  quarantined: "quarantined",
  revived: "revived",
  ended: "ended",
  order: "order",
};
const BAD = ["set_back", "reset", "panicked", "desync", "deaf", "quarantined", "fenced"];
const NOTABLE = ["owned", "repaired", "handed_over", "order", "revived"];

function tone(what) {
  if (BAD.includes(what)) return "bad";
  return NOTABLE.includes(what) ? "notable" : "plain";
}

function create(event, withMatch) {
  const time = el("time", { dateTime: new Date(event.at_ms).toISOString() }, clock(event.at_ms));
  const what = el("span", { class: "what", "data-tone": tone(event.what) }, WORDS[event.what] ?? event.what);
  const item = el("li", { "data-what": event.what }, time, what);
  if (withMatch && event.match) {
    item.append(el("a", { class: "mono", href: `#/match/${encodeURIComponent(event.match)}` }, event.match));
  }
  item.append(el("span", { class: "text" }, event.text));
  return item;
}

/** Shows events, newest first. */
export function showEvents(list, events, withMatch) {
  if (events.length === 0) {
    keyed(list, [{}], () => "none", () => el("li", { class: "empty" }), (item) => say(item, "Nothing so far."));
    return;
  }
  keyed(list, events, (event) => event.number, (event) => create(event, withMatch), () => {});
}
