import { chmod } from "node:fs/promises";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { DatagramReceiver } from "../helpers/datagram-receiver.ts";
import { forkyFolder, hasForky } from "./forky.ts";
import { eventually } from "./process.ts";
import { mx } from "./receivers.ts";
import { useWorld } from "./scenario.ts";
import type { Sender } from "./sender.ts";
import { type MailDomain, policy } from "./world.ts";

// What Postfix 3.11 makes of our attributes, as it tells the collector of tlsrpt-reporter. The numbers are libtlsrpt's.

const world = useWorld("postfix311-reports");

const tlsrpt = "v=TLSRPTv1; rua=mailto:reports@owner.example";
const delivered = { status: "sent", tls: "Verified" };
const patternsBefore = (host: string, count: number) => [
  ...Array.from({ length: count }, (_, index) => `host-${index}.elsewhere.example`),
  host,
];

/** A domain that wants reports. */
function publish(label: string, host: string, text: string): Promise<MailDomain> {
  const sts = { id: "1", policy: text };
  const records = [`_smtp._tls TXT "${tlsrpt}"`];
  return world().publish({ name: `${label}.example`, mx: [host], sts, records });
}

/** A report to that domain with one policy in it. */
function about({ name }: MailDomain, stated: object): object {
  return { dpv: "1", d: name, pr: tlsrpt, policies: [{ "policy-domain": name, ...stated }] };
}

const failures = [
  { fault: "no STARTTLS", label: "plain", host: mx.plain, code: 201 },
  { fault: "a certificate for another name", label: "wrong-name", host: mx.wrongName, code: 202 },
  { fault: "an expired certificate", label: "expired", host: mx.expired, code: 204 },
  { fault: "a self-signed certificate", label: "self-signed", host: mx.selfSigned, code: 205 },
];

