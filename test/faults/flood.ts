/**
 * A flood of random domains beside a relay's ordinary work: what the known domains' answers take, what a single unknown one
 * takes on a connection of its own, and what memory is used. Prints a table.
 *
 *     node test/faults/flood.ts [seconds] [flooding connections] [milliseconds that DNS takes]
 */
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";
import { Worker } from "node:worker_threads";
import { takeNetstring, RawClient, SocketmapClient } from "../helpers/postfix-client.ts";
import { Daemon, Home } from "../helpers/stsmapd.ts";
import { startDnsServer } from "../helpers/dns-server.ts";
import { startPolicyHost } from "../helpers/policy-host.ts";
import { createCa } from "../helpers/certificates.ts";

const [seconds = 10, floods = 50, delayMs = 20] = process.argv.slice(2).map(Number);
const KNOWN = 200;
/** As many as a connection may await. */
const PIPELINED = 64;

const ca = createCa();
await using dns = await startDnsServer();
await using host = await startPolicyHost({ ca });
using home = new Home();
dns.behave("*", { delayMs });
const known = Array.from({ length: KNOWN }, (_, index) => `known${index}.example`);
for (const domain of known) {
  dns.zone.txt(`_mta-sts.${domain}`, "v=STSv1; id=1;");
  dns.zone.a(`mta-sts.${domain}`, "127.0.0.1");
  host.serve(domain, `version: STSv1\nmode: enforce\nmx: mx.${domain}\nmax_age: 604800\n`);
}
const text = [
  home.network({ dns, host, ca }),
  `listen: [{ protocol: socketmap, address: "127.0.0.1:0" }]`,
  "dane: { enabled: false }",
  "log: { level: error }",
].join("\n");
await using daemon = await startQuietly();
using relay = await SocketmapClient.connect(daemon.address);
for (const domain of known) await relay.query("postfix", domain);

const rows: Record<string, object> = {};
rows["before"] = await measure();
const stop = new AbortController();
const flooders = Array.from({ length: floods }, () => flood(stop.signal));
await sleep(1_000);
rows["flooded"] = await measure();
stop.abort();
const asked = (await Promise.all(flooders)).reduce((sum, count) => sum + count, 0);
await sleep(2_000);
rows["after"] = await measure();
console.table(rows);
console.log(`${asked} random domains in ${seconds + 1} s over ${floods} connections`);

interface Quiet extends AsyncDisposable {
  readonly address: string;
  readonly pid: number;
}

/** With the level of its log raised once it is ready: a line for each domain would be measured too. */
async function startQuietly(): Promise<Quiet> {
  const file = home.write("c.yaml", text.replace("level: error", "level: info"));
  const started = await Daemon.start(["-c", file], home.environment());
  home.write("c.yaml", text);
  started.signal("SIGHUP");
  await started.logged("configuration read again");
  return {
    address: started.addresses[0] ?? "",
    pid: started.pid,
    [Symbol.asyncDispose]: () => started[Symbol.asyncDispose](),
  };
}

async function measure(): Promise<object> {
  const { address, pid } = daemon;
  const witness = new Worker(new URL("flood-witness.ts", import.meta.url), {
    workerData: { address, pid, seconds, known },
  });
  const [row]: object[] = await once(witness, "message");
  return row ?? {};
}

/** Keeps the connection's 64 questions outstanding. Returns how many were answered. */
async function flood(signal: AbortSignal): Promise<number> {
  using client = await RawClient.connect(daemon.address);
  const ask = () => {
    const request = `postfix ${randomDomain()}`;
    client.write(`${request.length}:${request},`);
  };
  for (let count = 0; count < PIPELINED; count++) ask();
  let answered = 0;
  while (!signal.aborted) {
    await takeNetstring(client);
    answered++;
    ask();
  }
  return answered;
}

function randomDomain(): string {
  return `${randomBytes(8).toString("hex")}.example`;
}
