/** The daemon of the soak, by default from dist/ as it is shipped, with a cache that knows many domains. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { openStore } from "../../../src/store/open-store.ts";
import { HOUR } from "../../helpers/clock.ts";
import type { Home } from "../../helpers/stsmapd.ts";
import { NODE_FLAGS } from "../../helpers/unit.ts";
import { entry, pin } from "../../store/entries.ts";
import { maxAgeOf, mxOf, nameOf, policyOf, TTL } from "./names.ts";
import type { SoakWorld } from "./world.ts";

/** The program as it is shipped, and as it stands in the checkout. */
export const BUILT = fileURLToPath(new URL("../../../dist/main.js", import.meta.url));
export const CHECKOUT = fileURLToPath(new URL("../../../src/main.ts", import.meta.url));

/** Log lines at these levels are faults of the daemon. */
const FAULTS = new Set(["error", "fatal"]);

/** Puts the first version of all known domains' policies into a new cache file. */
export async function fillCache(path: string, count: number, random: () => number): Promise<void> {
  const now = Date.now();
  const store = openStore({ path, now: () => now, examine: false });
  const put = (number: number): Promise<unknown> => {
    const domain = { kind: "known", number } as const;
    const maxAge = maxAgeOf(domain);
    // Fetched in the past half hour, and checked within the last TTL, so that not all fall due at once.
    const fetchedAt = now - Math.floor(random() * (HOUR / 2));
    const checkedAt = now - Math.floor(random() * TTL * 1000);
    const own = { recordId: "0", text: policyOf(domain, 0), mx: [mxOf(domain, 0)], maxAge };
    // Renewed after 60 % of its lifetime.
    const times = { fetchedAt, expiresAt: fetchedAt + maxAge * 1000, renewAt: fetchedAt + maxAge * 600 };
    return store.put(
      entry(nameOf(domain), {
        pin: pin({ ...own, ...times }),
        checkedAt,
        checkAt: checkedAt + TTL * 1000,
        usedAt: now,
      }),
    );
  };
  for (let from = 0; from < count; from += 10_000)
    await Promise.all(Array.from({ length: Math.min(10_000, count - from) }, (_, n) => put(from + n)));
  await store.close();
}

/** It runs until the end of an `await using` block. */
export class SoakDaemon implements AsyncDisposable {
  /** Lines of its log by level. */
  readonly lines: Record<string, number> = {};
  /** The first lines that tell of a fault of its own. */
  readonly faults: string[] = [];
  socketmap = "";
  tcpTable = "";
  /** `host:port` of its metrics. */
  metrics = "";
  /** The path of its admin socket. */
  readonly admin: string;
  readonly #child: ChildProcess;

  private constructor(child: ChildProcess, admin: string) {
    this.#child = child;
    this.admin = admin;
  }

  /** Resolves when it is ready. The cache file is the one of {@link fillCache}. */
  static async start(home: Home, store: string, world: SoakWorld, main = BUILT): Promise<SoakDaemon> {
    const { dns, httpsPort, ca } = world.ready;
    const admin = join(home.path, "admin.sock");
    const file = home.write(
      "stsmapd.yaml",
      `listen:
  - { protocol: socketmap, address: "127.0.0.1:0" }
  - { protocol: tcp_table, address: "127.0.0.1:0" }
store: { path: ${store} }
dns: { servers: ["${dns}"] }
fetch: { port: ${httpsPort}, allow_addresses: [127.0.0.0/8], ca_file: ${home.write("ca.pem", ca)}, proxy: none }
admin: { socket: ${admin} }
metrics: { listen: "127.0.0.1:0" }
`,
    );
    // As in the unit.
    const child = spawn(process.execPath, [...NODE_FLAGS, main, "serve", "--config", file], {
      env: home.environment({ NODE_ENV: "production" }),
      stdio: ["ignore", "pipe", "inherit"],
    });
    const daemon = new SoakDaemon(child, admin);
    await daemon.#ready();
    return daemon;
  }

  get pid(): number {
    return this.#child.pid!;
  }

  get isRunning(): boolean {
    return this.#child.exitCode === null && this.#child.signalCode === null;
  }

  reload(): void {
    this.#child.kill("SIGHUP");
  }

  /** The page of metrics. Throws where it is not to be had. */
  async scrape(): Promise<string> {
    const response = await fetch(`http://${this.metrics}/metrics`);
    if (!response.ok) throw new Error(`metrics: ${response.status}`);
    return response.text();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (!this.isRunning) return;
    const ended = once(this.#child, "exit");
    this.#child.kill("SIGKILL");
    await ended;
  }

  async #ready(): Promise<void> {
    const lines = createInterface({ input: this.#child.stdout! });
    const ready = new Promise<void>((resolve, reject) => {
      lines.on("line", (text) => {
        const line: Readonly<Record<string, unknown>> = JSON.parse(text);
        this.#count(line, text);
        if (line["msg"] !== "ready") return;
        const listen = Array.isArray(line["listen"]) ? line["listen"].map(String) : [];
        [this.socketmap = "", this.tcpTable = ""] = listen;
        this.metrics = String(line["metrics"]);
        resolve();
      });
      this.#child.once("exit", () => reject(new Error("the daemon did not start")));
    });
    await ready;
  }

  #count(line: Readonly<Record<string, unknown>>, text: string): void {
    const level = String(line["level"]);
    this.lines[level] = (this.lines[level] ?? 0) + 1;
    if (FAULTS.has(level) && this.faults.length < 20) this.faults.push(text);
  }
}
