/** Which domains a map enforces while enforcement is being switched on by degrees. */
import { hash } from "node:crypto";

/**
 * Where `domain` stands among all domains, in percent from 0 to less than 100: the first four octets of the SHA-256 of its
 * name, as a big-endian number. It is the same for ever and on every machine, so that relays with one configuration treat a
 * domain alike, and a larger part holds all domains of a smaller one.
 *
 * @param domain lower-case A-labels
 */
export function rolloutPlace(domain: string): number {
  return (hash("sha256", domain, "buffer").readUInt32BE(0) / 2 ** 32) * 100;
}

/** Whether a policy of `domain` is not enforced where `percent` of all domains are. */
export function isHeldBack(domain: string, percent: number): boolean {
  if (percent >= 100) return false;
  return percent <= 0 || rolloutPlace(domain) >= percent;
}
