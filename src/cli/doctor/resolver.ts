/** Whether the name servers answer and validate DNSSEC: those of the daemon, and those of Postfix. */
import { readFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import type { Config } from "../../config.ts";
import { formatHostPort } from "../../net/listen-address.ts";
import type { HostPort } from "../../net/listen-address.ts";
import { checkValidation } from "../../net/dns/ad-trust.ts";
import type { Validation } from "../../net/dns/ad-trust.ts";
import { DnsClient } from "../../net/dns/client.ts";
import { parseResolvConf, ResolvConfFile } from "../../net/dns/resolv-conf.ts";
import { shellWord } from "./commands.ts";
import { ok, problem, skipped, warning } from "./finding.ts";
import type { Finding } from "./finding.ts";
import { smtpClients } from "./postfix-facts.ts";
import type { PostfixFacts } from "./postfix-facts.ts";

interface ServerFacts {
  /** `127.0.0.1:53`. */
  readonly server: string;
  readonly validation: Validation;
}

export interface ResolverFacts {
  readonly servers: readonly ServerFacts[];
  /** Whether the daemon may believe their AD bit: dns.trust_ad. */
  readonly trusted: boolean;
  readonly daneEnabled: boolean;
}

/** Asks each server by itself, for what the daemon's self-test asks. */
export async function gatherResolver(
  config: Config,
  trusted: boolean,
  signal: AbortSignal,
): Promise<ResolverFacts> {
  const own = config.dns.servers;
  const servers = own.length > 0 ? own : new ResolvConfFile().current().servers;
  return { servers: await testServers(servers, config, signal), trusted, daneEnabled: config.dane.enabled };
}

export function judgeResolver({ servers, trusted, daneEnabled }: ResolverFacts): Finding {
  const said = servers.map(describe).join("; ");
  const silent = servers.filter(({ validation }) => validation.state === "unknown");
  if (silent.length === servers.length)
    return problem("resolver", `no name server answers, so no policy can be found: ${said}`, LOCAL_RESOLVER);
  if (!daneEnabled) return ok("resolver", `${said}; dane.enabled is false`);
  if (servers.some(({ validation }) => validation.state === "not-validating"))
    return warning("resolver", `${said}: DANE is not looked for`, LOCAL_RESOLVER);
  if (!trusted) {
    const text = `${said}; their AD bit is not trusted (dns.trust_ad), so DANE is not looked for`;
    return warning("resolver", text, [
      ...LOCAL_RESOLVER,
      "# or, where nobody can tamper with the way to them, in stsmapd.yaml: dns: { trust_ad: always }",
    ]);
  }
  if (silent.length > 0)
    return warning("resolver", said, [
      "# start these servers, or take them out of /etc/resolv.conf or dns.servers",
    ]);
  return ok("resolver", said);
}

export interface PostfixResolverFacts {
  readonly servers: readonly ServerFacts[];
  /** resolv.conf in the chroot, where smtp(8) runs in one. */
  readonly chrootFile: { readonly path: string; readonly differs: boolean } | undefined;
  /** Has Postfix read its configuration again. */
  readonly reload: string;
  /** Whether its security level rests on DNSSEC. */
  readonly needsDnssec: boolean;
}

/** libc's, which Postfix uses: /etc/resolv.conf, or its copy in the chroot. */
export async function gatherPostfixResolver(
  facts: PostfixFacts,
  config: Config,
  signal: AbortSignal,
): Promise<PostfixResolverFacts> {
  const { parameters, commands } = facts;
  const outside = await readFile("/etc/resolv.conf", "latin1").catch(() => "");
  const isLockedIn = smtpClients(facts).some(({ chroot }) => chroot);
  const path = join(parameters["queue_directory"] ?? "/", "etc/resolv.conf");
  const inside = isLockedIn ? await readFile(path, "latin1").catch(() => undefined) : outside;
  const { servers } = parseResolvConf(inside ?? "");
  return {
    servers: await testServers(servers, config, signal),
    reload: commands.reload,
    chrootFile: isLockedIn ? { path, differs: inside !== outside } : undefined,
    needsDnssec: (parameters["smtp_tls_security_level"] ?? "").startsWith("dane"),
  };
}

export function judgePostfixResolver({
  servers,
  chrootFile,
  needsDnssec,
  reload,
}: PostfixResolverFacts): Finding {
  const said = servers.map(describe).join("; ");
  if (chrootFile?.differs === true) {
    const { path } = chrootFile;
    const text = `${path}, which smtp(8) uses in its chroot, is not /etc/resolv.conf`;
    return warning("postfix-resolver", text, [
      `mkdir -p ${shellWord(dirname(path))} && cp /etc/resolv.conf ${shellWord(path)}`,
      reload,
    ]);
  }
  if (servers.every(({ validation }) => validation.state === "unknown"))
    return problem("postfix-resolver", `no name server of Postfix answers: ${said}`, LOCAL_RESOLVER);
  if (!needsDnssec) return skipped("postfix-resolver", "no level of Postfix's rests on DNSSEC");
  if (servers.some(({ validation }) => validation.state === "not-validating")) {
    const text = `${said}: where Postfix is answered without the AD bit it checks no DANE`;
    return warning("postfix-resolver", text, LOCAL_RESOLVER);
  }
  return ok("postfix-resolver", said);
}

/** Not a command for resolv.conf: without a resolver that answers there, no mail would be delivered at all. */
const LOCAL_RESOLVER = [
  "apt-get install unbound  # or another resolver that validates, on 127.0.0.1",
  "dig +dnssec @127.0.0.1 . SOA",
  "# when that shows the flag ad, let `nameserver 127.0.0.1` be the only one in /etc/resolv.conf; if this is a symbolic link,",
  "# by what writes it",
];

async function testServers(
  servers: readonly HostPort[],
  { dns, dane }: Config,
  signal: AbortSignal,
): Promise<ServerFacts[]> {
  return Promise.all(
    servers.map(async (server) => {
      const client = new DnsClient({
        servers: () => [server],
        timeoutMs: dns.timeout,
        attempts: dns.attempts,
      });
      const test = { name: dane.selfTestName, type: dane.selfTestType, signal };
      return { server: formatHostPort(server), validation: await checkValidation(client, test) };
    }),
  );
}

function describe({ server, validation }: ServerFacts): string {
  if (validation.state === "unknown") return `${server} does not answer (${validation.error.message})`;
  return `${server} ${validation.state === "validating" ? "validates" : "does not validate DNSSEC"}`;
}
