// The one error of bytes that are not what they should be.

/** Bytes that break the contract of docs/wire.md. Nothing else is thrown for bytes, whatever they are. */
export class Broken extends Error {
  /** @param {string} why */
  constructor(why) {
    super(why);
    this.name = 'Broken';
  }
}
