/**
 * The whole story in a terminal, without the Internet: `npm run demo`. A name server, policy hosts with a throw-away
 * certificate authority, and the real daemon, all on loopback; then the questions Postfix would ask.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { createInterface } from "node:readline";
import { styleText } from "node:util";

import { createCa } from "../test/helpers/certificates.ts";
import { startDnsServer } from "../test/helpers/dns-server.ts";
import { startPolicyHost } from "../test/helpers/policy-host.ts";
import { SocketmapClient } from "../test/helpers/postfix-client.ts";

const POLICIES = {
  "enforce.example":
    "version: STSv1\nmode: enforce\nmx: mx.enforce.example\nmx: *.backup.example\nmax_age: 604800\n",
  "testing.example": "version: STSv1\nmode: testing\nmx: mx.testing.example\nmax_age: 604800\n",
  "none.example": "version: STSv1\nmode: none\nmax_age: 604800\n",
  "broken.example": "version: STSv1\nmode: enforced\nmx: mx.broken.example\nmax_age: 604800\n",
  "attacked.example": "version: STSv1\nmode: enforce\nmx: mx.attacked.example\nmax_age: 604800\n",
};

const folder = mkdtempSync(join(tmpdir(), "stsmapd-demo-"));
try {
  await tell();
} finally {
  rmSync(folder, { recursive: true });
}

async function tell(): Promise<void> {
  const ca = createCa("stsmapd demo");
  await using dns = await startDnsServer();
  await using hosts = await startPolicyHost({ ca });
  for (const [domain, policy] of Object.entries(POLICIES)) {
    dns.zone.txt(`_mta-sts.${domain}`, "v=STSv1; id=20261121;", { ttl: 1 });
    dns.zone.a(`mta-sts.${domain}`, hosts.address);
    hosts.serve(domain, policy);
  }
  say(`A name server on ${dns.hostPort}, policy hosts on ${hosts.address}:${hosts.port}, all throw-away.\n`);

  const caFile = join(folder, "ca.pem");
  writeFileSync(caFile, ca.pem);
  const settings = {
    STSMAPD_LISTEN: '[{protocol: socketmap, address: "127.0.0.1:0"}]',
    STSMAPD_STORE_PATH: join(folder, "cache.sqlite"),
    STSMAPD_DNS_SERVERS: `["${dns.hostPort}"]`,
    STSMAPD_FETCH_PORT: String(hosts.port),
    STSMAPD_FETCH_CA_FILE: caFile,
    STSMAPD_FETCH_ALLOW_ADDRESSES: "[127.0.0.0/8]",
    STSMAPD_FETCH_PROXY: "none",
    // A day in a second, so that the attack need not wait for the record's TTL.
    STSMAPD_FRESHNESS_RECHECK_MIN: "1s",
  };
  await using daemon = await startServe(settings);
  using postfix = await SocketmapClient.connect(daemon.address);
  say(`stsmapd on ${daemon.address}. What Postfix asks, and what it is told:\n`);

  const question = async (domain: string, why: string): Promise<void> => {
    const { status, text } = await postfix.query("postfix", domain);
    say(`  ${styleText("bold", `postfix ${domain}`)}`);
    say(`    ${styleText(status === "OK" ? "green" : "yellow", `${status} ${text}`.trimEnd())}`);
    say(`    ${why}\n`);
  };

  await question(
    "enforce.example",
    "enforce: only these MX hosts, with a certificate that proves the name, else the mail waits",
  );
  await question(
    "testing.example",
    "testing: its owner is only trying it out; delivered as without a policy",
  );
  await question("none.example", "none: its owner has withdrawn MTA-STS; delivered as without a policy");
  await question("missing.example", "no record at _mta-sts.missing.example: the domain has no MTA-STS");
  await question(
    "broken.example",
    "the file has an unknown mode: all of it is refused, and there is no older policy to keep",
  );
  await question("attacked.example", "first use: the policy is fetched and pinned for its max_age, a week");

  dns.zone.remove("_mta-sts.attacked.example");
  dns.zone.remove("mta-sts.attacked.example");
  hosts.cut("attacked.example");
  say(
    "Now somebody takes the record of attacked.example away and its policy host down, and waits for the TTL to pass.\n",
  );
  const asked = dns.queries("_mta-sts.attacked.example", "TXT");
  while (dns.queries("_mta-sts.attacked.example", "TXT") === asked) {
    await postfix.query("postfix", "attacked.example");
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  await question(
    "attacked.example",
    "the record was looked for again and is gone, but the pin holds: no downgrade",
  );
}

interface ServeProcess extends AsyncDisposable {
  readonly address: string;
}

/** Starts the real daemon and waits until it says that it is ready. */
async function startServe(settings: Readonly<Record<string, string>>): Promise<ServeProcess> {
  const main = new URL("../src/main.ts", import.meta.url).pathname;
  const child = spawn(process.execPath, [main, "serve"], {
    env: { ...process.env, ...settings, STSMAPD_LOG_FORMAT: "json" },
    stdio: ["ignore", "pipe", "inherit"],
  });
  const exited = once(child, "exit");
  for await (const line of createInterface(child.stdout)) {
    const address = /"listen":\["([^"]+)"\].*"msg":"ready"/.exec(line)?.[1];
    if (address === undefined) continue;
    child.stdout.resume();
    return {
      address,
      async [Symbol.asyncDispose]() {
        child.kill();
        await exited;
      },
    };
  }
  throw new Error("stsmapd did not start");
}

function say(line: string): void {
  process.stdout.write(`${line}\n`);
}
