/**
 * Kills the daemon at random moments while clients ask for domains it has to fetch, and looks whether every policy that was
 * told to a client is in the file, unchanged: `node test/faults/kill.ts [rounds] [folder]`.
 */
import { randomInt } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { openStore } from "../../src/store/open-store.ts";
import { createCa } from "../helpers/certificates.ts";
import { startDnsServer } from "../helpers/dns-server.ts";
import { startPolicyHost } from "../helpers/policy-host.ts";
import { SocketmapClient } from "../helpers/postfix-client.ts";
import { Daemon, Home } from "../helpers/stsmapd.ts";
import { claim } from "./load.ts";

const LANES = 16;

const rounds = Number(process.argv[2] ?? 200);
const folder = mkdtempSync(join(process.argv[3] ?? tmpdir(), "stsmapd-kill-"));
const path = join(folder, "cache.sqlite");
const ca = createCa();
await using dns = await startDnsServer();
await using host = await startPolicyHost({ ca });
using home = new Home();
// Each of the clients has a fetch of its own, although all policy hosts are one.
const network = home.network({ dns, host, ca }).replace("fetch: {", `fetch: { per_address: ${LANES},`);
const file = home.write(
  "stsmapd.yaml",
  `${network}
listen: [{ protocol: socketmap, address: "127.0.0.1:0" }]
store: { path: ${path} }
dane: { enabled: false }
`,
);

const policyOf = (domain: string) => `version: STSv1\nmode: enforce\nmx: mx.${domain}\nmax_age: 604800\n`;
const replyOf = (domain: string) => `secure match=mx.${domain} servername=hostname`;
/** Every domain whose policy a client was told. */
const told: string[] = [];
/** What was not so. */
const faults: string[] = [];

function publish(domain: string): void {
  dns.zone.txt(`_mta-sts.${domain}`, "v=STSv1; id=1;");
  dns.zone.a(`mta-sts.${domain}`, "127.0.0.1");
  host.serve(domain, policyOf(domain));
}

/** Asks for one new domain after the other until the daemon is gone. */
async function lane(address: string, name: string): Promise<void> {
  using client = await SocketmapClient.connect(address);
  for (let n = 0; ; n++) {
    const domain = `n${n}.${name}.example`;
    publish(domain);
    const reply = await client.query("postfix", domain).catch(() => undefined);
    dns.zone.remove(`_mta-sts.${domain}`);
    dns.zone.remove(`mta-sts.${domain}`);
    if (reply === undefined) return;
    if (reply.text === replyOf(domain)) told.push(domain);
    else faults.push(`${domain} was answered ${reply.status} ${reply.text}`);
  }
}

/** Told, and not in the file as it was told. */
async function lost(): Promise<string[]> {
  const store = openStore({ path, now: Date.now, examine: false, onSetAside: () => faults.push("damaged") });
  const missing = told.filter((domain) => {
    const pin = store.get(domain)?.pin;
    return pin?.text !== policyOf(domain) || pin.recordId !== "1" || pin.mx.join() !== `mx.${domain}`;
  });
  await store.close();
  return missing;
}

for (let round = 0; round < rounds && faults.length === 0; round++) {
  const daemon = await Daemon.start(["-c", file], home.environment());
  const lanes = Array.from({ length: LANES }, (_, n) => lane(daemon.addresses[0] ?? "", `l${n}.r${round}`));
  await sleep(randomInt(100, 700));
  daemon.signal("SIGKILL");
  await daemon.exited;
  await Promise.all(lanes);
  faults.push(...(await lost()).map((domain) => `${domain} was told and is lost, after kill ${round + 1}`));
}

// A last daemon with nothing but the file: it tells the same.
dns.behave("*", "servfail");
await host.stop();
await using daemon = await Daemon.start(["-c", file], home.environment());
using client = await SocketmapClient.connect(daemon.addresses[0] ?? "");
for (const domain of told) {
  const { text } = await client.query("postfix", domain);
  if (text !== replyOf(domain)) faults.push(`${domain} is answered ${text} with DNS gone`);
}
rmSync(folder, { recursive: true, force: true });

for (const fault of faults.slice(0, 20)) console.log(fault);
claim(
  `${rounds} kills, ${told.length} policies told to clients, ${faults.length} lost or changed`,
  faults.length === 0,
);
claim("policies were told", told.length > rounds);
