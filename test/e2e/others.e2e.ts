import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { daneHost, publishDaneHosts } from "./dane-hosts.ts";
import { MtaStsDaemon } from "./mta-sts-daemon.ts";
import { mx } from "./receivers.ts";
import { useWorld } from "./scenario.ts";
import { policy } from "./world.ts";

// The facts of README.md's comparison that can be tried: Debian 12 has postfix-mta-sts-resolver 1.1.2. Each daemon gets a
// domain of its own, asked by postmap(1).

const world = useWorld("others");
const isInstalled = await MtaStsDaemon.isInstalled();
let theirs: MtaStsDaemon;

beforeAll(async () => {
  if (!isInstalled) return;
  theirs = new MtaStsDaemon(`${world().folder}/mta-sts-daemon`, world().authority.rootFile);
  await theirs.start();
  await publishDaneHosts(world());
});
afterAll(() => theirs?.stop());

const ourMap = () => `socketmap:${world().stsmapd.endpoints.inet}:postfix`;

/** What Postfix gets: the policy, or nothing. */
async function ask(map: string, domain: string): Promise<string> {
  const { code, stdout, stderr } = await world().sender.query(map, domain);
  expect({ domain, stderr }).toEqual({ domain, stderr: "" });
  return code === 0 ? stdout.trimEnd() : "not found";
}

const secure = `secure match=${mx.good} servername=hostname`;

describe.skipIf(!isInstalled)("beside mta-sts-daemon (Debian's package postfix-mta-sts-resolver)", () => {
  const daemons = [
    { daemon: "stsmapd", map: ourMap, restart: () => world().stsmapd.restart("SIGKILL") },
    {
      daemon: "mta-sts-daemon",
      map: () => theirs.map,
      restart: async () => {
        await theirs.stop();
        await theirs.start();
      },
    },
  ];

  it.each(daemons)(
    "$daemon keeps a policy through SIGKILL, without the record",
    async ({ daemon, map, restart }) => {
      const sts = { id: "1", policy: policy("enforce", [mx.good]) };
      const domain = await world().publish({ name: `kept-by-${daemon}.example`, mx: [mx.good], sts });
      expect(await ask(map(), domain.name)).toBe(secure);

      await world().publish({ name: domain.name, mx: [mx.good] });
      await restart();

      expect(await ask(map(), domain.name)).toBe(secure);
    },
  );

  it.each([
    { daemon: "stsmapd", map: ourMap, answer: "not found" },
    {
      daemon: "mta-sts-daemon",
      map: () => theirs.map,
      answer: `secure match=${daneHost.right} servername=hostname`,
    },
  ])("$daemon answers for a domain with DANE and a policy: $answer", async ({ daemon, map, answer }) => {
    const { name } = await world().publish({
      name: `dane-${daemon}.example`,
      mx: [daneHost.right],
      sts: { id: "1", policy: policy("enforce", [daneHost.right]) },
      signed: true,
    });
    expect(await ask(map(), name)).toBe(answer);
  });

  it.each([
    { daemon: "stsmapd", map: ourMap, fetches: 1 },
    { daemon: "mta-sts-daemon", map: () => theirs.map, fetches: 4 },
  ])(
    "$daemon fetches a broken policy $fetches times for four questions",
    async ({ daemon, map, fetches }) => {
      const sts = { id: "1", policy: policy("enforce", [mx.good]).replace("STSv1", "STSv2") };
      const { name } = await world().publish({ name: `broken-${daemon}.example`, mx: [mx.good], sts });
      for (let asked = 0; asked < 4; asked++) expect(await ask(map(), name)).toBe("not found");
      expect(await world().policyHosts.fetches(`mta-sts.${name}`)).toBe(fetches);
    },
  );

  it("mta-sts-daemon asks DNS with every question for a domain without a record", async () => {
    const { name } = await world().publish({ name: "none.example", mx: [mx.good] });
    const before = await world().resolver.queries(`_mta-sts.${name}`, "TXT");
    for (let asked = 0; asked < 4; asked++) expect(await ask(theirs.map, name)).toBe("not found");
    expect(await world().resolver.queries(`_mta-sts.${name}`, "TXT")).toBe(before + 4);
  });

  it("both say nothing of a new domain while DNS is down", async () => {
    await world().resolver.stop();
    const answers = [await ask(ourMap(), "unknown.example"), await ask(theirs.map, "unknown.example")];
    await world().resolver.resume();
    expect(answers).toEqual(["not found", "not found"]);
  });
});
