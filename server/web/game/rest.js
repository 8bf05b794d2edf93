// Whether the player rests, and no input has to say so: what a player wants stands until the next input. Pure.

export class Rest {
  constructor() {
    this.last = new Int32Array(4);
    this.forget();
  }

  /** The server may know something else. */
  forget() {
    this.last.fill(-1);
  }

  /**
   * Whether this input tells the server nothing. Who walks or fires goes on saying so, for it counts what was seen then.
   * @param {Int32Array} values move_x, move_y, aim, fire @param {boolean} known the last input is part of the state
   */
  has(values, known) {
    const { last } = this;
    const same = values.every((value, at) => value === last[at]);
    last.set(values);
    return same && known && values[0] === 0 && values[1] === 0 && values[3] === 0;
  }
}
