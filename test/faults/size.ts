/**
 * The memory, disk and descriptors that the daemon takes: `node test/faults/size.ts [policies]`. It gets that many
 * policies (100,000) by `cache import`, is asked for each of them, and has 500 clients in the end.
 */
import { statSync } from "node:fs";
import { join } from "node:path";
import { DAY, HOUR } from "../helpers/clock.ts";
import { SocketmapClient } from "../helpers/postfix-client.ts";
import { Daemon, Home, stsmapd } from "../helpers/stsmapd.ts";

const POLICIES = Number(process.argv[2] ?? 100_000);
const CLIENTS = 500;

using home = new Home();
const path = join(home.path, "cache.sqlite");
const file = home.write(
  "stsmapd.yaml",
  `listen: [{ protocol: socketmap, address: "127.0.0.1:0" }]
store: { path: ${path} }
dns: { servers: ["127.0.0.1:9"] }
dane: { enabled: false }
metrics: { listen: "127.0.0.1:0" }
`,
);
await using daemon = await Daemon.start(["-c", file], home.environment());
const page = `http://${String((await daemon.logged("ready"))["metrics"])}/metrics`;
const [address = ""] = daemon.addresses;

await tell("started");
const lines = Array.from({ length: POLICIES }, (_, number) => line(domainOf(number)));
const imported = await stsmapd(
  ["cache", "import", "-c", file, home.write("policies.jsonl", lines.join("\n"))],
  home.environment(),
);
console.log(imported.stderr.trimEnd());
await tell(`${POLICIES} policies in the file`);
console.log(`${statSync(path).size} bytes: the file`);

const clients = [await SocketmapClient.connect(address)];
for (let number = 0; number < POLICIES; number++) {
  const { status } = (await clients[0]?.query("postfix", domainOf(number))) ?? {};
  if (status !== "OK") throw new Error(`${domainOf(number)}: ${status}`);
}
await tell("each asked for once");
while (clients.length < CLIENTS) clients.push(await SocketmapClient.connect(address));
await tell(`${CLIENTS} clients`);
for (const client of clients) client[Symbol.dispose]();

function domainOf(number: number): string {
  return `domain-number-${number}.example`;
}

/** As `cache export` writes it, with three MX patterns. */
function line(domain: string): string {
  const now = Date.now();
  const at = (offset: number): string => new Date(now + offset).toISOString();
  const mx = [`mx1.${domain}`, `mx2.${domain}`, `*.mail.${domain}`];
  const text = ["version: STSv1", "mode: enforce", ...mx.map((name) => `mx: ${name}`), "max_age: 604800", ""];
  return JSON.stringify({
    v: 1,
    domain,
    pin: {
      id: "20261101000000",
      mode: "enforce",
      mx,
      max_age: 604_800,
      fetched_at: at(-HOUR),
      expires_at: at(7 * DAY - HOUR),
      renew_at: at(3 * DAY),
      text: text.join("\r\n"),
    },
    failure: null,
    checked_at: at(0),
    check_at: at(DAY - HOUR),
    used_at: at(-HOUR),
  });
}

async function tell(when: string): Promise<void> {
  const metrics = await (await fetch(page)).text();
  const value = (name: string): number => Number(new RegExp(`^${name} (.+)$`, "m").exec(metrics)?.[1]);
  const memory = Math.round(value("process_resident_memory_bytes") / 1e6);
  console.log(`${memory} MB resident, ${value("process_open_fds")} descriptors: ${when}`);
}
