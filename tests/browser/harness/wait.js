// Waiting for a state with a deadline. Nothing here sleeps for a time that is hoped to be long enough.

/** For what takes a few ticks or round trips on a busy machine, milliseconds. */
export const WITHIN = 15_000;

const POLL = 25;

/**
 * Asks until the answer is neither null, undefined nor false; fails with `what` when the deadline has passed.
 * @template T
 * @param {string} what
 * @param {() => T | null | undefined | false | Promise<T | null | undefined | false>} ask
 * @param {number} [within]
 * @returns {Promise<T>}
 */
export async function until(what, ask, within = WITHIN) {
  const deadline = performance.now() + within;
  let last;
  while (performance.now() < deadline) {
    try {
      const answer = await ask();
      if (answer !== null && answer !== undefined && answer !== false) return answer;
      last = answer;
    } catch (error) {
      last = error;
    }
    await new Promise((resolve) => setTimeout(resolve, POLL));
  }
  throw new Error(`not within ${within} ms: ${what} (last: ${last instanceof Error ? last.message : String(last)})`);
}

/**
 * A promise that fails when it takes too long.
 * @template T
 * @param {string} what
 * @param {Promise<T>} promise
 * @param {number} [within]
 * @returns {Promise<T>}
 */
export function within(what, promise, within = WITHIN) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`not within ${within} ms: ${what}`)), within);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}
