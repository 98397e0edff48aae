/** What postconf(1) says of a Postfix instance. */
import { PostfixCommands } from "./commands.ts";
import { runProgram } from "./run-program.ts";

/** A line of master.cf. */
export interface Service {
  /** `smtp/unix`. */
  readonly name: string;
  readonly chroot: boolean;
  /** How many processes it may have. */
  readonly maxProcesses: number;
  /** The program, without arguments. */
  readonly program: string;
}

/** `-o parameter=value` of a service in master.cf. */
export interface ServiceOverride {
  readonly service: string;
  readonly parameter: string;
  readonly value: string;
}

export interface PostfixFacts {
  /** `3.7.11`. */
  readonly version: string;
  /** Those of {@link PARAMETERS} that this version knows, `$name` expanded. */
  readonly parameters: Readonly<Record<string, string>>;
  /** `smtp_tls_policy_maps` as main.cf has it. */
  readonly writtenPolicyMaps: string;
  readonly services: readonly Service[];
  readonly overrides: readonly ServiceOverride[];
  readonly commands: PostfixCommands;
}

export type PostfixState =
  | { readonly kind: "found"; readonly facts: PostfixFacts }
  | { readonly kind: "missing" }
  | { readonly kind: "failed"; readonly reason: string };

const PARAMETERS = [
  "compatibility_level",
  "config_directory",
  "default_process_limit",
  "default_transport",
  "mail_owner",
  "mail_version",
  "multi_instance_directories",
  "queue_directory",
  "relayhost",
  "sender_dependent_default_transport_maps",
  "sender_dependent_relayhost_maps",
  "smtp_dns_support_level",
  "smtp_enforce_tls",
  "smtp_host_lookup",
  "smtp_tls_CAfile",
  "smtp_tls_CApath",
  "smtp_tls_connection_reuse",
  "smtp_tls_enforce_sts_mx_patterns",
  "smtp_tls_mandatory_protocols",
  "smtp_tls_policy_maps",
  "smtp_tls_security_level",
  "smtp_use_tls",
  "tls_append_default_CA",
  "transport_maps",
];

/**
 * Asks postconf(1), in `PATH` or /usr/sbin. Never rejects.
 *
 * @param folder that of main.cf; undefined for Postfix's default
 */
export async function gatherPostfix(folder: string | undefined, signal: AbortSignal): Promise<PostfixState> {
  const option = folder === undefined ? [] : ["-c", folder];
  const queries = [["-x", ...PARAMETERS], ["-h", "smtp_tls_policy_maps"], ["-M"], ["-P"]];
  const results = await Promise.all(
    queries.map((query) => runProgram("postconf", [...option, ...query], { signal })),
  );
  const outputs: string[] = [];
  for (const result of results) {
    if (result.kind !== "ended") return result;
    if (result.code !== 0) return { kind: "failed", reason: result.stderr.trim().replaceAll("\n", "; ") };
    outputs.push(result.stdout);
  }
  const [values = "", written = "", services = "", overrides = ""] = outputs;
  const parameters = parseParameters(values);
  return {
    kind: "found",
    facts: {
      version: parameters["mail_version"] ?? "",
      parameters,
      writtenPolicyMaps: written.trim(),
      services: parseServices(services, parameters),
      overrides: parseOverrides(overrides),
      commands: new PostfixCommands(folder),
    },
  };
}

function parseParameters(text: string): Record<string, string> {
  const lines = text.split("\n").map((line) => /^(\w+) = ?(.*)$/.exec(line));
  return Object.fromEntries(lines.flatMap((line) => (line ? [[line[1] ?? "", (line[2] ?? "").trim()]] : [])));
}

/** The output of `postconf -M`: service, type, private, unprivileged, chroot, wake-up, limit, command. */
export function parseServices(text: string, parameters: Readonly<Record<string, string>>): Service[] {
  // master(5): `-` in the column chroot means yes up to compatibility level 0.
  const defaultChroot = Number.parseFloat(parameters["compatibility_level"] ?? "0") < 1;
  const defaultLimit = Number(parameters["default_process_limit"] ?? 100);
  return text
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => {
      const [name, type, , , chroot, , limit = "-", program = ""] = line.split(/\s+/);
      return {
        name: `${name}/${type}`,
        chroot: chroot === "-" ? defaultChroot : chroot === "y",
        // 0 is "no limit".
        maxProcesses: limit === "-" ? defaultLimit : Number(limit) || Infinity,
        program,
      };
    });
}

/** The output of `postconf -P`: `relay/unix/smtp_tls_policy_maps = …`. */
export function parseOverrides(text: string): ServiceOverride[] {
  return text.split("\n").flatMap((line) => {
    const [, service, parameter, value] = /^(\S+\/\w+)\/(\w+) = ?(.*)$/.exec(line) ?? [];
    return service !== undefined && parameter !== undefined
      ? [{ service, parameter, value: value ?? "" }]
      : [];
  });
}

/** The services that send mail by SMTP. */
export function smtpClients({ services }: Pick<PostfixFacts, "services">): Service[] {
  return services.filter(({ program }) => program === "smtp");
}
