import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { type DaneDomain, daneDomains, publishDaneDomains } from "./dane-domains.ts";
import { publishDaneHosts } from "./dane-hosts.ts";
import { DaneSender, type DaneSetting, daneMap, daneSettings, type OwnLevel } from "./dane-senders.ts";
import { type DaneRow, type DaneTables, readTables, writeTables } from "./dane-table.ts";
import { eventually } from "./process.ts";
import { useWorld } from "./scenario.ts";

// What docs/dane.md says of every domain under every setting is what is expected here. The tables as measured are left in
// .e2e/dane-table.md: where they are right and the document is not, they go there.

const world = useWorld("dane");
const checkout = join(import.meta.dirname, "../..");
const documented = readTables(await readFile(join(checkout, "docs/dane.md"), "utf8"));
let measured: DaneTables;

beforeAll(async () => {
  await publishDaneHosts(world());
  await publishDaneDomains(world());
  for (const { name, daneLearnt, change } of daneDomains) {
    if (change === undefined) continue;
    // A map that ignores DANE leaves stsmapd without an idea of it.
    await ask(daneLearnt ? "yield" : "ignore", name);
    await change(world(), name);
  }
  await Promise.all(
    daneDomains
      .filter(({ change }) => change !== undefined)
      .map(({ name }) =>
        eventually(`stsmapd to notice what happened to ${name}`, async () =>
          (await ask("dane-only", name)).startsWith("TEMP"),
        ),
      ),
  );
  const sender = await DaneSender.start(world());
  await sender.inject(daneDomains.map(({ name }) => name));
  const tables = new Map<DaneSetting, readonly DaneRow[]>();
  for (const setting of daneSettings) tables.set(setting, await measure(sender, setting));
  measured = tables;
  await mkdir(join(checkout, ".e2e"), { recursive: true });
  await writeFile(join(checkout, ".e2e/dane-table.md"), writeTables(measured));
}, 120_000);

async function measure(sender: DaneSender, setting: DaneSetting): Promise<DaneRow[]> {
  // postmap(1) takes a second over each TEMP.
  const answers = await Promise.all(daneDomains.map(({ name }) => ask(setting, name)));
  const rows: DaneRow[] = [];
  for (const [index, domain] of daneDomains.entries()) {
    rows.push({
      domain: domain.text,
      policy: policyOf(domain),
      answer: answers[index] ?? "",
      dane: await fate(sender, "dane", setting, domain),
      may: await fate(sender, "may", setting, domain),
    });
  }
  return rows;
}

function policyOf({ allows }: DaneDomain): string {
  return allows === undefined ? "no policy" : "enforce";
}

/** The answer that postmap(1) gets: NOTFOUND, TEMP and its reason, or the text, in which `secure` stands for the right one. */
async function ask(setting: DaneSetting, name: string): Promise<string> {
  const { stdout, stderr } = await world().sender.query(daneMap(world(), setting), name);
  if (stdout === "") {
    const reason = /socketmap server temporary error: (.*)/u.exec(stderr)?.[1];
    return reason === undefined ? `NOTFOUND${stderr}` : `TEMP ${reason}`;
  }
  const allows = daneDomains.find((domain) => domain.name === name)?.allows ?? [];
  return stdout.trimEnd().replace(`secure match=${allows.join(":")} servername=hostname`, "secure");
}

/** What became of the mail: the trust in the TLS session it was sent in, or the first sentence of the reason. */
async function fate(
  sender: DaneSender,
  level: OwnLevel,
  setting: DaneSetting,
  { name }: DaneDomain,
): Promise<string> {
  const { status, tls, reason } = await sender.outcome(level, setting, name);
  return status === "sent" ? `${status}, ${tls}` : `${status}: ${reason.split(". ")[0]}`;
}

describe.each(daneSettings)("a map with dane: %s", (setting) => {
  it.each(daneDomains)("answers for $name as docs/dane.md says, and so goes the mail", (domain) => {
    const isRow = (row: DaneRow) => row.domain === domain.text && row.policy === policyOf(domain);
    expect(measured.get(setting)?.filter(isRow)).toEqual(documented.get(setting)?.filter(isRow));
  });

  it("is documented for these domains and no other", () => {
    const [inDocument, inRun] = [documented, measured].map((tables) =>
      tables.get(setting)?.map(({ domain, policy }) => `${domain}, ${policy}`),
    );
    expect(inDocument).toEqual(inRun);
  });
});
