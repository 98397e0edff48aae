import { describe, expect, it } from "vitest";
import { mx } from "./receivers.ts";
import { useWorld } from "./scenario.ts";
import { policy } from "./world.ts";

const world = useWorld("delivery");

const brokenHosts = [
  {
    fault: "a self-signed certificate",
    label: "self-signed",
    host: mx.selfSigned,
    tls: "Untrusted",
    refusal: "Server certificate not verified",
  },
  {
    fault: "a certificate for another name",
    label: "wrong-name",
    host: mx.wrongName,
    tls: "Trusted",
    refusal: "Server certificate not verified",
  },
  {
    fault: "an expired certificate",
    label: "expired",
    host: mx.expired,
    tls: "Untrusted",
    refusal: "Server certificate not verified",
  },
  {
    fault: "no STARTTLS",
    label: "plain",
    host: mx.plain,
    tls: null,
    refusal: "TLS is required, but was not offered",
  },
];

describe("a policy in enforce mode", () => {
  it("lets mail through to an MX host with a good certificate", async () => {
    const sts = { id: "1", policy: policy("enforce", [mx.good]) };
    const domain = await world().publish({ name: "enforce-good.example", mx: [mx.good], sts });

    const { recipient, status, tls } = await world().send(domain);

    expect({ status, tls }).toEqual({ status: "sent", tls: "Verified" });
    expect(await world().receivers.received(recipient)).toContain("using TLSv1.3");
  });

  it("lets mail through to an MX host that a wildcard allows", async () => {
    const sts = { id: "1", policy: policy("enforce", ["*.mx.example"]) };
    const domain = await world().publish({ name: "enforce-wildcard.example", mx: [mx.good], sts });

    expect(await world().send(domain)).toMatchObject({ status: "sent", tls: "Verified" });
  });

  it("holds in a signed zone too", async () => {
    const sts = { id: "1", policy: policy("enforce", [mx.good]) };
    const good = await world().publish({ name: "signed-good.example", mx: [mx.good], sts, signed: true });
    const bad = await world().publish({ name: "signed-plain.example", mx: [mx.plain], sts, signed: true });

    expect(await world().send(good)).toMatchObject({ status: "sent", tls: "Verified" });
    expect(await world().send(bad)).toMatchObject({ status: "deferred", disclosedTo: [] });
  });

  it("takes the next MX host where the first one is broken", async () => {
    const hosts = [mx.selfSigned, mx.good];
    const sts = { id: "1", policy: policy("enforce", hosts) };
    const domain = await world().publish({ name: "enforce-second.example", mx: hosts, sts });

    expect(await world().send(domain)).toMatchObject({
      status: "sent",
      tls: "Verified",
      disclosedTo: [mx.good],
    });
  });

  it.each(brokenHosts)("holds mail back from an MX host with $fault", async ({ label, host, refusal }) => {
    const sts = { id: "1", policy: policy("enforce", [host]) };
    const domain = await world().publish({ name: `enforce-${label}.example`, mx: [host], sts });

    const { status, reason, disclosedTo } = await world().send(domain);

    expect({ status, disclosedTo }).toEqual({ status: "deferred", disclosedTo: [] });
    expect(reason).toContain(refusal);
  });

  it("holds mail back from an MX host with a good certificate that no pattern allows", async () => {
    const sts = { id: "1", policy: policy("enforce", ["mail.elsewhere.example"]) };
    const domain = await world().publish({ name: "enforce-other-mx.example", mx: [mx.good], sts });

    const { status, reason, disclosedTo } = await world().send(domain);

    expect({ status, disclosedTo }).toEqual({ status: "deferred", disclosedTo: [] });
    expect(reason).toBe("Server certificate not verified");
  });
});

describe("a policy that enforces nothing", () => {
  it.each(brokenHosts)(
    "in testing mode lets mail through to an MX host with $fault",
    async ({ label, host, tls }) => {
      const sts = { id: "1", policy: policy("testing", [mx.good]) };
      const domain = await world().publish({ name: `testing-${label}.example`, mx: [host], sts });

      expect(await world().send(domain)).toMatchObject({ status: "sent", tls, disclosedTo: [host] });
    },
  );

  it("in mode none lets mail through to an MX host without STARTTLS", async () => {
    const sts = { id: "1", policy: policy("none", []) };
    const domain = await world().publish({ name: "none.example", mx: [mx.plain], sts });

    expect(await world().send(domain)).toMatchObject({ status: "sent", tls: null });
  });
});

describe("a domain without a policy", () => {
  it.each(brokenHosts)("gets its mail on an MX host with $fault", async ({ label, host, tls }) => {
    const domain = await world().publish({ name: `no-policy-${label}.example`, mx: [host] });

    expect(await world().send(domain)).toMatchObject({ status: "sent", tls, disclosedTo: [host] });
  });

  it("gets its mail although it has a record, when its policy host is down", async () => {
    const records = ['_mta-sts TXT "v=STSv1; id=1;"', "mta-sts A 10.53.3.1"];
    const domain = await world().publish({ name: "record-only.example", mx: [mx.plain], records });

    expect(await world().send(domain)).toMatchObject({ status: "sent", tls: null });
  });
});
