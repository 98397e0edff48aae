/** Stopping: a lookup in flight gets its true answer or TEMP, never NOTFOUND. */
import { expect, it } from "vitest";
import { startDaneSource } from "../helpers/dane-source.ts";
import { MINUTE } from "../helpers/clock.ts";
import { secure, startWorld } from "../helpers/world.ts";

const D = "d.example";
const STOPPING = "TEMP stsmapd is stopping, try again";

it("who waits for DNS gets TEMP", async () => {
  await using world = await startWorld();
  world.dns.behave("*", "drop");
  const asked = world.dns.nextQuery(`_mta-sts.${D}`);
  const replies = ["postfix", "postfix310", "QUERY"].map((map) => world.ask(D, map));
  await asked;
  world.engine.stop();
  expect(await Promise.all(replies)).toEqual([STOPPING, STOPPING, STOPPING]);
});

it("who waits for a policy host gets TEMP", async () => {
  await using world = await startWorld();
  world.publish(D);
  const asked = Promise.withResolvers<void>();
  world.host.respond(D, { body: () => asked.resolve() });
  const reply = world.ask(D);
  await asked.promise;
  world.engine.stop();
  expect(await reply).toBe(STOPPING);
});

it("who waits for DANE gets TEMP", async () => {
  const dane = startDaneSource();
  await using world = await startWorld({ dane });
  world.publish(D);
  const reply = world.ask(D);
  await dane.asked;
  world.engine.stop();
  expect(await reply).toBe(STOPPING);
});

it("who asks later gets TEMP where the answer is not known, and what was cut short is not remembered", async () => {
  await using world = await startWorld();
  world.dns.behave("*", "drop");
  const reply = world.ask(D);
  world.engine.stop();
  await reply;
  await new Promise(setImmediate);
  expect(world.askNow(D)).toBeUndefined();
  expect(await world.ask(D)).toBe(STOPPING);
  expect(await world.ask("other.example")).toBe(STOPPING);
  expect(world.events.resolved).toEqual([]);
});

it("what is known is answered, a policy and its absence", async () => {
  await using world = await startWorld();
  world.publish(D);
  await world.ask(D);
  await world.ask("other.example");
  world.engine.stop();
  expect(world.askNow(D)).toBe(secure(D));
  expect(world.askNow("other.example")).toBe("NOTFOUND");
});

it("a check that was cut short is made up for after the restart", async () => {
  await using world = await startWorld({ store: "sqlite" });
  world.publish(D);
  await world.ask(D);
  world.publish(D, { id: "2", mx: ["new.example"] });
  const asked = Promise.withResolvers<void>();
  world.host.respond(D, { body: () => asked.resolve() });
  world.clock.advance(5 * MINUTE);
  world.askNow(D);
  await asked.promise;
  await world.restart();
  world.publish(D, { id: "2", mx: ["new.example"] });
  expect(await world.recheck(D)).toBe(secure(D));
  expect(world.askNow(D)).toBe(secure(D, "new.example"));
});
