/**
 * Recipient domains in the log: as they are, by a pseudonym, or not at all. All lines pass here, so whoever logs need not
 * think of it, but for one rule: a line about a domain has it in `domain`.
 */
import { createHmac } from "node:crypto";

export interface LogDomainsOptions {
  readonly domains: true | "hash" | false;
  /** The secret of the pseudonyms. */
  readonly hashKey?: string | undefined;
}

/**
 * What a line about a domain keeps beside it when the domain is not to be seen: times, and words from closed sets. Reasons,
 * record ids and addresses tell of the domain too, and are left out, as is every field that nobody has thought of here.
 */
const NAMELESS: ReadonlySet<string> = new Set([
  "action",
  "class",
  "code",
  "duration_ms",
  "expires",
  "last_known",
  "map",
  "mode",
  "operation",
  "previous",
  "result",
  "rollout",
  "state",
  "trigger",
  "until",
]);

/**
 * What stands for `domain` in the log: HMAC-SHA-256 under `key`, cut to 64 bits.
 *
 * @param domain lower-case A-labels
 */
export function domainPseudonym(domain: string, key: string): string {
  return createHmac("sha256", key).update(domain).digest("hex").slice(0, 16);
}

export class LogDomains {
  #options: LogDomainsOptions;

  constructor(options: LogDomainsOptions) {
    this.#options = options;
  }

  /** The options from the next line on. */
  use(options: LogDomainsOptions): void {
    this.#options = options;
  }

  /** The fields of a line as they may be written. */
  censor(fields: Record<string, unknown>): Record<string, unknown> {
    const { domains, hashKey } = this.#options;
    if (domains === true) return fields;
    const { domain } = fields;
    if (typeof domain !== "string") return withoutText(fields);
    const kept = Object.fromEntries(Object.entries(fields).filter(([name]) => NAMELESS.has(name)));
    const shown =
      domains === "hash" && hashKey !== undefined ? { domain: domainPseudonym(domain, hashKey) } : {};
    return { ...shown, ...kept, ...("err" in fields && { err: bareError(fields["err"]) }) };
  }
}

/** A line about no domain. Errors, and what is wrong with a configuration, may still quote one. */
function withoutText({ err, problems, ...fields }: Record<string, unknown>): Record<string, unknown> {
  return {
    ...fields,
    ...(err !== undefined && { err: bareError(err) }),
    // `file:line:column: key: what is wrong`: the place remains.
    ...(Array.isArray(problems) && {
      problems: problems.map((problem) => String(problem).split(": ", 1)[0]),
    }),
  };
}

/** What an error is and where it happened, without its words and those of its causes. */
function bareError(error: unknown): object {
  if (!(error instanceof Error)) return { type: typeof error };
  const frames = error.stack?.split("\n").filter((line) => /^\s+at /.test(line)) ?? [];
  return { type: error.name, ...("code" in error && { code: error.code }), stack: frames.join("\n") };
}
