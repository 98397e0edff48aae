/**
 * DNS is silent while a busy relay goes on asking: `node test/faults/outage.ts [seconds]`. The daemon is a real one, with its
 * times shortened about twentyfold: a try 100 ms, the deadline 1 s, failures of DNS remembered for 1 s.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { createCa } from "../helpers/certificates.ts";
import { startDnsServer } from "../helpers/dns-server.ts";
import { startPolicyHost } from "../helpers/policy-host.ts";
import { Daemon, Home } from "../helpers/stsmapd.ts";
import { claim, Clients, Latencies, steadily } from "./load.ts";

const KNOWN = 200;
/** So many that none is asked for twice in 20 s. */
const UNKNOWN = 20_000;
const RATE = 1_000;
const ATTEMPTS = 3;
/** Seconds. */
const TRY = 0.1;
const DEADLINE = 1;
const DNS_FAILURE = 1;
/** Questions that a client of DNS may have outstanding (dns-client.ts). */
const IN_FLIGHT = 512;
/** Milliseconds of grace for timers and a busy machine. */
const GRACE = 500;

const CONFIGURATION = `
listen: [{ protocol: socketmap, address: "127.0.0.1:0" }]
lookup: { deadline: ${DEADLINE}s }
dane: { hold_min: 1s, hold_max: 1s, patience: 100ms }
freshness: { dns_failure: ${DNS_FAILURE}s, recheck_min: 1s, negative_min: 1s }
log: { level: error }
`;

interface Phase {
  readonly known: Latencies;
  readonly unknown: Latencies;
  /** Known domains that were not answered with their policy. */
  readonly lost: number;
  /** Unknown domains that were answered with anything but NOTFOUND. */
  readonly wrong: number;
  /** Questions that reached the name server. */
  readonly queries: number;
}

const seconds = Number(process.argv[2] ?? 20);
const known = Array.from({ length: KNOWN }, (_, n) => `known${n}.example`);

const ca = createCa();
await using dns = await startDnsServer();
await using host = await startPolicyHost({ ca });
using home = new Home();
// A resolver that validates: DANE is looked for, and each domain is found not to have it.
dns.zone.negative = { ttl: 1, minimum: 1 };
dns.zone.secure(".");
dns.zone.soa(".");
for (const domain of known) {
  dns.zone.txt(`_mta-sts.${domain}`, "v=STSv1; id=1;", { ttl: 1 });
  dns.zone.a(`mta-sts.${domain}`, "127.0.0.1");
  dns.zone.mx(domain, `mx.${domain}`, { ttl: 1 });
  dns.zone.a(`mx.${domain}`, "192.0.2.1", { ttl: 1 });
  host.serve(domain, `version: STSv1\nmode: enforce\nmx: mx.${domain}\nmax_age: 604800\n`);
}
const network = home
  .network({ dns, host, ca })
  .replace(/timeout: 2s, attempts: 1/, `timeout: ${TRY * 1000}ms, attempts: ${ATTEMPTS}`);
const file = home.write("stsmapd.yaml", network + CONFIGURATION);
// "ready" is told at level info.
await using daemon = await Daemon.start(["-c", file], home.environment({ STSMAPD_LOG_LEVEL: "info" }));
using clients = new Clients(daemon.addresses[0] ?? "");

/** One half of the questions for known domains, the other for unknown ones. */
async function phase(duration: number): Promise<Phase> {
  const [knownTimes, unknownTimes] = [new Latencies(), new Latencies()];
  let [lost, wrong] = [0, 0];
  const before = dns.log.length;
  await steadily(RATE, duration * 1000, async (n) => {
    if (n % 2 === 0) {
      const domain = known[(n / 2) % KNOWN]!;
      const { text } = await knownTimes.time(() => clients.ask(domain));
      if (!text.startsWith(`secure match=mx.${domain} `)) lost++;
    } else {
      const { status } = await unknownTimes.time(() => clients.ask(`unknown${n % UNKNOWN}.example`));
      if (status !== "NOTFOUND") wrong++;
    }
  });
  return { known: knownTimes, unknown: unknownTimes, lost, wrong, queries: dns.log.length - before };
}

function report(name: string, { known: knownTimes, unknown, queries }: Phase, duration: number): void {
  console.log(`${name}: ${queries} DNS queries (${(queries / duration).toFixed(0)} a second)`);
  console.log(`  known:   ${knownTimes.summary()}`);
  console.log(`  unknown: ${unknown.summary()}`);
}

for (const domain of known) await clients.ask(domain);
const quiet = await phase(5);
report("quiet", quiet, 5);
claim(`${quiet.lost} known domains were not answered with their policy`, quiet.lost === 0);

dns.behave("*", "drop");
const outage = await phase(seconds);
report(`outage of ${seconds} s`, outage, seconds);
claim(`${outage.lost} known domains were not answered with their policy`, outage.lost === 0);
claim(`${outage.wrong} unknown domains were not answered NOTFOUND`, outage.wrong === 0);
claim(
  `unknown ones within the deadline of ${DEADLINE * 1000} ms (at most ${outage.unknown.at(1).toFixed(0)} ms)`,
  outage.unknown.at(1) <= DEADLINE * 1000 + GRACE,
);
claim(
  `half of the known ones within 10 ms, 99 % within a second (${outage.known.at(0.5).toFixed(1)}, ${outage.known.at(0.99).toFixed(0)} ms)`,
  outage.known.at(0.5) < 10 && outage.known.at(0.99) < 1_000,
);
const bySlots = (IN_FLIGHT / TRY) * (seconds + DEADLINE);
const byMemory = ATTEMPTS * (outage.unknown.count + KNOWN * 2 * (seconds / DNS_FAILURE + 1));
claim(
  `${outage.queries} queries: no more than ${ATTEMPTS} for each unknown domain asked for and each known one a second (${byMemory}), nor than ${IN_FLIGHT} outstanding allow (${bySlots})`,
  outage.queries <= Math.min(bySlots, byMemory),
);

dns.behave("*");
const returned = performance.now();
// A domain whose policy is new since the outage began.
const fresh = "fresh.example";
dns.zone.txt(`_mta-sts.${fresh}`, "v=STSv1; id=1;", { ttl: 1 });
dns.zone.a(`mta-sts.${fresh}`, "127.0.0.1");
host.serve(fresh, `version: STSv1\nmode: enforce\nmx: mx.${fresh}\nmax_age: 604800\n`);
const changed = known[0]!;
dns.zone.txt(`_mta-sts.${changed}`, "v=STSv1; id=2;", { ttl: 1 });
host.serve(changed, `version: STSv1\nmode: enforce\nmx: moved.example\nmax_age: 604800\n`);
const answered = async (domain: string, start: string): Promise<number> => {
  while (!(await clients.ask(domain)).text.startsWith(start)) {
    if (performance.now() - returned > 60_000) return Infinity;
    await sleep(50);
  }
  return performance.now() - returned;
};
const [learnt, updated] = await Promise.all([
  answered(fresh, "secure match=mx.fresh.example "),
  answered(changed, "secure match=moved.example "),
]);
// 30 s in place of 1 s would be within the minute that is asked for.
claim(`a new policy is known ${learnt.toFixed(0)} ms after the return (at most 2,000)`, learnt <= 2_000);
claim(`a changed one ${updated.toFixed(0)} ms after it (at most 2,000)`, updated <= 2_000);
console.log(`${clients.connections} connections`);