describe.skipIf(!(await hasForky()))("Postfix 3.11 reports (needs the forky folder)", () => {
  let collector: DatagramReceiver;
  let sender: Sender;
  beforeAll(async () => {
    const path = `${world().folder}/collector`;
    collector = new DatagramReceiver({ path });
    await chmod(path, 0o666);
    sender = await world().addSender(
      "sender311",
      {
        smtp_tls_policy_maps: `socketmap:${world().stsmapd.endpoints.inet}:postfix310`,
        smtp_tlsrpt_enable: "yes",
        smtp_tlsrpt_socket_name: path,
      },
      forkyFolder,
    );
  });
  afterAll(() => collector[Symbol.dispose]());

  const reports = ({ name }: MailDomain): unknown[] =>
    collector.received.map((datagram) => JSON.parse(datagram)).filter(({ d }) => d === name);

  const report = (domain: MailDomain): Promise<unknown> =>
    eventually(`a report about ${domain.name}`, async () => reports(domain)[0], 5_000);

  async function changeTable(table: string): Promise<void> {
    await sender.postfix.configure(`smtp_tls_policy_maps = ${table}\n`);
    await sender.postfix.reload();
  }

  it("success, with the policy as it was served", async () => {
    const patterns = [mx.good, "*.elsewhere.example"];
    const domain = await publish("success", mx.good, policy("enforce", patterns));

    expect(await world().send(domain, sender)).toMatchObject(delivered);

    const lines = ["version: STSv1", "mode: enforce", ...patterns.map((pattern) => `mx: ${pattern}`)];
    const strings = [...lines, "max_age: 86400"];
    expect(await report(domain)).toEqual(
      about(domain, { "policy-type": 2, "policy-string": strings, "mx-host": patterns, t: 0, f: 0 }),
    );
  });

  it.each(failures)("$fault, with the policy that was broken by it", async ({ label, host, code }) => {
    const domain = await publish(label, host, policy("enforce", ["*.mx.example"]));

    expect(await world().send(domain, sender)).toMatchObject({ status: "deferred", disclosedTo: [] });

    const strings = ["version: STSv1", "mode: enforce", "mx: *.mx.example", "max_age: 86400"];
    expect(await report(domain)).toMatchObject(
      about(domain, {
        "policy-type": 2,
        "policy-string": strings,
        "mx-host": ["*.mx.example"],
        "failure-details": [{ c: code, n: host }],
        t: 1,
        f: 1,
      }),
    );
  });

  it("nothing about an MX host that it skipped", async () => {
    const skipped = await publish("skipped", mx.good, policy("enforce", ["mail.elsewhere.example"]));
    expect(await world().send(skipped, sender)).toMatchObject({ status: "deferred", contacted: [] });

    const next = await publish("next", mx.good, policy("enforce", [mx.good]));
    await world().send(next, sender);

    await report(next);
    expect(reports(skipped)).toEqual([]);
  });

  it("a domain in testing mode as one without a policy", async () => {
    const domain = await publish("testing", mx.selfSigned, policy("testing", [mx.good]));

    expect(await world().send(domain, sender)).toMatchObject({ status: "sent", tls: "Untrusted" });

    expect(await report(domain)).toEqual(about(domain, { "policy-type": 9, t: 0, f: 0 }));
  });

  it("all lines of a policy but the one that its attributes cannot carry", async () => {
    const odd = ["quoted: \"a' b=c,d \\\\", "spaced:  two  blanks", "unicode: é"];
    const text = `${policy("enforce", [mx.good])}${[...odd, "braces: {x}"].join("\r\n")}\r\n`;
    const domain = await publish("braces", mx.good, text);

    expect(await world().send(domain, sender)).toMatchObject(delivered);

    const strings = ["version: STSv1", "mode: enforce", `mx: ${mx.good}`, "max_age: 86400", ...odd];
    expect(await report(domain)).toMatchObject(about(domain, { "policy-string": strings }));
  });

  it("hundreds of patterns, all of them", async () => {
    const patterns = patternsBefore(mx.good, 500);
    const domain = await publish("hundreds", mx.good, policy("enforce", patterns));

    expect(await world().send(domain, sender)).toMatchObject(delivered);

    const strings = expect.arrayContaining([`mx: ${mx.good}`]);
    expect(await report(domain)).toMatchObject(
      about(domain, { "policy-string": strings, "mx-host": patterns }),
    );
  });

  it("the patterns only, where socketmap cannot carry the lines too", async () => {
    const patterns = patternsBefore(mx.good, 1_000);
    const domain = await publish("thousand", mx.good, policy("enforce", patterns));

    expect(await world().send(domain, sender)).toMatchObject(delivered);

    expect(await report(domain)).toEqual(
      about(domain, { "policy-type": 2, "mx-host": patterns, t: 0, f: 0 }),
    );
  });

  it("an enforced policy as none, where the map has no attributes of 3.10", async () => {
    await changeTable(`socketmap:${world().stsmapd.endpoints.inet}:postfix`);
    const domain = await publish("without", mx.good, policy("enforce", [mx.good]));

    expect(await world().send(domain, sender)).toMatchObject(delivered);

    expect(await report(domain)).toEqual(about(domain, { "policy-type": 9, t: 0, f: 0 }));
  });

  describe("by tcp_table", () => {
    beforeAll(() => changeTable(`tcp:${world().stsmapd.endpoints.tcp310}`));

    it("the lines of a short policy", async () => {
      const domain = await publish("tcp-short", mx.good, policy("enforce", [mx.good]));

      expect(await world().send(domain, sender)).toMatchObject(delivered);

      const strings = ["version: STSv1", "mode: enforce", `mx: ${mx.good}`, "max_age: 86400"];
      expect(await report(domain)).toMatchObject(
        about(domain, { "policy-string": strings, "mx-host": [mx.good] }),
      );
    });

    it("the patterns only, where a line of 4,096 bytes cannot carry the lines too", async () => {
      const patterns = patternsBefore(mx.good, 40);
      const domain = await publish("tcp-long", mx.good, policy("enforce", patterns));

      expect(await world().send(domain, sender)).toMatchObject(delivered);
      expect(await report(domain)).toEqual(
        about(domain, { "policy-type": 2, "mx-host": patterns, t: 0, f: 0 }),
      );

      const other = await publish("tcp-other", mx.deep, policy("enforce", [...patterns, "*.mx.example"]));
      expect(await world().send(other, sender)).toMatchObject({ status: "deferred", contacted: [] });
    });

    it("nothing where it cannot carry the patterns either: the mail waits", async () => {
      const text = policy("enforce", patternsBefore(mx.good, 100));
      const domain = await publish("tcp-too-long", mx.good, text);

      expect(await world().send(domain, sender)).toMatchObject({ status: "deferred", contacted: [] });
    });
  });
});
