/** Whether the clock is right: certificates, signatures and the expiry of policies are judged by it. */
import { runProgram } from "./run-program.ts";
import type { ProbeFacts } from "./policy-host.ts";
import { ok, problem, unknown, warning } from "./finding.ts";
import type { Finding } from "./finding.ts";

export interface ClockFacts {
  /** Milliseconds since 1970, as all times here. */
  readonly now: number;
  /** By the `Date` header of the policy host. */
  readonly policyHost: number | undefined;
  /** When the newest entry of the cache was fetched. */
  readonly newestEntry: number | undefined;
  /** What systemd says of it; undefined where there is no systemd. */
  readonly synchronized: boolean | undefined;
}

/** Milliseconds; the policy host's answer is on its way for some seconds of them at most. */
const TOLERANCE = 5 * 60_000;

export function judgeClock({ now, policyHost, newestEntry, synchronized }: ClockFacts): Finding {
  const mend = ["timedatectl set-ntp true  # or start chrony, or another time service", "timedatectl"];
  if (policyHost !== undefined && Math.abs(now - policyHost) > TOLERANCE) {
    const side = now < policyHost ? "behind" : "ahead of";
    return problem("clock", `${minutes(now - policyHost)} ${side} the policy host's`, mend);
  }
  if (newestEntry !== undefined && newestEntry - now > TOLERANCE) {
    const text = `the cache has an entry from ${minutes(newestEntry - now)} in the future: the clock is behind, or was ahead then`;
    return problem("clock", text, mend);
  }
  if (synchronized === false)
    return warning("clock", "no time service keeps it right (NTPSynchronized=no)", mend);
  const seen = [
    ...(synchronized === true ? ["kept by a time service"] : []),
    ...(policyHost === undefined ? [] : ["agrees with the policy host's"]),
  ];
  if (seen.length > 0) return ok("clock", seen.join(", "));
  return unknown("clock", "nothing to compare it with: neither a policy host nor systemd", "timedatectl");
}

/** The policy host's time, failed fetch or not. */
export function timeOfPolicyHost(probe: ProbeFacts | undefined): number | undefined {
  const fetch = probe?.fetch;
  const date = fetch?.kind === "failed" ? fetch.error.trace.date : fetch?.trace.date;
  const time = Date.parse(date ?? "");
  return Number.isNaN(time) ? undefined : time;
}

export async function isSynchronized(signal: AbortSignal): Promise<boolean | undefined> {
  const result = await runProgram("timedatectl", ["show", "-p", "NTPSynchronized", "--value"], { signal });
  if (result.kind !== "ended" || result.code !== 0) return undefined;
  return result.stdout.trim() === "yes";
}

function minutes(milliseconds: number): string {
  const count = Math.round(Math.abs(milliseconds) / 60_000);
  if (count < 120) return `${count} minutes`;
  return count < 2_880 ? `${Math.round(count / 60)} hours` : `${Math.round(count / 1_440)} days`;
}
