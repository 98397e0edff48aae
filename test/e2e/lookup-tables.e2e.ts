import { beforeAll, describe, expect, it } from "vitest";
import { mx } from "./receivers.ts";
import { useWorld } from "./scenario.ts";
import { policy } from "./world.ts";

const world = useWorld("lookup-tables");

const enforced = "table-enforce.example";
const reply = `secure match=${mx.good}:.mx.example servername=hostname\n`;

beforeAll(async () => {
  const sts = { id: "1", policy: policy("enforce", [mx.good, "*.mx.example"]) };
  await world().publish({ name: enforced, mx: [mx.good], sts });
  await world().publish({
    name: "table-testing.example",
    mx: [mx.good],
    sts: { id: "1", policy: policy("testing", [mx.good]) },
  });
  await world().publish({ name: "table-no-policy.example", mx: [mx.good] });
});

describe.each([
  { table: "socketmap over IPv4", map: () => `socketmap:${world().stsmapd.endpoints.inet}:postfix` },
  { table: "socketmap over IPv6", map: () => `socketmap:${world().stsmapd.endpoints.inet6}:postfix` },
  { table: "socketmap over a unix socket", map: () => `socketmap:${world().stsmapd.endpoints.unix}:postfix` },
  { table: "tcp_table", map: () => `tcp:${world().stsmapd.endpoints.tcp}` },
])("postmap -q over $table", ({ map }) => {
  it.each([enforced, `${enforced}:587`, "Table-ENFORCE.Example"])("prints the reply for %s", async (key) => {
    expect(await world().sender.query(map(), key)).toEqual({ code: 0, stdout: reply, stderr: "" });
  });

  it.each([
    "table-testing.example",
    "table-no-policy.example",
    "table-unknown.example",
    `.${enforced}`,
    "[10.53.1.1]",
    "[IPv6:2001:db8::1]:25",
    "private/dovecot-lmtp",
    "two words",
    "single-label",
  ])("finds nothing for %s", async (key) => {
    expect(await world().sender.query(map(), key)).toEqual({ code: 1, stdout: "", stderr: "" });
  });

  it("answers many keys in one connection", async () => {
    const keys = [enforced, "table-unknown.example", `.${enforced}`, enforced];
    const result = await world().sender.queries(map(), keys);
    expect(result).toEqual({ code: 0, stdout: `${enforced}\t${reply}`.repeat(2), stderr: "" });
  });
});
