import { cp, link, mkdir, rm } from "node:fs/promises";
import { readdirSync, readFileSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { forkyFolder, hasForky } from "./forky.ts";
import { mx } from "./receivers.ts";
import { useWorld } from "./scenario.ts";
import type { Sender } from "./sender.ts";
import { socketFolder } from "./stsmapd.ts";
import { type MailDomain, policy } from "./world.ts";

const world = useWorld("postfix-examples");

const folder = new URL("../../postfix-examples/", import.meta.url);
const names = readdirSync(folder);
const read = (name: string) => readFileSync(new URL(name, folder), "utf8");

/** Pieces of main.cf, each with the stsmapd.yaml that it cannot do without; empty where none is needed. */
const examples = names
  .filter((name) => name.endsWith(".cf"))
  .map((name) => {
    const fragment = read(name);
    const needed = /^# Needs (\S+\.yaml)/mu.exec(fragment)?.[1];
    return { name, fragment, yaml: needed === undefined ? "" : read(needed) };
  })
  // So that stsmapd is restarted once for each.
  .sort((a, b) => a.yaml.localeCompare(b.yaml));

// Before 3.10 Postfix refuses a reply with the attributes of 3.10.
const examplesFor37 = examples.filter(
  ({ fragment }) => !/^smtp_tls_policy_maps.*:(?:postfix310|QUERYwithTLSRPT)$/mu.test(fragment),
);

const enforced = "enforced.example";
const both = "both.example";
let domain: MailDomain;
/** What stsmapd runs with. */
let runningWith: string | undefined;
beforeAll(async () => {
  const sts = { id: "1", policy: policy("enforce", [mx.good]) };
  domain = await world().publish({ name: enforced, mx: [mx.good], sts });
  await world().publish({ name: `sub.${enforced}`, mx: [mx.good], sts });
  await world().publish({
    name: "testing.example",
    mx: [mx.good],
    sts: { id: "1", policy: policy("testing", [mx.good]) },
  });
  const host = `mail.${both}`;
  await world().publish({
    name: both,
    mx: [host],
    records: [`mail A ${world().receivers.addressOf(mx.good)}`, `_25._tcp.mail TLSA 3 1 1 ${"0".repeat(64)}`],
    signed: true,
    sts: { id: "1", policy: policy("enforce", [host]) },
  });
});

describe("postfix-examples/", () => {
  it("has a README that lists every file, and no file that is not tested", () => {
    const readme = read("README.md");
    const tested = new Set(["README.md", "local-table.tls_policy", ...examples.map(({ name }) => name)]);
    for (const name of names.filter((candidate) => candidate.endsWith(".yaml")))
      if (examples.some(({ fragment }) => fragment.includes(name))) tested.add(name);
    for (const name of ["compose.yaml", "compose-unbound.conf", "compose-resolv.conf"]) tested.add(name);
    expect(names.filter((name) => !tested.has(name))).toEqual([]);
    expect(names.filter((name) => name !== "README.md" && !readme.includes(`(${name})`))).toEqual([]);
  });

  it("has examples for both generations of Postfix", () => {
    expect(examplesFor37.length).toBeGreaterThan(0);
    expect(examplesFor37.length).toBeLessThan(examples.length);
  });
});

describe("in Postfix 3.7", () => {
  describe.each(examplesFor37)("postfix-examples/$name", ({ fragment, yaml }) => {
    holds(() => world().sender, fragment, yaml);
  });
});

describe.skipIf(!(await hasForky()))("in Postfix 3.11 (needs the forky folder)", () => {
  let sender: Sender;
  beforeAll(async () => {
    sender = await world().addSender("sender311", { compatibility_level: "3.11" }, forkyFolder);
  });

  describe.each(examples)("postfix-examples/$name", ({ fragment, yaml }) => {
    holds(() => sender, fragment, yaml);
  });
});

/** What is to be true of an example in the Postfix of `sender`. */
function holds(sender: () => Sender, fragment: string, yaml: string): void {
  beforeAll(async () => {
    if (runningWith !== yaml) await world().stsmapd.restartWith(yaml);
    runningWith = yaml;
    await beside(sender(), fragment);
  });

  afterAll(async () => {
    await sender().postfix.configure("");
    await sender().postfix.reload();
  });

  const load = () => sender().postfix.configure(inTheWorld(fragment));

  it("is accepted without a warning", async () => {
    const { postfix } = sender();
    await load();
    expect(await postfix.command("postconf", ["-n"])).toMatchObject({ code: 0, stderr: "" });
    const mark = (await postfix.logLines()).length;
    expect(await postfix.command("postfix", ["check"])).toMatchObject({ code: 0, stderr: "" });
    expect(await postfix.logLines(mark)).toEqual([]);
  });

  it("names a table that answers", async () => {
    await load();
    const table = (await tables(sender())).at(-1) ?? "";
    const { stdout: answer } = await sender().query(table, enforced);
    expect(answer).toContain(`secure match=${mx.good} servername=hostname`);
  });

  it("lets mail through by the policy, without a warning", async () => {
    const { postfix } = sender();
    await load();
    const mark = (await postfix.logLines()).length;
    await postfix.reload();
    expect(await world().send(domain, sender())).toMatchObject({ status: "sent", tls: "Verified" });
    expect((await postfix.logLines(mark)).filter((line) => line.includes("warning:"))).toEqual([]);
  });

  it("is at a level that suits what stsmapd says of a domain with DANE and a policy", async () => {
    await load();
    const { stdout } = await sender().query((await tables(sender())).at(-1) ?? "", both);
    const ofPostfix = /^smtp_tls_security_level = (\w+)$/mu.exec(fragment)?.[1];
    const expected = ofPostfix === "dane" ? /^(?:dane-only.*\n)?$/u : /^secure match=mail\.both\.example /u;
    expect(stdout).toMatch(expected);
  });
}

/** The public authorities of the world are its own. */
function inTheWorld(fragment: string): string {
  return fragment.replace("/etc/ssl/certs/ca-certificates.crt", world().authority.rootFile);
}

/** Puts in place what the example needs beside main.cf and stsmapd.yaml. */
async function beside({ postfix }: Sender, fragment: string): Promise<void> {
  if (fragment.includes("/tls_policy"))
    await cp(new URL("local-table.tls_policy", folder), `${postfix.configFolder}/tls_policy`);
  // The group has another number in another Debian.
  await postfix.command("chgrp", ["-R", "postfix", socketFolder]);
  const inChroot = fragment.includes("socketmap:unix:/stsmapd/");
  await postfix.command("postconf", ["-F", `smtp/unix/chroot=${inChroot ? "y" : "n"}`]);
  if (inChroot) {
    const queue = `${postfix.folder}/queue`;
    // The example's queue folder is this world's: in each instance's it has a second name.
    await mkdir(`${queue}/stsmapd`, { recursive: true });
    await rm(`${queue}/stsmapd/socketmap`, { force: true });
    await link(`${socketFolder}/socketmap`, `${queue}/stsmapd/socketmap`);
    await mkdir(`${queue}/etc`, { recursive: true });
    for (const file of ["resolv.conf", "services", "hosts"]) await cp(`/etc/${file}`, `${queue}/etc/${file}`);
  }
}

/** The tables of main.cf, as postmap(1), which is never in a chroot, opens them. */
async function tables({ postfix, postfix: { folder: instance } }: Sender): Promise<string[]> {
  const { stdout } = await postfix.command("postconf", ["-h", "-x", "smtp_tls_policy_maps"]);
  const all = stdout.split(/[,\s]+/u).filter((table) => table !== "");
  return all.map((table) => table.replace("unix:/stsmapd/", `unix:${instance}/queue/stsmapd/`));
}

describe("a table of one's own before stsmapd", () => {
  it("decides for the domains in it, and for those below one only where there is no policy", async () => {
    const { sender } = world();
    await world().stsmapd.restartWith("");
    await beside(sender, read("local-table.cf"));
    await sender.postfix.configure(read("local-table.cf"));
    const [local = "", stsmapd = ""] = await tables(sender);
    // In the order of Postfix: all tables for a key, then the next key.
    const answer = async (...keys: string[]) => {
      for (const key of keys)
        for (const table of [local, stsmapd]) {
          const { stdout } = await sender.query(table, key);
          if (stdout !== "") return stdout.trim();
        }
      return "";
    };
    expect(await answer("partner.example")).toBe("secure match=.partner.example");
    expect(await answer("[smarthost.example]:587")).toBe("verify");
    expect(await answer("a.below.example", ".below.example")).toBe("encrypt");
    expect(await answer(`sub.${enforced}`, `.${enforced}`)).toContain("secure match=");
  });
});

describe("in place of another daemon, with main.cf unchanged", () => {
  it.each(
    examples.flatMap(({ name, fragment }) => {
      const before = /^# Before: (\S+)$/mu.exec(fragment)?.[1];
      return before === undefined ? [] : [{ name, before }];
    }),
  )("$before of $name answers", async ({ before }) => {
    await world().stsmapd.restartWith(read("from-tlspol.yaml"));
    const { stdout } = await world().sender.query(before, enforced);
    expect(stdout).toContain(`secure match=${mx.good} servername=hostname`);
    expect(stdout.includes("policy_type=sts")).toBe(before.endsWith("withTLSRPT"));
  });

  it("policies go before DANE, and the zone `strict` enforces those in testing, as with mta-sts-daemon", async () => {
    await world().stsmapd.restartWith(read("from-mta-sts-resolver.yaml"));
    const ask = async (map: string, name: string) =>
      (await world().sender.query(`socketmap:inet:127.0.0.1:8461:${map}`, name)).stdout;
    expect(await ask("postfix", both)).toContain(`secure match=mail.${both}`);
    expect(await ask("postfix", "testing.example")).toBe("");
    expect(await ask("strict", "testing.example")).toContain(`secure match=${mx.good}`);
  });
});
