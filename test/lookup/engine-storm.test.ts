/** Many ask at once: single flight. */
import { expect, it } from "vitest";
import { Question } from "../../src/lookup/question.ts";
import { listen } from "../../src/server/listener.ts";
import { socketmap } from "../../src/server/socketmap.ts";
import { SocketmapClient } from "../helpers/postfix-client.ts";
import { checkSocketmapReply } from "../helpers/postfix-grammar.ts";
import { secure, startWorld } from "../helpers/world.ts";

const D = "d.example";
const noEvents = { onViolation: () => {}, onAcceptError: () => {}, onFullChange: () => {} };

it("200 connections that ask for one cold domain cost one query and one fetch", async () => {
  await using world = await startWorld();
  world.publish(D);
  const server = await listen({ address: "127.0.0.1:0" }, socketmap(world.service), noEvents);
  const clients = await Promise.all(
    Array.from({ length: 200 }, () => SocketmapClient.connect(server.address)),
  );
  const replies = await Promise.all(clients.map((client) => client.query("postfix", D)));
  for (const { status, text } of replies) {
    checkSocketmapReply(Buffer.from(`${status} ${text}`, "latin1"), "3.7");
    expect(`${status} ${text}`).toBe(`OK ${secure(D)}`);
  }
  expect([world.recordQueries(D), world.host.requests(D)]).toEqual([1, 1]);
  for (const client of clients) client[Symbol.dispose]();
  await server.drain(AbortSignal.timeout(5_000));
});

it("three maps and two spellings of one domain are one resolution", async () => {
  await using world = await startWorld();
  world.publish(D);
  const keys = [D, "D.Example", `[${D}]:587`];
  const maps = ["postfix", "postfix310", "QUERY", "unknown"];
  await Promise.all(
    maps.flatMap((map) => keys.map(async (key) => world.service.lookup(new Question(map, key)))),
  );
  expect([world.recordQueries(D), world.host.requests(D)]).toEqual([1, 1]);
});

it("200 cold domains are resolved side by side", async () => {
  await using world = await startWorld();
  const domains = Array.from({ length: 200 }, (_, index) => `d${index}.example`);
  for (const domain of domains) if (Number(domain.slice(1, -8)) % 10 === 0) world.publish(domain);
  const replies = await Promise.all(domains.map((domain) => world.ask(domain)));
  expect(replies.filter((reply) => reply !== "NOTFOUND")).toHaveLength(20);
  expect(world.dns.log.filter(({ type }) => type === "TXT")).toHaveLength(200);
});
