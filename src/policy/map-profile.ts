/** What one map name in Postfix's configuration stands for. */
export interface MapProfile {
  /** `3.10` adds the attributes that Postfix understands from 3.10 on, and that break every delivery before it. */
  readonly attributes: "3.4" | "3.10";
  /**
   * For a domain with usable DANE: `yield` leaves it to Postfix's own level, `dane-only` answers with the DANE level,
   * `ignore` applies MTA-STS regardless.
   */
  readonly dane: "yield" | "dane-only" | "ignore";
  /** What a policy in `testing` mode is answered with. */
  readonly testing: "notfound" | "enforce";
  /** What is answered when DNS could not be asked and nothing is cached. */
  readonly dnsFailure: "notfound" | "defer";
  /** Percent of all domains whose policies are enforced; the others are answered as if they had none (see rollout.ts). */
  readonly rollout: number;
}
