/** A list of the cache on the admin socket whose filter lets little through. */
import { once } from "node:events";
import { request, type IncomingMessage } from "node:http";
import { expect, it } from "vitest";
import { cacheRoutes } from "../../src/server/cache-routes.ts";
import { MemoryStore } from "../../src/store/memory-store.ts";
import type { ListPage } from "../../src/store/store.ts";
import { bareAdmin } from "../helpers/bare-cache-admin.ts";
import { RunningAdmin } from "../helpers/running-admin.ts";
import { entry } from "../store/entries.ts";

/** A cache of which, after the pages of `first`, nothing more is let through, and that has no end. */
function endless(...first: readonly ListPage["entries"][]) {
  const waiting = [...first];
  const store = Object.assign(new MemoryStore(), {
    list: (): ListPage => ({ entries: waiting.shift() ?? [], next: "d.example" }),
  });
  const admin = bareAdmin(store);
  const list = admin.list.bind(admin);
  const ended = Promise.withResolvers<void>();
  admin.list = async function* (filter) {
    try {
      yield* list(filter);
    } finally {
      ended.resolve();
    }
  };
  return { routes: cacheRoutes(admin), ended: ended.promise };
}

async function listOf({ path }: RunningAdmin): Promise<IncomingMessage> {
  const call = request({ socketPath: path, path: "/cache?failed=true", agent: false }).end();
  const [response] = await once(call, "response");
  response.on("error", () => {});
  return response;
}

it("is answered at once, and ends when its client goes", async () => {
  const { routes, ended } = endless();
  await using running = await new RunningAdmin().start(routes);
  const response = await listOf(running);
  response.destroy();
  await ended;
  expect(running.errors).toEqual([]);
});

it("ends when the server closes", async () => {
  const { routes, ended } = endless();
  await using running = await new RunningAdmin().start(routes);
  await listOf(running);
  await Promise.all([running.close(), ended]);
  expect(running.errors).toEqual([]);
});

it("is written as far as it was found, while more is searched for", async () => {
  const { routes } = endless([entry("a.example")], [], [entry("b.example")]);
  await using running = await new RunningAdmin().start(routes);
  const response = await listOf(running);
  const [first] = await once(response, "data");
  expect(JSON.parse(String(first))).toMatchObject({ domain: "a.example" });
  const [second] = await once(response, "data");
  expect(JSON.parse(String(second))).toMatchObject({ domain: "b.example" });
  response.destroy();
});
