import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeAll, describe, expect, it } from "vitest";
import { forkyFolder, hasForky } from "./forky.ts";
import { mustRun } from "./process.ts";
import { mx } from "./receivers.ts";
import { useWorld } from "./scenario.ts";
import type { Sender } from "./sender.ts";
import { socketFolder } from "./stsmapd.ts";
import { type MailDomain, policy } from "./world.ts";

const world = useWorld("postfix-examples");

const folder = join(import.meta.dirname, "../../postfix-examples");
const examples = readdirSync(folder)
  .filter((name) => name.endsWith(".cf"))
  .map((name) => ({ name, fragment: readFileSync(join(folder, name), "utf8") }));

// Before 3.10 Postfix refuses a reply with the attributes of 3.10.
const examplesFor37 = examples.filter(({ fragment }) => !fragment.includes(":postfix310"));

let enforced: MailDomain;
beforeAll(async () => {
  const sts = { id: "1", policy: policy("enforce", [mx.good]) };
  enforced = await world().publish({ name: "enforced.example", mx: [mx.good], sts });
});

it("there are examples for both generations of Postfix", () => {
  expect(examplesFor37.length).toBeGreaterThan(0);
  expect(examplesFor37.length).toBeLessThan(examples.length);
});

describe("in Postfix 3.7", () => {
  describe.each(examplesFor37)("postfix-examples/$name", ({ fragment }) => {
    holds(() => world().sender, fragment);
  });
});

describe.skipIf(!(await hasForky()))("in Postfix 3.11 (needs the forky folder)", () => {
  let sender: Sender;
  beforeAll(async () => {
    sender = await world().addSender("sender311", {}, forkyFolder);
    // There the group has another number.
    await mustRun("chroot", [forkyFolder, "chgrp", "-R", "postfix", socketFolder]);
  });

  describe.each(examples)("postfix-examples/$name", ({ fragment }) => {
    holds(() => sender, fragment);
  });
});

/** What is to be true of an example in the Postfix of `sender`. */
function holds(sender: () => Sender, fragment: string): void {
  afterEach(async () => {
    await sender().postfix.configure("");
    await sender().postfix.reload();
  });

  it("is accepted by postconf without a warning", async () => {
    const { postfix } = sender();
    await postfix.configure(fragment);
    expect(await postfix.command("postconf", ["-n"])).toMatchObject({ code: 0, stderr: "" });
  });

  it("names only tables that answer", async () => {
    const { postfix } = sender();
    await postfix.configure(fragment);
    const { stdout } = await postfix.command("postconf", ["-h", "-x", "smtp_tls_policy_maps"]);
    const tables = stdout.split(/[,\s]+/u).filter((table) => table !== "");

    expect(tables).not.toEqual([]);
    for (const table of tables) {
      const { stdout: answer } = await sender().query(table, enforced.name);
      expect(answer).toContain(`secure match=${mx.good} servername=hostname`);
    }
  });

  it("lets mail through by the policy, without a warning", async () => {
    const { postfix } = sender();
    await postfix.configure(fragment);
    const mark = (await postfix.logLines()).length;
    await postfix.reload();
    expect(await world().send(enforced, sender())).toMatchObject({ status: "sent", tls: "Verified" });
    expect((await postfix.logLines(mark)).filter((line) => line.includes("warning:"))).toEqual([]);
  });
}
