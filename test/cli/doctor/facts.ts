/** A Postfix in good order, as the judges see it. */
import { parseConfig } from "../../../src/config.ts";
import type { Config } from "../../../src/config.ts";
import { PostfixCommands } from "../../../src/cli/doctor/commands.ts";
import { whereItListens } from "../../../src/cli/doctor/listening.ts";
import { findOwnTable } from "../../../src/cli/doctor/own-table.ts";
import type { OwnTable } from "../../../src/cli/doctor/own-table.ts";
import { parseOverrides, parseServices } from "../../../src/cli/doctor/postfix-facts.ts";
import type { PostfixFacts } from "../../../src/cli/doctor/postfix-facts.ts";
import type { Readiness, Served } from "../../../src/cli/doctor/readiness.ts";
import { VERSION } from "../../../src/version.ts";

const MASTER =
  "smtp unix - - n - - smtp\nrelay unix - - n - 20 smtp -o syslog_name=relay\nscache unix - - n - 1 scache\n";

export interface Change {
  readonly version?: string;
  readonly parameters?: Readonly<Record<string, string>>;
  /** As `postconf -M` prints them. */
  readonly services?: string;
  /** As `postconf -P` prints them. */
  readonly overrides?: string;
}

export function postfixFacts(change: Change = {}): PostfixFacts {
  const { version = "3.9.1", services = MASTER, overrides = "" } = change;
  const parameters = {
    compatibility_level: "3.6",
    config_directory: "/etc/postfix",
    default_process_limit: "100",
    default_transport: "smtp",
    mail_owner: "postfix",
    mail_version: version,
    multi_instance_directories: "",
    queue_directory: "/var/spool/postfix",
    relayhost: "",
    smtp_dns_support_level: "dnssec",
    smtp_host_lookup: "dns",
    smtp_tls_connection_reuse: "no",
    smtp_tls_mandatory_protocols: ">=TLSv1",
    smtp_tls_policy_maps: "socketmap:inet:127.0.0.1:8461:postfix",
    smtp_tls_security_level: "dane",
    ...change.parameters,
  };
  return {
    version,
    parameters,
    writtenPolicyMaps: parameters.smtp_tls_policy_maps,
    services: parseServices(services, parameters),
    overrides: parseOverrides(overrides),
    commands: new PostfixCommands(undefined),
  };
}

export function configOf(yaml = ""): Config {
  return parseConfig(yaml, "test.yaml", { HOME: "/nonexistent" });
}

export function ownTable(facts: PostfixFacts, config = configOf()): OwnTable | undefined {
  return findOwnTable(facts, whereItListens(config, NOT_ASKED), config.maps);
}

/** A daemon without an admin socket. */
export const NOT_ASKED: Readiness = { kind: "no-socket" };

/** A daemon in good order that says it listens there. */
export function answered(listen: readonly Served[] = []): Readiness {
  return { kind: "answered", state: "ok", version: VERSION, problems: [], listen };
}
