// Real processes: nodes of the release binary and a Redis. Each is ended with the test that started it.

import { spawn, execFile } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { until, within } from "./wait.js";

const run = promisify(execFile);

/** The checkout. */
export const TOP = join(dirname(fileURLToPath(import.meta.url)), "../../..");
const BINARY = process.env.TICKCAST_BINARY ?? join(TOP, "target/release/tickcast");

/** A child process, and what it has printed. */
class Child {
  constructor(name, program, args, env = {}) {
    this.name = name;
    this.printed = "";
    const clean = Object.fromEntries(Object.entries(process.env).filter(([key]) => !key.startsWith("TICKCAST_")));
    this.process = spawn(program, args, { env: { ...clean, ...env }, stdio: ["ignore", "pipe", "pipe"] });
    this.ended = new Promise((resolve) => {
      this.process.on("error", (error) => { this.printed += `${error}\n`; resolve(null); });
      this.process.on("exit", resolve);
    });
    for (const stream of [this.process.stdout, this.process.stderr]) {
      stream.on("data", (chunk) => { this.printed += chunk; });
    }
  }

  get running() {
    return this.process.exitCode === null && this.process.signalCode === null && this.process.pid !== undefined;
  }

  signal(name) {
    if (this.running) this.process.kill(name);
  }

  /** Kills it, and waits until it is gone. */
  async kill() {
    this.signal("SIGKILL");
    await within(`${this.name} is gone`, this.ended);
  }
}

/** A node of the release binary. */
export class Node extends Child {
  /**
   * Starts a node and waits until it says where it listens.
   * @param {{ name?: string, redis?: string, args?: string[], listen?: string, opsListen?: string, env?: Record<string, string> }} [options]
   */
  static async start(options = {}) {
    const { name = "node", redis, args = [], listen = "127.0.0.1:0", opsListen = "127.0.0.1:0", env = {} } = options;
    const store = redis === undefined ? [] : ["--redis", redis];
    const all = ["serve", "--node", name, "--listen", listen, "--ops-listen", opsListen, ...store, ...args];
    const node = new Node(`node ${name}`, BINARY, all, env);
    node.apiKey = env.TICKCAST_API_KEY;
    const line = (word) => node.printed.match(new RegExp(`^ +${word} +(\\S+)`, "m"))?.[1];
    await until(`node ${name} is ready: ${BINARY}`, () => {
      if (!node.running) throw new Error(`it ended:\n${node.printed}`);
      return line("operators");
    });
    node.page = line("page");
    node.operators = line("operators");
    node.players = line("players");
    return node;
  }

  /** The players' port. */
  get port() {
    return Number(new URL(this.page).port);
  }

  /** A metric, by its name without the prefix. */
  async metric(name) {
    const text = await (await fetch(new URL("/metrics", this.operators))).text();
    const value = text.match(new RegExp(`^tickcast_${name} (\\S+)$`, "m"))?.[1];
    return Number(value);
  }

  /** Creates a match. */
  create(body = {}) {
    return this.#make("/v1/matches", body);
  }

  /** A ticket, made as a game's backend has it made. */
  async ticket(body) {
    return (await this.#make("/v1/tickets", body)).ticket;
  }

  /** A match, as the API tells it. */
  async match(id) {
    return (await fetch(new URL(`/v1/matches/${id}`, this.page), { headers: this.#headers })).json();
  }

  get #headers() {
    return this.apiKey === undefined ? {} : { authorization: `Bearer ${this.apiKey}` };
  }

  async #make(path, body) {
    const request = { method: "POST", headers: this.#headers, body: JSON.stringify(body) };
    const answer = await fetch(new URL(path, this.page), request);
    const json = await answer.json();
    if (answer.status !== 201) throw new Error(`${path} made nothing: ${answer.status} ${JSON.stringify(json)}`);
    return json;
  }
}

/** A Redis of its own. */
export class Redis extends Child {
  static async start() {
    const [port, folder] = [await freePort(), await mkdtemp(join(tmpdir(), "tickcast-redis-"))];
    const redis = new Redis("redis-server", "redis-server", Redis.#args(port, folder));
    Object.assign(redis, { port, folder, url: `redis://127.0.0.1:${port}` });
    await redis.#answers();
    return redis;
  }

  static #args(port, folder) {
    return ["--port", String(port), "--bind", "127.0.0.1", "--dir", folder, "--save", "", "--appendonly", "no"];
  }

  #answers() {
    return until("Redis answers", async () => (await this.command("PING")) === "PONG");
  }

  /** The answer of redis-cli. */
  async command(...words) {
    const { stdout } = await run("redis-cli", ["-p", String(this.port), ...words]);
    return stdout.trim();
  }

  async kill() {
    await super.kill();
    await rm(this.folder, { recursive: true, force: true });
  }
}

/** A port that nobody listens at. */
export async function freePort() {
  const server = createServer();
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address();
  await new Promise((resolve) => server.close(resolve));
  return port;
}
