import { readdir, readFile } from "node:fs/promises";
import type { CertificateAuthority } from "./certificates.ts";
import { PostfixInstance } from "./postfix-instance.ts";
import { eventually, mustRun } from "./process.ts";

interface Receiver {
  readonly hostname: string;
  readonly address: string;
  /** Makes its certificate; null where STARTTLS is not offered. */
  readonly certificate: ((authority: CertificateAuthority) => Promise<string>) | null;
}

/** The MX hosts of the world, by what is to be seen there. */
export const mx = {
  good: "good.mx.example",
  selfSigned: "self-signed.mx.example",
  wrongName: "wrong-name.mx.example",
  expired: "expired.mx.example",
  plain: "plain.mx.example",
  deep: "deep.below.mx.example",
  /** Has a certificate for all names one label below `dane.example`. */
  wildcard: "wildcard.mx.example",
} as const;

const receivers: readonly Receiver[] = [
  { hostname: mx.good, address: "10.53.1.1", certificate: (ca) => ca.issue(mx.good) },
  { hostname: mx.selfSigned, address: "10.53.1.2", certificate: (ca) => ca.selfSigned(mx.selfSigned) },
  { hostname: mx.wrongName, address: "10.53.1.3", certificate: (ca) => ca.issue("other.mx.example") },
  { hostname: mx.expired, address: "10.53.1.4", certificate: (ca) => ca.issueExpired(mx.expired) },
  { hostname: mx.plain, address: "10.53.1.5", certificate: null },
  { hostname: mx.wildcard, address: "10.53.1.7", certificate: (ca) => ca.issue("*.dane.example") },
  { hostname: mx.deep, address: "10.53.1.6", certificate: (ca) => ca.issue(mx.deep) },
];

/** Address records of the receivers, relative to `mx.example`. */
export const receiverRecords = receivers.map(({ hostname, address }) => `${hostname}. A ${address}`);

/** One SMTP session as a receiver saw it. */
export interface Session {
  readonly receiver: string;
  readonly startTls: boolean;
  /** Whether the client got as far as naming sender and recipients. */
  readonly mail: boolean;
}

/** A Postfix with one smtpd(8) for each MX host; it takes mail for everybody and keeps it in one Maildir. */
export class Receivers {
  readonly #authority: CertificateAuthority;
  readonly #postfix: PostfixInstance;
  /** By host name. */
  readonly #certificates = new Map<string, string>();

  constructor(folder: string, authority: CertificateAuthority) {
    this.#authority = authority;
    this.#postfix = new PostfixInstance(folder, {
      myhostname: "receivers.example",
      smtpd_tls_received_header: "yes",
      smtpd_peername_lookup: "no",
      // Every scenario connects from the same address, some of them to be refused.
      smtpd_client_connection_count_limit: "0",
      virtual_mailbox_domains: "static:all",
      virtual_mailbox_maps: "static:inbox/",
      virtual_mailbox_base: `${folder}/mail`,
      virtual_uid_maps: "static:65534",
      virtual_gid_maps: "static:65534",
    });
  }

  async start(): Promise<void> {
    const services: string[] = [];
    for (const { hostname, address, certificate } of receivers) {
      const options = [`syslog_name=${hostname}`, `myhostname=${hostname}`];
      if (certificate !== null) {
        const file = await certificate(this.#authority);
        this.#certificates.set(hostname, file);
        options.push("smtpd_tls_security_level=may", `smtpd_tls_chain_files=${file}`);
      }
      services.push(
        `${address}:25 inet n - n - - smtpd ${options.map((option) => `-o ${option}`).join(" ")}\n`,
      );
    }
    const inbox = `${this.#postfix.folder}/mail`;
    await mustRun("install", ["-d", "-o", "nobody", "-g", "nogroup", inbox]);
    await this.#postfix.start(services.join(""));
  }

  async stop(): Promise<void> {
    await this.#postfix.stop();
  }

  /** The PEM file with key and certificate of an MX host. */
  certificateOf(hostname: string): string {
    const file = this.#certificates.get(hostname);
    if (file === undefined) throw new Error(`${hostname} has no certificate`);
    return file;
  }

  /** The address of an MX host, for host names of another zone. */
  addressOf(hostname: string): string {
    const receiver = receivers.find((candidate) => candidate.hostname === hostname);
    if (receiver === undefined) throw new Error(`there is no MX host ${hostname}`);
    return receiver.address;
  }

  /** Waits for the message to that recipient and returns its text, `Received:` headers included. */
  received(recipient: string): Promise<string> {
    return eventually(`a message to ${recipient}`, async () =>
      (await this.#messages()).find((text) => text.includes(`\nDelivered-To: ${recipient}\n`)),
    );
  }

  /** A place in the log, for `sessions`. */
  async mark(): Promise<number> {
    return (await this.#postfix.logLines()).length;
  }

  /** All SMTP sessions since `mark`, once every one of them has ended. */
  sessions(mark: number): Promise<Session[]> {
    return eventually("all SMTP sessions to end", async () => {
      const lines = await this.#postfix.logLines(mark);
      const ended = lines.flatMap((line) => {
        const match = / (\S+)\/smtpd\[\d+\]: disconnect from (.*)/u.exec(line);
        if (match === null) return [];
        const commands = match[2] ?? "";
        return [
          {
            receiver: match[1] ?? "",
            startTls: commands.includes(" starttls=1"),
            mail: commands.includes(" mail="),
          },
        ];
      });
      const begun = lines.filter((line) => /\/smtpd\[\d+\]: connect from /u.test(line));
      return ended.length === begun.length && ended;
    });
  }

  async #messages(): Promise<string[]> {
    const inbox = `${this.#postfix.folder}/mail/inbox/new`;
    const names = await readdir(inbox).catch(() => []);
    return Promise.all(names.map((name) => readFile(`${inbox}/${name}`, "utf8")));
  }
}
