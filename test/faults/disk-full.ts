/**
 * The disk with the cache runs full and has room again, while the daemon is asked: `node test/faults/disk-full.ts`.
 * Needs root, for a small tmpfs of its own.
 */
import { execFileSync } from "node:child_process";
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { openStore } from "../../src/store/open-store.ts";
import { createCa } from "../helpers/certificates.ts";
import { startDnsServer } from "../helpers/dns-server.ts";
import { startPolicyHost } from "../helpers/policy-host.ts";
import { Daemon, Home } from "../helpers/stsmapd.ts";
import { claim, Clients, Latencies } from "./load.ts";

/** Room for the file and for its log, which grows to 4 MiB before it is worked off. */
const TMPFS = "size=16m";
/** Milliseconds after which the store tries again to write what it could not. */
const RETRY_DELAY = 5_000;
/** Domains asked for in each part. */
const DOMAINS = 100;

using home = new Home();
const mount = join(home.path, "tmpfs");
mkdirSync(mount);
try {
  execFileSync("mount", ["-t", "tmpfs", "-o", TMPFS, "tmpfs", mount], { stdio: "ignore" });
} catch {
  console.log("skipped: a tmpfs can only be mounted by root, in a container that allows it");
  process.exit(0);
}
try {
  await run();
} finally {
  execFileSync("umount", [mount]);
}

function policyOf(domain: string): string {
  return `version: STSv1\nmode: enforce\nmx: mx.${domain}\nmax_age: 604800\n`;
}

async function run(): Promise<void> {
  const ca = createCa();
  await using dns = await startDnsServer();
  await using host = await startPolicyHost({ ca });
  const path = join(mount, "cache.sqlite");
  const file = home.write(
    "stsmapd.yaml",
    `${home.network({ dns, host, ca })}
listen: [{ protocol: socketmap, address: "127.0.0.1:0" }]
store: { path: ${path} }
dane: { enabled: false }
`,
  );
  await using daemon = await Daemon.start(["-c", file], home.environment());
  using clients = new Clients(daemon.addresses[0] ?? "");

  const domainsOf = (part: string) => Array.from({ length: DOMAINS }, (_, n) => `n${n}.${part}.example`);
  /** Asks for each domain of a part; answers with how many were answered with their policy. */
  const answered = async (part: string, latencies = new Latencies()): Promise<number> => {
    let right = 0;
    for (const domain of domainsOf(part)) {
      dns.zone.txt(`_mta-sts.${domain}`, "v=STSv1; id=1;", { ttl: 86_400 });
      dns.zone.a(`mta-sts.${domain}`, "127.0.0.1");
      host.serve(domain, policyOf(domain));
      const { text } = await latencies.time(() => clients.ask(domain));
      if (text.startsWith(`secure match=mx.${domain} `)) right++;
    }
    return right;
  };
  const failures = () => daemon.log.filter(({ operation, code }) => operation === "write" && code === "full");

  const first = await answered("before");
  claim(`${first} of ${DOMAINS} answered while there is room`, first === DOMAINS && failures().length === 0);

  fill(mount);
  const [cold, warm] = [new Latencies(), new Latencies()];
  const [learnt, kept] = [await answered("full", cold), await answered("before", warm)];
  console.log(`disk full, never asked before: ${cold.summary()}`);
  console.log(`disk full, known: ${warm.summary()}`);
  claim(
    `${learnt} of ${DOMAINS} new domains answered with their policy although the disk is full`,
    learnt === DOMAINS,
  );
  claim(`${kept} of ${DOMAINS} known ones answered`, kept === DOMAINS);
  claim(
    `${failures().length} lines of the log say so (${JSON.stringify(failures()[0]?.["msg"])})`,
    failures().length > 0 && failures()[0]?.["level"] === "error",
  );
  claim(`known ones take ${warm.at(0.5).toFixed(2)} ms`, warm.at(0.5) < 50);

  rmSync(join(mount, "ballast"));
  const right = await answered("after");
  const late = failures().filter(({ domain }) => String(domain).endsWith(".after.example"));
  claim(
    `${right} of ${DOMAINS} answered once there is room, ${late.length} of them not written`,
    right === DOMAINS && late.length === 0,
  );
  // What was learnt meanwhile is written although nobody asks for it again, nor its TTL of a day brings a look at its record.
  await sleep(RETRY_DELAY + 1_000);
  daemon.signal("SIGKILL");
  await daemon.exited;

  const store = openStore({ path, now: Date.now, examine: false });
  const stored = (part: string) =>
    domainsOf(part).filter((domain) => store.get(domain)?.pin?.text === policyOf(domain)).length;
  const counts = { before: stored("before"), full: stored("full"), after: stored("after") };
  await store.close();
  claim(
    `in the file after kill -9: ${counts.before} learnt before, ${counts.full} while it was full, ${counts.after} after`,
    counts.before === DOMAINS && counts.full === DOMAINS && counts.after === DOMAINS,
  );
}

/** Takes all the room there is. */
function fill(folder: string): void {
  for (let size = 2 ** 20; size >= 4096; size /= 2) {
    try {
      for (;;) writeFileSync(join(folder, "ballast"), Buffer.alloc(size), { flag: "a" });
    } catch {
      // Not by so much any more.
    }
  }
}
