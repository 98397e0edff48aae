import { PostfixInstance, type Settings } from "./postfix-instance.ts";
import { eventually, type Result } from "./process.ts";

/** What became of one delivery attempt, as the sender's smtp(8) logged it. */
export interface Outcome {
  readonly recipient: string;
  /** `sent`, `deferred` or `bounced`. */
  readonly status: string;
  /** The text in brackets: the server's reply, or why not. */
  readonly reason: string;
  /** `Verified`, `Trusted`, `Untrusted`, `Anonymous`, or null where there was no TLS session. */
  readonly tls: string | null;
}

/** A Postfix that asks stsmapd, and gets its mail by sendmail(1). */
export class Sender {
  readonly postfix: PostfixInstance;
  #messages = 0;

  /** `trustedRoots`: PEM file. `settings` come last in main.cf. `root` as in PostfixInstance. */
  constructor(folder: string, trustedRoots: string, settings: Settings = {}, root?: string) {
    const all: Settings = {
      myhostname: "relay.example",
      inet_interfaces: "127.0.0.1",
      smtp_tls_security_level: "may",
      smtp_tls_policy_maps: "socketmap:inet:127.0.0.1:8461:postfix",
      smtp_tls_CAfile: trustedRoots,
      smtp_tls_loglevel: "1",
      smtp_connect_timeout: "5s",
      // A failed delivery must not suspend its domain: each scenario's next message has to be tried at once.
      default_destination_concurrency_failed_cohort_limit: "0",
      // Deferred mail waits for `flush`.
      minimal_backoff_time: "1h",
      maximal_backoff_time: "1h",
      ...settings,
    };
    this.postfix = new PostfixInstance(folder, all, root);
  }

  /** Injects a message to a recipient of its own at `domain`, and returns that recipient. */
  async inject(domain: string): Promise<string> {
    this.#messages += 1;
    const recipient = `m${this.#messages}@${domain}`;
    await this.injectTo([recipient]);
    return recipient;
  }

  /** Injects one message to all these recipients; outcomes are told apart by recipient, so each is used once. */
  async injectTo(recipients: readonly string[]): Promise<void> {
    const text = "From: sender@relay.example\nSubject: confidential\n\nSecret.\n";
    const args = ["-i", "-f", "sender@relay.example", ...recipients];
    const result = await this.postfix.command("sendmail", args, text);
    if (result.code !== 0) throw new Error(`sendmail failed: ${result.stderr}`);
  }

  /** Waits for the outcome of delivery attempt number `attempt` (from 1) to `recipient`. */
  outcome(recipient: string, attempt = 1): Promise<Outcome> {
    return eventually(`attempt ${attempt} to ${recipient}`, async () => {
      const lines = await this.postfix.logLines();
      const attempts = lines.flatMap((line, index) => (line.includes(`to=<${recipient}>`) ? [index] : []));
      const index = attempts[attempt - 1];
      return index !== undefined && { recipient, ...readOutcome(lines, index) };
    });
  }

  /** Injects a message and waits for what becomes of it. */
  async send(domain: string): Promise<Outcome> {
    return this.outcome(await this.inject(domain));
  }

  /** Tries all deferred mail again, now. */
  async flush(): Promise<void> {
    await this.postfix.command("postqueue", ["-f"]);
  }

  /** Waits until no attempt to deliver is under way: all mail left is deferred. */
  async settled(): Promise<void> {
    await eventually("a queue of deferred mail alone", async () => {
      const { code, stdout } = await this.postfix.command("postqueue", ["-j"]);
      return code === 0 && !/"queue_name": "(?:incoming|active)"/u.test(stdout);
    });
  }

  /** Removes all mail from the queue, so that no scenario sees another's. */
  async emptyQueue(): Promise<void> {
    await this.postfix.command("postsuper", ["-d", "ALL"]);
  }

  /** `postmap -q key map`: exit status 0 and the value, or 1 and nothing. */
  query(map: string, key: string): Promise<Result> {
    return this.postfix.command("postmap", ["-q", key, map]);
  }

  /** `postmap -q -`: many keys in one connection; prints key, tab and value of those that are found. */
  queries(map: string, keys: readonly string[]): Promise<Result> {
    return this.postfix.command("postmap", ["-q", "-", map], `${keys.join("\n")}\n`);
  }
}

function readOutcome(lines: readonly string[], index: number): Omit<Outcome, "recipient"> {
  const line = lines[index] ?? "";
  const match = /\/(\w+\[\d+\]): .* status=(\w+) \((.*)\)$/u.exec(line);
  if (match === null) throw new Error(`no outcome in: ${line}`);
  const [, client = "", status = "", reason = ""] = match;
  // One smtp(8) process makes one delivery at a time: its lines back to its previous outcome belong to this one.
  const own = lines.slice(0, index).filter((earlier) => earlier.includes(`/${client}:`));
  const previous = own.findLastIndex((earlier) => earlier.includes(": to=<"));
  const handshakes = own.slice(previous + 1).flatMap((earlier) => {
    const level = /: (\w+) TLS connection established to /u.exec(earlier)?.[1];
    return level === undefined ? [] : [level];
  });
  return { status, reason, tls: handshakes.at(-1) ?? null };
}
