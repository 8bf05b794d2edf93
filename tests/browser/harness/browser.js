// One Chromium for a test file, and pages that remember what went wrong in them.

import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { chromium } from "playwright-core";
import { TOP } from "./process.js";
import { WITHIN, until, within } from "./wait.js";

/**
 * For a page to load, milliseconds: the first one of a Chromium that has just been started takes long on a busy machine.
 * How fast it has to be is a scene's to measure.
 */
const OPENS_WITHIN = 45_000;
/** For a page to tell of itself after a failure, milliseconds. */
const REPORT_WITHIN = 3_000;

const SCREENSHOTS = join(TOP, "target/screenshots");

/** Flags for a machine without a network, without a screen and perhaps without anybody but root. */
const FLAGS = [
  "--no-sandbox",
  "--disable-dev-shm-usage",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-default-apps",
  "--disable-domain-reliability",
  "--disable-sync",
  "--no-first-run",
  "--no-pings",
  "--mute-audio",
  // A page behind another one goes on as if somebody looked at it.
  "--disable-renderer-backgrounding",
  "--disable-backgrounding-occluded-windows",
  "--disable-background-timer-throttling",
];

export class Browser {
  #browser;
  #pages = [];

  static async start() {
    const browser = new Browser();
    const executablePath = process.env.TICKCAST_CHROMIUM ?? "/usr/bin/chromium";
    browser.#browser = await chromium.launch({ executablePath, args: FLAGS, headless: true });
    await mkdir(SCREENSHOTS, { recursive: true });
    return browser;
  }

  /**
   * Opens a page in a context of its own. `page.problems` has every error of its console, scripts and policy.
   * @param {string} url
   * @param {import("playwright-core").BrowserContextOptions} [options]
   */
  async open(url, options = {}) {
    const context = await this.#browser.newContext({ viewport: { width: 1280, height: 800 }, ...options });
    const page = await context.newPage();
    page.setDefaultTimeout(WITHIN);
    page.setDefaultNavigationTimeout(OPENS_WITHIN);
    page.problems = [];
    page.on("pageerror", (error) => page.problems.push(`error: ${error.stack ?? error}`));
    page.on("console", (message) => {
      if (message.type() === "error" || message.text().includes("Content Security Policy")) {
        page.problems.push(`console: ${message.text()}`);
      }
    });
    this.#pages.push(page);
    await page.goto(url, { waitUntil: "load" });
    return page;
  }

  /** A picture of a page, for people: target/screenshots/NAME.png. Nothing is checked with it: on a busy machine there may be none. */
  async picture(page, name) {
    const path = join(SCREENSHOTS, `${name}.png`);
    await page.screenshot({ path }).catch((error) => console.error(`no picture ${name}: ${error.message}`));
  }

  /** What every page looked like and complained of, when a test has failed. */
  async report(name) {
    for (const [number, page] of this.#pages.entries()) {
      if (page.isClosed()) continue;
      const told = await within("it answers", page.evaluate(selfReport), REPORT_WITHIN).catch((error) => error.message);
      console.error(`page ${number} (${page.url()}):`, told, page.problems);
      await this.picture(page, `failed-${name}-${number}`);
    }
  }

  async closePages() {
    for (const page of this.#pages.splice(0)) await page.context().close().catch(() => {});
  }

  async stop() {
    await this.#browser.close();
  }
}

/** What a page knows of itself; evaluated there, also on pages that are not the game's. */
function selfReport() {
  const { tickcast } = window;
  const shown = (id) => document.getElementById(id)?.innerText?.trim();
  const { node, tick, player, isCurrent } = tickcast?.connection ?? {};
  return {
    state: document.body?.dataset.state, status: shown("status"), notice: shown("notice"), focused: document.hasFocus(),
    node, tick, player, isCurrent, me: tickcast?.me(), metrics: tickcast?.metrics(),
  };
}

/** Waits until the page of the game is in one of these states. */
export function inState(page, ...states) {
  return until(`the page is ${states.join(" or ")}`, async () => {
    const state = await page.evaluate(() => document.body.dataset.state);
    return states.includes(state) && state;
  });
}

/** What the page's handle says, evaluated there. */
export function ask(page, question, argument) {
  return page.evaluate(question, argument);
}
