import { afterAll, afterEach, beforeAll, expect } from "vitest";
import { World } from "./world.ts";

/**
 * Gives the tests of a file a world of their own, and holds every one of them to what is always true: Postfix finds no
 * fault in our replies. `name` as in `World.start`. Call the result inside tests only.
 */
export function useWorld(name: string): () => World {
  let world: World | undefined;
  let logChecked = 0;
  beforeAll(async () => {
    world = await World.start(name);
  });
  afterEach(async () => {
    await world?.sender.emptyQueue();
    const lines = (await world?.sender.postfix.logLines(logChecked)) ?? [];
    logChecked += lines.length;
    expect(lines.filter((line) => /unexpected|malformed|invalid|panic|fatal/iu.test(line))).toEqual([]);
  });
  afterAll(() => world?.stop());

  return () => {
    if (world === undefined) throw new Error("the world has not been started");
    return world;
  };
}
