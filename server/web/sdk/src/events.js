// Who wants to know of what. Listeners are told in the order in which they came.

/** @template {{ [name: string]: unknown[] }} E */
export class Emitter {
  constructor() {
    /** @type {{ [N in keyof E]?: ((...told: E[N]) => void)[] }} */
    this.listeners = {};
  }

  /**
   * Calls `listener` whenever this happens; returns what ends that.
   * @template {keyof E} N @param {N} name @param {(...told: E[N]) => void} listener
   */
  on(name, listener) {
    this.listeners[name] = [...(this.listeners[name] ?? []), listener];
    return () => this.off(name, listener);
  }

  /** @template {keyof E} N @param {N} name @param {(...told: E[N]) => void} listener */
  off(name, listener) {
    this.listeners[name] = this.listeners[name]?.filter((each) => each !== listener);
  }

  /** @template {keyof E} N @param {N} name @param {E[N]} told */
  emit(name, ...told) {
    const listeners = this.listeners[name];
    if (listeners !== undefined) for (const listener of listeners) listener(...told);
  }
}
