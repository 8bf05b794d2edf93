// The table of matches: search, filters, order and pages, all done by the node. What is asked for stands in the address
// behind `#/?`, so that it can be linked to and gone back from.

import { byId, choices, count, el, keyed, mark, micros, rate, say, span } from "./dom.js";

const PAGE = 50;
// Heading, what the node sorts by, whether the most comes first, whether a phone leaves it out, and what a cell says.
const COLUMNS = [
  { word: "Match", sort: "id", kind: "mono" },
  { word: "Game", sort: "game", small: true, say: (match) => match.game ?? "–" },
  { word: "Status", sort: "status", kind: "status" },
  { word: "Players", sort: "players", more: true, number: true, say: (match) => `${count(match.players)} / ${count(match.players_max)}` },
  { word: "Owner", sort: "owner", say: (match) => match.owner || "nobody" },
  { word: "Tick", sort: "tick", more: true, number: true, small: true, say: (match) => count(match.tick) },
  { word: "Rate", sort: "tick_rate", more: true, number: true, small: true, say: (match) => (match.tick_rate ? `${match.tick_rate} Hz` : "–") },
  { word: "Last tick", sort: "last_tick", more: true, number: true, small: true, say: (match) => span(match.last_tick_age_ms) },
  { word: "Tick p99", sort: "tick_us_p99", more: true, number: true, small: true, say: (match) => micros(match.stats?.tick_us_p99) },
  { word: "Published", sort: "bytes_per_s", more: true, number: true, small: true, say: (match) => rate(match.stats?.bytes_per_s) },
  { word: "Overruns", sort: "overruns", more: true, number: true, small: true, say: (match) => count(match.stats?.overruns) },
  { word: "Epoch", sort: "epoch", more: true, number: true, small: true, say: (match) => count(match.epoch) },
];

const classes = (column) => [column.number && "number", column.small && "small", column.kind === "mono" && "mono"].filter(Boolean).join(" ");

/** What the address asks for. */
export function wanted() {
  const params = new URLSearchParams(location.hash.split("?")[1] ?? "");
  const text = (name) => params.get(name) ?? "";
  return {
    search: text("search"),
    game: text("game"),
    owner: text("owner"),
    status: text("status"),
    sort: text("sort") || "id",
    order: text("order") || "asc",
    offset: Math.max(0, Number.parseInt(text("offset"), 10) || 0),
    limit: PAGE,
  };
}

function go(changes) {
  const params = new URLSearchParams();
  for (const [name, value] of Object.entries({ ...wanted(), offset: 0, ...changes })) {
    if (value && name !== "limit" && !(name === "sort" && value === "id") && !(name === "order" && value === "asc")) {
      params.set(name, value);
    }
  }
  const query = params.toString();
  const there = query ? `#/?${query}` : "#/";
  if (location.hash === there) return;
  // What is typed makes no history of its own; `hashchange` is told all the same.
  location.replace(there);
}

function createRow(match) {
  const row = el("tr", { "data-match": match.id });
  for (const column of COLUMNS) {
    const cell = el(column.kind === "mono" ? "th" : "td", { class: classes(column), scope: column.kind === "mono" && "row" });
    if (column.kind === "mono") cell.append(el("a", { href: `#/match/${encodeURIComponent(match.id)}` }, match.id));
    if (column.kind === "status") cell.append(el("span", { class: "tag" }));
    row.append(cell);
  }
  return row;
}

function updateRow(row, match) {
  COLUMNS.forEach((column, index) => {
    const cell = row.children[index];
    if (column.kind === "status") {
      mark(cell.firstChild, "data-state", match.status);
      say(cell.firstChild, match.status);
    } else if (column.say) {
      say(cell, column.say(match));
    }
  });
}

/** Makes what the table is used with. */
export function setUpMatches() {
  byId("matches-head").append(
    ...COLUMNS.map((column) => {
      const button = el("button", { type: "button", "data-sort": column.sort }, column.word);
      button.addEventListener("click", () => {
        const now = wanted();
        const turned = now.order === "asc" ? "desc" : "asc";
        go({ sort: column.sort, order: now.sort === column.sort ? turned : column.more ? "desc" : "asc" });
      });
      return el("th", { class: classes(column), scope: "col" }, button);
    }),
  );
  byId("search").addEventListener("input", (event) => go({ search: event.target.value.trim() }));
  for (const select of document.querySelectorAll("select[data-filter]")) {
    select.addEventListener("change", () => go({ [select.dataset.filter]: select.value }));
  }
  byId("page-prev").addEventListener("click", () => go({ offset: Math.max(0, wanted().offset - PAGE) }));
  byId("page-next").addEventListener("click", () => go({ offset: wanted().offset + PAGE }));
}

function showTools(page, asked) {
  const search = byId("search");
  if (document.activeElement !== search && search.value !== asked.search) search.value = asked.search;
  const filters = [["filter-game", page.games, asked.game], ["filter-owner", page.owners, asked.owner], ["filter-status", page.statuses, asked.status]];
  for (const [id, counts, chosen] of filters) {
    const known = Object.entries(counts).filter(([value]) => value !== "");
    const options = known.map(([value]) => [value, value]);
    if (chosen && !(chosen in counts)) options.push([chosen, chosen]);
    choices(byId(id), [["", "all"], ...options], chosen);
  }
  for (const cell of byId("matches-head").children) {
    const sorted = cell.firstChild.dataset.sort === asked.sort;
    mark(cell, "aria-sort", sorted ? (asked.order === "asc" ? "ascending" : "descending") : "none");
  }
}

/** Shows the answer of `/v1/matches`. */
export function showMatches(page) {
  const asked = wanted();
  // Matches have gone and the page with them.
  if (page.offset > 0 && page.offset >= page.found) {
    go({ offset: Math.max(0, Math.ceil(page.found / PAGE) - 1) * PAGE });
    return;
  }
  showTools(page, asked);
  keyed(byId("matches-rows"), page.matches, (match) => match.id, createRow, updateRow);
  const last = page.offset + page.matches.length;
  const filtered = page.found === page.total ? "" : ` of ${count(page.total)}`;
  say(byId("matches-count"), `${count(page.found)}${filtered}, ${count(page.players)} players`);
  say(byId("page-label"), page.found ? `${count(page.offset + 1)} to ${count(last)} of ${count(page.found)}` : "");
  byId("page-prev").disabled = page.offset === 0;
  byId("page-next").disabled = last >= page.found;
  byId("matches-empty").hidden = page.found > 0;
  say(byId("matches-empty"), page.total ? "No match is like that." : "There is no match yet. One begins when somebody plays.");
}
