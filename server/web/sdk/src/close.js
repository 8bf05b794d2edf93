// Why connections end: docs/wire.md, section 9.2.

/** Texts for people where no reason was given; our servers give one with each of their codes. @type {Record<number, string>} */
const TEXTS = {
  1000: 'the player left',
  1006: 'the connection broke',
  4505: 'the match is full',
  4506: 'kicked',
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
