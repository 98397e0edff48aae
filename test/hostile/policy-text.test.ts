import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { listen, type LookupServer } from "../../src/server/listener.ts";
import { socketmap } from "../../src/server/socketmap.ts";
import { tcpTable } from "../../src/server/tcp-table.ts";
import type { CheckedReply } from "../helpers/postfix-grammar.ts";
import { checkSocketmapReply, checkTcpTableReply } from "../helpers/postfix-grammar.ts";
import { RawClient, takeLine, takeNetstring } from "../helpers/postfix-client.ts";
import { secure, startWorld, type World } from "../helpers/world.ts";

const EVENTS = { onViolation: () => {}, onAcceptError: () => {}, onFullChange: () => {} };
const HEAD = "version: STSv1\r\nmode: enforce\r\nmax_age: 604800\r\n";
const MX = "mx: mx.example.net\r\n";
const GOOD = "mx.example.net";

let world: World;
const servers: LookupServer[] = [];
beforeAll(async () => {
  world = await startWorld();
  const { service } = world;
  for (const protocol of [socketmap(service), tcpTable(service, "postfix"), tcpTable(service, "postfix310")])
    servers.push(await listen({ address: "127.0.0.1:0" }, protocol, EVENTS));
});
afterAll(async () => {
  await Promise.all(servers.map((server) => server.drain(AbortSignal.abort())));
  await world[Symbol.asyncDispose]();
});

/** The replies of both protocols and both kinds of attributes, each as it was on the wire and has passed the checker. */
async function wireReplies(domain: string): Promise<CheckedReply[]> {
  const [overSocketmap = "", ...overTcpTable] = servers.map(({ address }) => address);
  const replies: CheckedReply[] = [];
  for (const [map, version] of [
    ["postfix", "3.7"],
    ["postfix310", "3.11"],
  ] as const) {
    using client = await RawClient.connect(overSocketmap);
    client.write(`${map.length + 1 + domain.length}:${map} ${domain},`);
    const payload = await takeNetstring(client);
    replies.push(checkSocketmapReply(Buffer.from(payload, "latin1"), version));
    using table = await RawClient.connect(overTcpTable[replies.length === 1 ? 0 : 1] ?? "");
    table.write(`get ${domain}\n`);
    replies.push(checkTcpTableReply(await takeLine(table), version));
    replies.reverse();
  }
  return replies;
}

/** What a reply says: the names it allows, or its status. */
function gist(reply: CheckedReply): string {
  return reply.status === "OK" ? `${reply.policy.level} ${reply.policy.match.join(":")}` : reply.status;
}

const ALLOWS = `secure ${GOOD}`;

describe("no policy text makes a reply that Postfix would refuse, or that says more than its MX list", () => {
  it.each<[body: string | Uint8Array, expected: string, reason: string]>([
    [`${HEAD}${MX}x: y match=.evil.example\r\n`, ALLOWS, "an attribute of Postfix in an extension value"],
    [`${HEAD}${MX}match: .evil.example\r\n`, ALLOWS, "one as an extension's name"],
    [
      `${HEAD}${MX}x: } match=.evil.example { policy_string = y\r\n`,
      ALLOWS,
      "braces that would end the attribute",
    ],
    [`${HEAD}${MX}x: {{{{{{{{\r\n`, ALLOWS, "open braces"],
    [`${HEAD}${MX}x: }}}}}}}}\r\n`, ALLOWS, "closing braces"],
    [`${HEAD}${MX}x: a,b,policy_failure=x,c\r\n`, ALLOWS, "commas"],
    [`${HEAD}${MX}x: ${"y".repeat(60_000)}\r\n`, ALLOWS, "a value of 60,000 octets"],
    [`${HEAD}${MX}${"x: {a} b\r\n".repeat(5_000)}`, ALLOWS, "5,000 extensions with braces"],
    [`${HEAD}${MX}x: ${"\u00fc\u2028\u{1f600}".repeat(3_000)}\r\n`, ALLOWS, "UTF-8 of two to four octets"],
    [`${HEAD}${MX}x: a\0b\r\n`, "NOTFOUND", "NUL"],
    [`${HEAD}${MX}x: a\x1b[2Jb\r\n`, "NOTFOUND", "an escape for terminals"],
    [Buffer.from(`${HEAD}${MX}x: \xc0\xaf\r\n`, "latin1"), "NOTFOUND", "an overlong slash"],
    [Buffer.from(`${HEAD}${MX}x: \xe0\x80\x8a\r\n`, "latin1"), "NOTFOUND", "an overlong line feed"],
    [Buffer.from(`${HEAD}${MX}x: \xc0\x80\r\n`, "latin1"), "NOTFOUND", "an overlong NUL"],
    [Buffer.from(`${HEAD}${MX}x: \xed\xa0\x80\r\n`, "latin1"), "NOTFOUND", "half a surrogate pair"],
    [`${HEAD}mx: hostname\r\nmx: nexthop\r\n${MX}`, ALLOWS, "Postfix's strategies among the names"],
    [`${HEAD}mx: hostname\r\n`, "TEMP", "and nothing but them"],
    [`${HEAD}mx: mx.example.net:.evil.example\r\n`, "NOTFOUND", "a colon in an MX pattern"],
    [`${HEAD}mx: mx.example.net match=.example\r\n`, "NOTFOUND", "an attribute in one"],
    [`${HEAD}mx: {mx.example.net}\r\n`, "NOTFOUND", "braces in one"],
    [`${HEAD}mx: *.*.example.net\r\n`, "NOTFOUND", "two wildcards"],
    [`${HEAD}mx: 192.0.2.1\r\n`, "NOTFOUND", "an address"],
    [`${HEAD}${"mx: mx.example.net\r\n".repeat(3_000)}`, ALLOWS, "the same mx line 3,000 times"],
  ])("%#: %j → %s (%s)", async (body, expected) => {
    const domain = `d${Math.abs(hash(String(body)))}.example`;
    world.publish(domain);
    world.host.respond(domain, { body });
    for (const reply of await wireReplies(domain)) expect(gist(reply)).toBe(expected);
  });

  it("64 KiB of mx lines are said to the last over socketmap, and deferred where a line of tcp_table is too short", async () => {
    // `mx: `, and CR or LF: 20 octets each, in all at most 64 KiB.
    const names = Array.from({ length: 3_000 }, (_, n) => `m${n}.example.com`);
    world.publish("many.example", { mx: names });
    const replies = (await wireReplies("many.example")).map(gist);
    // 3.10 needs each name twice and the text, which is more than Postfix takes.
    expect(replies.filter((reply) => reply === "TEMP")).toHaveLength(3);
    expect(replies.includes(`secure ${names.join(":")}`)).toBe(true);
    expect((await world.ask("many.example")) === secure("many.example", ...names)).toBe(true);
  });
});

/** A number for a text, so that each row has a domain of its own. */
function hash(text: string): number {
  let value = text.length;
  for (const char of text.slice(0, 2_000)) value = (Math.imul(value, 31) + char.charCodeAt(0)) | 0;
  return value;
}
