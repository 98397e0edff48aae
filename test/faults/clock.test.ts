/** The system's clock is stepped by a day while a daemon runs: nothing lapses, and nothing lives for ever. */
import { join } from "node:path";
import { describe, expect, it, vi } from "vitest";
import { openStore } from "../../src/store/open-store.ts";
import { DAY, HOUR, SECOND } from "../helpers/clock.ts";
import { SocketmapClient } from "../helpers/postfix-client.ts";
import { Daemon, Home } from "../helpers/stsmapd.ts";
import { secure, startWorld, type World } from "../helpers/world.ts";
import { entry, pin } from "../store/entries.ts";

const D = "d.example";
const NOTICED = "the clock was stepped";
const LIFETIME = 7 * DAY;

class SteppedDaemon implements AsyncDisposable {
  readonly #daemon: Daemon;
  readonly #client: SocketmapClient;

  private constructor(daemon: Daemon, client: SocketmapClient) {
    this.#daemon = daemon;
    this.#client = client;
  }

  static async start(home: Home, world: World, ...steps: readonly number[]): Promise<SteppedDaemon> {
    const file = home.write(
      "stsmapd.yaml",
      `${home.network(world)}listen: [{ protocol: socketmap, address: "127.0.0.1:0" }]\n` +
        `store: { path: ${pathIn(home)} }\ndane: { enabled: false }\n`,
    );
    const preload = new URL("stepped-clock.ts", import.meta.url).href;
    const env = { NODE_OPTIONS: `--import=${preload}`, CLOCK_STEPS: steps.join(",") };
    const daemon = await Daemon.start(["-c", file], home.environment(env));
    return new SteppedDaemon(daemon, await SocketmapClient.connect(daemon.addresses[0]!));
  }

  async ask(domain: string): Promise<string> {
    const { status, text } = await this.#client.query("postfix", domain);
    return status === "OK" ? text : status;
  }

  /** Steps the clock, and waits until the daemon has noticed. */
  async step(): Promise<void> {
    const noticed = (): number => this.#daemon.log.filter(({ msg }) => msg === NOTICED).length;
    const before = noticed();
    this.#daemon.signal("SIGUSR2");
    await vi.waitUntil(() => noticed() > before, { timeout: 10_000 });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#client[Symbol.dispose]();
    await this.#daemon[Symbol.asyncDispose]();
  }
}

const pathIn = (home: Home): string => join(home.path, "cache.sqlite");

function stored(home: Home) {
  const store = openStore({ path: pathIn(home), now: Date.now, examine: false });
  const row = store.get(D);
  void store.close();
  return row;
}

describe("a clock that is stepped by a day", () => {
  it("forth, back, and back again ends no policy, though DNS is gone", async () => {
    using home = new Home();
    await using world = await startWorld();
    world.publish(D);
    await using daemon = await SteppedDaemon.start(home, world, DAY, -DAY, -DAY, DAY);
    expect(await daemon.ask(D)).toBe(secure(D));
    world.dns.behave("*", "servfail");
    for (let i = 0; i < 4; i++) {
      await daemon.step();
      expect(await daemon.ask(D)).toBe(secure(D));
    }
  });

  it("back gives no policy a longer life than its max_age", async () => {
    using home = new Home();
    await using world = await startWorld();
    world.publish(D);
    await using daemon = await SteppedDaemon.start(home, world, DAY, -DAY);
    await daemon.step();
    expect(await daemon.ask(D)).toBe(secure(D));
    expect(stored(home)?.pin?.expiresAt).toBeGreaterThan(Date.now() + LIFETIME + DAY - HOUR);
    await daemon.step();
    await expect
      .poll(() => stored(home)?.pin?.expiresAt, { timeout: 10_000 })
      .toBeLessThanOrEqual(Date.now() + LIFETIME);
    expect(await daemon.ask(D)).toBe(secure(D));
  });

  it("back brings new ids into force as ever", async () => {
    using home = new Home();
    await using world = await startWorld();
    world.publish(D, { ttl: 60 });
    await using daemon = await SteppedDaemon.start(home, world, DAY, -DAY, HOUR);
    await daemon.step();
    await daemon.ask(D);
    await daemon.step();
    world.publish(D, { id: "2", mx: ["new.example"] });
    // The record's TTL passes.
    await daemon.step();
    await expect.poll(() => daemon.ask(D), { timeout: 10_000 }).toBe(secure(D, "new.example"));
    await expect.poll(() => stored(home)?.pin?.recordId).toBe("2");
  });

  it("forth and back again gives a policy back that seemed to have ended", async () => {
    using home = new Home();
    await using world = await startWorld();
    world.dns.behave("*", "servfail");
    const now = Date.now();
    const store = openStore({ path: pathIn(home), now: () => now });
    const almostOver = pin({ fetchedAt: now - 6.5 * DAY, renewAt: now + HOUR, mx: [`mx.${D}`] });
    await store.put(entry(D, { pin: almostOver, checkedAt: now, checkAt: now + HOUR, usedAt: now }));
    await store.close();
    await using daemon = await SteppedDaemon.start(home, world, DAY, -DAY);
    expect(await daemon.ask(D)).toBe(secure(D));
    await daemon.step();
    expect(await daemon.ask(D)).toBe("NOTFOUND");
    await daemon.step();
    expect(await daemon.ask(D)).toBe(secure(D));
  });

  it("is noticed after a restart, too: what was learnt ahead of it is moved back", async () => {
    using home = new Home();
    await using world = await startWorld();
    const now = Date.now();
    const ahead = now + 3650 * DAY;
    const store = openStore({ path: pathIn(home), now: () => now });
    const wrong = { pin: pin({ fetchedAt: ahead, mx: [`mx.${D}`] }), checkedAt: ahead, usedAt: ahead };
    await store.put(entry(D, { ...wrong, checkAt: ahead + SECOND }));
    await store.close();
    await using daemon = await SteppedDaemon.start(home, world);
    await expect
      .poll(() => stored(home)?.pin?.expiresAt, { timeout: 10_000 })
      .toBeLessThanOrEqual(Date.now() + LIFETIME);
    expect(await daemon.ask(D)).toBe(secure(D));
  });
});
