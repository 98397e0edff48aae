/** Whether a policy can be fetched from the Internet, directly or through the proxy, and if not, which step fails. */
import { FetchError } from "../../net/policy-host/policy-fetcher.ts";
import type { FetchFailureReason } from "../../net/policy-host/policy-fetcher.ts";
import type { Network } from "../../parts/network.ts";
import { discoverRecord } from "../../lookup/discovery.ts";
import type { RecordDiscovery } from "../../lookup/discovery.ts";
import type { FetchExamination } from "../../lookup/examination.ts";
import { ok, problem, skipped, warning } from "./finding.ts";
import type { Finding } from "./finding.ts";

export interface ProbeFacts {
  readonly domain: string;
  readonly record: RecordDiscovery;
  /** Undefined where there is no record. */
  readonly fetch: FetchExamination | undefined;
}

/** The first two steps of `check`: the record, and the policy it promises. */
export async function gatherProbe(
  domain: string,
  { resolver, fetcher }: Pick<Network, "resolver" | "fetcher">,
  signal: AbortSignal,
): Promise<ProbeFacts> {
  const record = await discoverRecord(domain, resolver, signal);
  if (record.kind !== "record") return { domain, record, fetch: undefined };
  try {
    return { domain, record, fetch: { kind: "fetched", ...(await fetcher.fetch(domain, signal)) } };
  } catch (error) {
    if (!(error instanceof FetchError)) throw error;
    return { domain, record, fetch: { kind: "failed", error } };
  }
}

export function judgeProbe(facts: ProbeFacts | undefined): Finding {
  if (facts === undefined) return skipped("policy-host", "--no-probe");
  const { domain, record, fetch } = facts;
  const again = `stsmapd check ${domain}`;
  if (record.kind === "dns-failure")
    return problem("policy-host", `${domain}: DNS failed: ${record.error.message}`, [
      "# see what resolver says, below",
      again,
    ]);
  if (fetch === undefined) {
    const text = `${domain} has no policy, so that nothing was fetched`;
    return warning("policy-host", text, [
      "stsmapd doctor --probe gmail.com  # or another domain with a policy",
    ]);
  }
  const { trace } = fetch.kind === "fetched" ? fetch : fetch.error;
  const way = trace.proxy === undefined ? "directly" : `through the proxy ${trace.proxy}`;
  if (fetch.kind === "fetched")
    return ok("policy-host", `fetched ${trace.url} ${way} in ${Math.round(trace.durationMs)} ms`);
  const { reason, message } = fetch.error;
  const [step, advice] = STEPS[STEP_OF[reason] ?? "http"];
  return problem("policy-host", `${domain}: ${step} failed ${way}: ${message}`, [advice, again]);
}

type Step = "dns" | "tcp" | "tls" | "http" | "local";

const STEPS: Record<Step, readonly [name: string, advice: string]> = {
  dns: ["DNS", "# see what resolver says, below"],
  tcp: [
    "TCP",
    "# let this machine out to port 443, or set the proxy in stsmapd.yaml: fetch: { proxy: http://… }",
  ],
  tls: [
    "TLS",
    "# if something on the way opens TLS, set its authority in stsmapd.yaml: fetch: { ca_file: … }; see clock, below",
  ],
  http: ["HTTP", "# the policy host's own fault, unless others fail too: try another --probe"],
  local: ["this machine", "# see what the daemon's log says: journalctl -u stsmapd -p warning"],
};

/** All others are of HTTP. */
const STEP_OF: Partial<Record<FetchFailureReason, Step>> = {
  "dns-error": "dns",
  "no-address": "dns",
  "address-refused": "tcp",
  "connect-failed": "tcp",
  "proxy-failed": "tcp",
  timeout: "tcp",
  aborted: "tcp",
  "tls-error": "tls",
  "tls-version": "tls",
  "certificate-expired": "tls",
  "certificate-not-yet-valid": "tls",
  "certificate-name-mismatch": "tls",
  "certificate-self-signed": "tls",
  "certificate-untrusted": "tls",
  "certificate-invalid": "tls",
  "local-error": "local",
  overloaded: "local",
};
