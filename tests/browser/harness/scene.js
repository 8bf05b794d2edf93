// A test with everything it started ended after it, whatever happened; after a failure the pages and nodes are told.

import { after, before, test } from "node:test";
import { Browser } from "./browser.js";
import { Link } from "./link.js";
import { Node, Redis } from "./process.js";

/** Longest time that one scene may take, milliseconds. */
const SCENE_MAX = 90_000;

/** What a scene may start. */
class Stage {
  #ends = [];
  nodes = [];

  constructor(browser) {
    this.browser = browser;
  }

  async node(options) {
    const node = await Node.start(options);
    this.nodes.push(node);
    this.#ends.push(() => node.kill());
    return node;
  }

  async redis() {
    const redis = await Redis.start();
    this.#ends.push(() => redis.kill());
    return redis;
  }

  async link(port, options) {
    const link = await Link.open(port, options);
    this.#ends.push(() => link.close());
    return link;
  }

  page(url, options) {
    return this.browser.open(String(url), options);
  }

  /** Calls this when the scene is over. */
  later(end) {
    this.#ends.push(end);
  }

  /** Ends what runs, the newest first. */
  async clear() {
    await this.browser?.closePages();
    for (const end of this.#ends.splice(0).reverse()) await end();
  }
}

async function play(name, browser, body) {
  const stage = new Stage(browser);
  try {
    await body(stage);
  } catch (error) {
    await browser?.report(name.replaceAll(/\W+/g, "-"));
    for (const node of stage.nodes) console.error(`---- ${node.name} printed:\n${node.printed}----`);
    throw error;
  } finally {
    await stage.clear();
  }
}

/**
 * The scenes of a file that need a browser: one Chromium for all of them.
 * @returns {(name: string, body: (stage: Stage) => Promise<void>, options?: object) => void}
 */
export function scenesInBrowser() {
  let browser;
  before(async () => { browser = await Browser.start(); });
  after(async () => { await browser?.stop(); });
  return (name, body, options = {}) => {
    test(name, { timeout: SCENE_MAX, ...options }, () => play(name, browser, body));
  };
}

/** A scene without a browser. */
export function scene(name, body, options = {}) {
  test(name, { timeout: SCENE_MAX, ...options }, () => play(name, undefined, body));
}
