// What the players' page shows: the games of this node and the matches that there are, looked up each second.

const games = document.getElementById("games");
const body = document.getElementById("matches");
const cell = (text) => Object.assign(document.createElement("td"), { textContent: text });
const row = (match) => {
  const tr = document.createElement("tr");
  const players = `${match.players} of ${match.players_max}`;
  tr.append(cell(match.id), cell(match.game), cell(players), cell(match.tick), cell(match.owner));
  return tr;
};
const get = async (path) => (await fetch(path)).json();
const refresh = async () => {
  try {
    games.textContent = (await get("/v1/games")).games.join(", ");
    body.replaceChildren(...(await get("/v1/matches")).matches.map(row));
  } catch {
    body.replaceChildren();
  }
};
refresh();
setInterval(refresh, 1000);
