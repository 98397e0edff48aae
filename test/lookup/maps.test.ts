/** How long a question holds its answer, and what ends that. */
import { expect, it } from "vitest";
import { MapLookup } from "../../src/lookup/maps.ts";
import { Overrides } from "../../src/lookup/overrides.ts";
import { Question } from "../../src/lookup/question.ts";
import type { Override } from "../../src/policy/override.ts";
import { replyText } from "../../src/policy/reply.ts";
import { MINUTE, SECOND } from "../helpers/clock.ts";
import { MAPS, secure, startWorld } from "../helpers/world.ts";
import type { World } from "../helpers/world.ts";

const D = "d.example";

function rules(...overrides: readonly Override[]) {
  return { maps: MAPS, overrides: new Overrides(overrides, () => {}) };
}

/** A world in which `question` was answered, so that it holds its answer. */
async function answered(world: World) {
  world.publish(D);
  const service = new MapLookup(world.engine, rules(), world.clock.now);
  const question = new Question("postfix", D);
  const ask = async () => replyText(await service.lookup(question));
  await ask();
  expect(await ask()).toBe(`OK ${secure(D)}`);
  return { service, question, ask };
}

it("the same answer is the same object", async () => {
  await using world = await startWorld();
  const { service, question } = await answered(world);
  expect(service.lookup(question)).toBe(service.lookup(new Question("postfix", D)));
  expect(service.lookup(question)).not.toBe(service.lookup(new Question("postfix310", D)));
});

it("a policy that is replaced is not held", async () => {
  await using world = await startWorld();
  const { ask } = await answered(world);
  world.publish(D, { id: "2", mx: ["other.example"] });
  await world.engine.refetch(D);
  expect(await ask()).toBe(`OK ${secure(D, "other.example")}`);
});

it("what is forgotten is not held", async () => {
  await using world = await startWorld();
  const { ask } = await answered(world);
  await world.store.delete(D);
  world.engine.forget(D);
  world.withdrawRecord(D);
  expect(await ask()).toBe("NOTFOUND");
});

it("a policy is not held beyond its end", async () => {
  await using world = await startWorld();
  world.publish(D, { maxAge: 60, ttl: 86_400 });
  const service = new MapLookup(world.engine, rules(), world.clock.now);
  const question = new Question("postfix", D);
  await service.lookup(question);
  world.withdrawRecord(D);
  world.clock.advance(MINUTE - 1);
  expect(replyText(await service.lookup(question))).toBe(`OK ${secure(D)}`);
  world.clock.advance(1);
  expect(replyText(await service.lookup(question))).toBe("NOTFOUND");
});

it("rules that change hold at once", async () => {
  await using world = await startWorld();
  const { service, ask } = await answered(world);
  service.use(rules({ domain: D, action: { kind: "off" }, until: undefined, comment: undefined }));
  expect(await ask()).toBe("NOTFOUND");
  service.use(rules());
  expect(await ask()).toBe(`OK ${secure(D)}`);
});

it("a clock that is put back ends what is held", async () => {
  await using world = await startWorld();
  const { service, question } = await answered(world);
  const before = service.lookup(question);
  world.clock.advance(-MINUTE);
  world.engine.rebase(world.clock.now());
  expect(replyText(await service.lookup(question))).toBe(`OK ${secure(D)}`);
  expect(service.lookup(question)).not.toBe(before);
});

it("a domain that is asked for again and again counts as used", async () => {
  await using world = await startWorld();
  const { ask } = await answered(world);
  const start = world.clock.now();
  for (let n = 0; n < 130; n++) {
    world.clock.advance(SECOND / 2);
    expect(await ask()).toBe(`OK ${secure(D)}`);
  }
  expect(world.engine.peek(D)?.touchedAt).toBe(start + MINUTE);
});

it("a reload keeps the profiles that have not changed, and the replies made for them", async () => {
  await using world = await startWorld();
  const { service } = await answered(world);
  const { maps } = service.rules;
  const changed = new Map(MAPS).set("QUERY", { ...MAPS.get("QUERY")!, rollout: 25 });
  service.use({ ...rules(), maps: structuredClone(changed) });
  expect(service.rules.maps.get("postfix")).toBe(maps.get("postfix"));
  expect(service.rules.maps.get("QUERY")).toMatchObject({ rollout: 25 });
});
