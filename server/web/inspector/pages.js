// A table that is shown page by page: which part is asked for, the buttons that turn, and where one is.

import { byId, count, say } from "./dom.js";

/** Rows of a page. */
const PAGE = 25;
/** Nothing is asked for each key. */
const TYPED_MS = 200;

/** The pages of `ID-prev`, `ID-next`, `ID-label`, and what is sought in `ID-search`. */
export class Pages {
  /** @param {string} id @param {() => void} changed another part is wanted */
  constructor(id, changed) {
    this.id = id;
    this.offset = 0;
    let timer = 0;
    const turn = (by) => {
      this.offset = Math.max(0, this.offset + by);
      changed();
    };
    byId(`${id}-prev`).addEventListener("click", () => turn(-PAGE));
    byId(`${id}-next`).addEventListener("click", () => turn(PAGE));
    byId(`${id}-search`).addEventListener("input", () => {
      clearTimeout(timer);
      timer = setTimeout(() => {
        this.offset = 0;
        changed();
      }, TYPED_MS);
    });
  }

  /** What is to be asked for. */
  get wanted() {
    return { search: byId(`${this.id}-search`).value.trim(), offset: this.offset, limit: PAGE };
  }

  /** Begins anew, with nothing sought. */
  clear() {
    this.offset = 0;
    byId(`${this.id}-search`).value = "";
    say(byId(`${this.id}-label`), "");
  }

  /** Takes in where an answer is. False if it is behind the end, and the last page is to be asked for. */
  show({ found, total, offset }, shown) {
    if (offset > 0 && offset >= found) {
      this.offset = Math.max(0, Math.ceil(found / PAGE) - 1) * PAGE;
      return false;
    }
    const last = offset + shown;
    const of = found === total ? count(total) : `${count(found)} found, ${count(total)} in all`;
    say(byId(`${this.id}-label`), found ? `${count(offset + 1)} to ${count(last)} of ${of}` : "");
    byId(`${this.id}-prev`).disabled = offset === 0;
    byId(`${this.id}-next`).disabled = last >= found;
    return true;
  }
}
