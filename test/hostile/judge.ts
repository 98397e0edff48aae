import type { Outcome } from "./measure.ts";

/** Descriptors of DNS and of the store come and go. */
const DESCRIPTORS = 8;

/** Part of a core that a daemon under few descriptors may take: it answers one client, and does not spin. */
const MOST_CPU = 0.5;

/** What was not as it should be. */
export function faultsOf({ attack, seen, before, peak, after, cpu, wrong, logged }: Outcome): string[] {
  const faults = [...wrong.slice(0, 3), ...logged.slice(0, 3)];
  if (seen.faults > 0) faults.push(seen.text);
  const grown = peak.rss - before.rss;
  if (grown > attack.memory) faults.push(`${grown.toFixed(0)} MiB more than before`);
  if (after.descriptors > before.descriptors + DESCRIPTORS)
    faults.push(`${after.descriptors} descriptors are open, ${before.descriptors} before`);
  if (attack.surroundings === "few-descriptors" && cpu > MOST_CPU)
    faults.push(`takes ${(cpu * 100).toFixed(0)} % of a core`);
  return faults;
}
