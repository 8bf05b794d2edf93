// What the page says, and how it writes numbers. Pure.

/** @typedef {'lobby' | 'connecting' | 'playing' | 'spectating' | 'reconnecting' | 'full' | 'ended' | 'kicked' | 'lost' | 'ticket'} State */

/** What the connection came with that was ended: a seat is that of a player who is back. @typedef {'nothing' | 'ticket' | 'seat'} Shown */

/** The state after a connection ended for good, by its close code (docs/wire.md, 9.2). @param {number} code @param {Shown} shown @returns {State} */
export function stateAfter(code, shown) {
  if (code === 4501 && shown !== 'seat') return 'ticket';
  if (code === 4505) return 'full';
  if (code === 4506) return 'kicked';
  if (code === 4511) return 'ended';
  return 'lost';
}

/**
 * What happened, in words, and what to do about it. The server has one text for all that may be wrong with a ticket.
 * @param {number} code @param {string} reason what the server said @param {Shown} shown
 */
export function wordsAfter(code, reason, shown) {
  if (code === 4501 && shown === 'nothing') return { title: 'A ticket is needed', text: 'Players come in here with one. Go back and paste yours.' };
  if (code === 4501 && shown === 'ticket') return { title: 'This ticket is not good', text: 'Each is good once, for a short time, and where it says. Go back and paste a new one.' };
  if (code === 4506 && reason === 'banned') return { title: 'You are banned', text: 'An operator keeps your account out for a while.' };
  switch (code) {
    case 4505: return { title: 'The match is full', text: 'Watch it, or play in another one.' };
    case 4506: return { title: 'You were kicked', text: 'An operator took you out of this match.' };
    case 4511: return { title: 'The match is over', text: 'It has ended for everybody. Play in another one.' };
    case 4504: return { title: 'No such match', text: 'There is no match behind this link. It may have ended, or the link is wrong.' };
    case 4501: return { title: 'Away for too long', text: 'Your place was given up. Join again as a new player.' };
    case 4509: return { title: 'The match is halted', text: 'Its game failed again and again.' };
    case 4510: return { title: 'Playing elsewhere', text: 'Another tab or device plays as you now.' };
    case 4507: return { title: 'Too many connections', text: 'Your account is connected elsewhere already. Close one of its tabs, and come again.' };
    case 4508: return { title: 'Put out', text: 'Your connection sent more than it may again and again. Come back in some minutes.' };
    case 4005: return { title: 'Too many messages', text: 'The server closed a connection that sent more than it may.' };
    case 1006: return { title: 'Connection lost', text: 'The server cannot be reached any more. Is it running?' };
    default: return { title: 'Connection lost', text: `It ended: ${reason} (code ${code}).` };
  }
}

/** Why a line of chat was not said, and what to do about it. @param {import('../sdk/src/message.js').ChatRefusal} reason */
export function wordsOfRefusal(reason) {
  switch (reason) {
    case 'too-fast': return 'Not said: you talk too fast. Wait a second.';
    case 'too-long': return 'Not said: it is too long.';
    case 'empty': return 'Not said: there is nothing to see in it.';
    case 'no-team': return 'Not said: you are in no team.';
    case 'off': return 'Not said: there is no chat on this server.';
    case 'spectator': return 'Not said: only players talk.';
    default: return 'Not said: the server did not answer. Try again.';
  }
}

/** @param {number} ticks @param {number} hz */
export function clock(ticks, hz) {
  const seconds = Math.max(0, Math.ceil(ticks / hz));
  return `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, '0')}`;
}

/** Seconds with one digit. @param {number} ticks @param {number} hz */
export function countdown(ticks, hz) {
  return (Math.max(0, ticks) / hz).toFixed(1);
}

/** @param {number} bytes per second */
export function rate(bytes) {
  return bytes < 10_000 ? `${Math.round(bytes)} B/s` : `${(bytes / 1_000).toFixed(1)} kB/s`;
}

/** A link that joins a match. @param {string} origin @param {string} match */
export function link(origin, match) {
  return `${origin}/?match=${encodeURIComponent(match)}`;
}

/** What the address of the page asks for. @param {string} search */
export function asked(search) {
  const query = new URLSearchParams(search);
  const number = (/** @type {string} */ name) => Math.min(Math.max(Number(query.get(name)) || 0, 0), 5_000);
  return {
    match: query.get('match') ?? '',
    game: gameOf(query.get('game')),
    spectate: query.get('spectate') === '1',
    name: query.get('name') ?? '',
    autoplay: query.get('autoplay') === '1',
    delay: number('delay'),
    jitter: number('jitter'),
    stall: number('stall'),
  };
}

/** The games that this page plays. */
export const GAMES = ['arena', 'swarm'];

/** @param {string | null} name */
function gameOf(name) {
  return name !== null && GAMES.includes(name) ? name : GAMES[0];
}

/** The match of a game that a visitor should play in: the fullest that has a place. One without people may have no bots either. @param {{ id: string, game: string, players: number, players_max: number, owner: string }[]} matches @param {string} game */
export function bestMatch(matches, game) {
  let best = null;
  for (const match of matches) {
    if (match.game !== game || match.owner === '' || match.players === 0 || match.players >= match.players_max) continue;
    if (best === null || match.players > best.players) best = match;
  }
  return best;
}

/** The match that a person means: its id, or a link with it. @param {string} text */
export function matchOf(text) {
  const trimmed = text.trim();
  const found = /[?&]match=([^&#]+)/.exec(trimmed);
  return found === null ? trimmed : decodeURIComponent(found[1]);
}
