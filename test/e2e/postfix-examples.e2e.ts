import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeAll, describe, expect, it } from "vitest";
import { mx } from "./receivers.ts";
import { useWorld } from "./scenario.ts";
import { type MailDomain, policy } from "./world.ts";

const world = useWorld("postfix-examples");

const folder = join(import.meta.dirname, "../../postfix-examples");
const examples = readdirSync(folder)
  .filter((name) => name.endsWith(".cf"))
  .map((name) => ({ name, fragment: readFileSync(join(folder, name), "utf8") }));

// The sender is Postfix 3.7, which refuses a reply with the attributes of 3.10.
const examplesForSender = examples.filter(({ fragment }) => !fragment.includes(":postfix310"));

let enforced: MailDomain;
beforeAll(async () => {
  const sts = { id: "1", policy: policy("enforce", [mx.good]) };
  enforced = await world().publish({ name: "enforced.example", mx: [mx.good], sts });
});

afterEach(async () => {
  await world().sender.postfix.configure("");
  await world().sender.postfix.reload();
});

it("there are examples for both generations of Postfix", () => {
  expect(examplesForSender.length).toBeGreaterThan(0);
  expect(examplesForSender.length).toBeLessThan(examples.length);
});

describe.each(examples)("postfix-examples/$name", ({ fragment }) => {
  it("names only tables that answer", async () => {
    const { sender } = world();
    await sender.postfix.configure(fragment);
    const { stdout } = await sender.postfix.command("postconf", ["-h", "-x", "smtp_tls_policy_maps"]);
    const tables = stdout.split(/[,\s]+/u).filter((table) => table !== "");

    expect(tables).not.toEqual([]);
    for (const table of tables) {
      const { stdout: answer } = await sender.query(table, enforced.name);
      expect(answer).toContain(`secure match=${mx.good} servername=hostname`);
    }
  });
});

describe.each(examplesForSender)("postfix-examples/$name", ({ fragment }) => {
  it("is accepted by postconf without a warning", async () => {
    const { postfix } = world().sender;
    await postfix.configure(fragment);
    expect(await postfix.command("postconf", ["-n"])).toMatchObject({ code: 0, stderr: "" });
  });

  it("lets mail through by the policy", async () => {
    const { postfix } = world().sender;
    await postfix.configure(fragment);
    await postfix.reload();
    expect(await world().send(enforced)).toMatchObject({ status: "sent", tls: "Verified" });
  });
});
