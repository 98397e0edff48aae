import { afterAll, afterEach, beforeAll, expect } from "vitest";
import type { Sender } from "./sender.ts";
import { World } from "./world.ts";

/** What Postfix says of a reply it cannot read. With `query error` alone, postmap(1) reports a TEMP. */
const complaint = /unexpected|malformed|invalid|panic|fatal(?!: table .*: query error)/iu;

/**
 * Gives the tests of a file a world of their own, and holds every one of them to what is always true: Postfix finds no
 * fault in our replies. `name` as in `World.start`. Call the result inside tests only.
 */
export function useWorld(name: string): () => World {
  let world: World | undefined;
  const logChecked = new Map<Sender, number>();
  beforeAll(async () => {
    world = await World.start(name);
  });
  afterEach(async () => {
    const complaints: string[] = [];
    for (const sender of world?.senders ?? []) {
      await sender.emptyQueue();
      const from = logChecked.get(sender) ?? 0;
      const lines = await sender.postfix.logLines(from);
      logChecked.set(sender, from + lines.length);
      complaints.push(...lines.filter((line) => complaint.test(line)));
    }
    expect(complaints).toEqual([]);
  });
  afterAll(() => world?.stop());

  return () => {
    if (world === undefined) throw new Error("the world has not been started");
    return world;
  };
}
