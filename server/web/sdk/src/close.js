// Why connections end: docs/wire.md, section 9.2.

/** Texts for people, where a page can say more than the reason that the server gave. @type {Record<number, string>} */
const TEXTS = {
  1000: 'the player left',
  1006: 'the connection broke',
  1012: 'the node restarts',
  4000: 'internal error',
  4001: 'the node shuts down',
  4002: 'the connection is too slow for the match',
  4003: 'position lost',
  4004: 'nothing was heard from this client',
  4005: 'this client sends too much',
  4500: 'this client sent what the server does not understand',
  4501: 'the ticket is not good, or the seat is not held any more',
  4502: 'no hello in time',
  4503: 'the server speaks another version',
  4504: 'no such match or game',
  4505: 'the match is full',
  4506: 'kicked',
  4509: 'the game of the match failed too often',
  4510: 'another connection plays as this player now',
  4511: 'the match is over',
};

/** Whether to connect again after this code. @param {number} code */
export function mayComeBack(code) {
  return code === 1006 || code === 1012 || (code >= 4000 && code <= 4499);
}

/** @param {number} code @param {string} [reason] what the server said */
export function closeText(code, reason) {
  return reason || TEXTS[code] || `closed with code ${code}`;
}
