/** The configuration: one YAML file, overridden by the environment, checked as a whole before anything uses it. */
import { readFileSync } from "node:fs";
import * as z from "zod/mini";
import {
  CONFIG_VARIABLE,
  type Environment,
  type Override,
  defaultAdminSocket,
  defaultStorePath,
  readOverrides,
} from "./config/environment.ts";
import { defaultListeners, notHandedDown } from "./config/listen.ts";
import { describe, isUnknownKey, problemLine } from "./config/problems.ts";
import { maskCredentials } from "./config/proxy.ts";
import { type Config, schema } from "./config/schema.ts";
import { type Path, deepFreeze, updateAt, valueAt, withoutNulls } from "./config/tree.ts";
import { readYaml, writeYaml } from "./config/yaml.ts";

export { formatAddress } from "./config/listen.ts";
export type { Listener } from "./config/listen.ts";
export type { Config } from "./config/schema.ts";

/** Read where no other file is named; it may be missing. */
export const DEFAULT_CONFIG_PATH = "/etc/stsmapd/stsmapd.yaml";

/** `unreadable`: the file cannot be read. `invalid`: it, or the environment, says what the schema refuses. */
export type ConfigErrorCode = "unreadable" | "invalid";

/** There is no configuration to run with. The caller prints the message, a line a problem, and exits with 78. */
export class ConfigError extends Error {
  override readonly name = "ConfigError";
  readonly code: ConfigErrorCode;
  /** All that is wrong: `file:line:column: key.path: what is wrong (what is allowed)`. */
  readonly problems: readonly string[];

  constructor(code: ConfigErrorCode, problems: readonly string[], options?: ErrorOptions) {
    super(problems.join("\n"), options);
    this.code = code;
    this.problems = problems;
  }
}

export interface LoadOptions {
  /** The file; by default `STSMAPD_CONFIG` of the environment, else {@link DEFAULT_CONFIG_PATH}. */
  readonly path?: string | undefined;
  readonly env: Environment;
  /** Names of the sockets that systemd handed down; undefined: another process than the daemon asks. */
  readonly handedDown?: readonly string[] | undefined;
  /** Reads a text file; throws as `readFileSync` does. */
  readonly readFile?: (path: string) => string;
}

/** Reads and checks the configuration. Throws {@link ConfigError}. */
export function loadConfig({
  path,
  env,
  handedDown,
  readFile = (name) => readFileSync(name, "utf8"),
}: LoadOptions): Config {
  const named = path ?? (env[CONFIG_VARIABLE] || undefined);
  const file = named ?? DEFAULT_CONFIG_PATH;
  let text = "";
  try {
    text = readFile(file);
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    const mayBeMissing = named === undefined && reason.startsWith("ENOENT");
    if (!mayBeMissing) throw new ConfigError("unreadable", [`${file}: cannot be read: ${reason}`], { cause });
  }
  return parseConfig(text, file, env, handedDown);
}

/**
 * Checks `text`, the content of `fileName`, together with the environment and, where `handedDown` gives them, the names of
 * the sockets that systemd handed down. Throws {@link ConfigError}.
 */
export function parseConfig(
  text: string,
  fileName: string,
  env: Environment,
  handedDown?: readonly string[],
): Config {
  const file = readYaml(text);
  const { overrides, problems } = readOverrides(env);
  const written = withoutNulls(file.value ?? {});
  const complete = updateAt(written, ["store", "path"], (path) => path ?? defaultStorePath(env));
  const overridden = overrides.reduce((tree, { path, value }) => updateAt(tree, path, () => value), complete);
  const listening = updateAt(overridden, ["listen"], (value) => value ?? defaultListeners(handedDown ?? []));
  const root = withAdminSocket(listening);
  const result = z.safeDecode(schema, root, { reportInput: true });

  const problemAt = (path: Path, part: "key" | "value", message: string) => {
    const place = overrideOf(path, overrides) ?? `${fileName}:${file.locate(path, part)}`;
    return problemLine(place, path, message);
  };
  const missing = handedDown && result.data && notHandedDown(result.data.listen, handedDown);
  const all = [
    ...file.problems.map(({ place, path, message }) => problemLine(`${fileName}:${place}`, path, message)),
    ...(result.error?.issues ?? []).map((issue) =>
      problemAt(issue.path, isUnknownKey(issue) ? "key" : "value", describe(issue)),
    ),
    ...(missing ? [problemAt(["listen", missing.index, "address"], "value", missing.message)] : []),
    ...problems,
  ];
  if (!result.success || all.length > 0) throw new ConfigError("invalid", all);
  return deepFreeze(result.data);
}

/** `config` as a file that {@link parseConfig} reads as the same configuration, but for the secrets in it. */
export function renderConfig(config: Config): string {
  const { fetch } = config;
  return writeYaml(z.encode(schema, { ...config, fetch: { ...fetch, proxy: maskCredentials(fetch.proxy) } }));
}

function withAdminSocket(root: unknown): unknown {
  const storePath = valueAt(root, ["store", "path"]);
  const socket = typeof storePath === "string" ? defaultAdminSocket(storePath) : "none";
  return updateAt(root, ["admin", "socket"], (written) => written ?? socket);
}

/** The variable that set what lies at `path`. */
function overrideOf(path: Path, overrides: readonly Override[]): string | undefined {
  return overrides.find((override) => override.path.every((step, depth) => step === path[depth]))?.variable;
}
