// One Chromium for a test file, and pages that remember what went wrong in them.

import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { chromium } from "playwright-core";
import { TOP } from "./process.js";
import { WITHIN, until } from "./wait.js";

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

  /** A picture of a page, for people: target/screenshots/NAME.png. */
  async picture(page, name) {
    await page.screenshot({ path: join(SCREENSHOTS, `${name}.png`) });
  }

  /** What every page looked like and complained of, when a test has failed. */
  async report(name) {
    for (const [number, page] of this.#pages.entries()) {
      if (page.isClosed()) continue;
      const state = await page.evaluate(() => document.body?.dataset.state).catch(() => "gone");
      console.error(`page ${number} (${page.url()}): ${state}`, page.problems);
      await this.picture(page, `failed-${name}-${number}`).catch(() => {});
    }
  }

  async closePages() {
    for (const page of this.#pages.splice(0)) await page.context().close().catch(() => {});
  }

  async stop() {
    await this.#browser.close();
  }
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
