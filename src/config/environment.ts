/** What the environment says: overrides of keys, and where the state is kept. */
import { dirname, resolve } from "node:path";
import { problemLine, unknownName } from "./problems.ts";
import { canListenAt } from "../net/socket-path.ts";
import type { Field } from "./fields.ts";
import { schema } from "./schema.ts";
import { isSection } from "./section.ts";
import type { Path } from "./tree.ts";
import { readYaml } from "./yaml.ts";

export type Environment = Readonly<Record<string, string | undefined>>;

/** One `STSMAPD_…` variable that sets a key. */
export interface Override {
  readonly variable: string;
  readonly path: Path;
  readonly value: unknown;
}

export interface Overrides {
  readonly overrides: readonly Override[];
  /** Complete lines: variables that set nothing, or are no YAML. */
  readonly problems: readonly string[];
}

const PREFIX = "STSMAPD_";
/** Names the file, and is no key of it. */
export const CONFIG_VARIABLE = "STSMAPD_CONFIG";
// Kubernetes and Docker set these in every container beside a service that is called stsmapd.
const SERVICE_LINK = /^STSMAPD_(?:SERVICE_(?:HOST|PORT)|PORT|NAME|ENV)(?:_|$)/;

/** The overrides in `env`: `STSMAPD_<SECTION>_<KEY>`, the value as YAML. A variable that is empty is not set. */
export function readOverrides(env: Environment): Overrides {
  const known = variables(schema.fields);
  const overrides: Override[] = [];
  const problems: string[] = [];
  for (const [variable, text] of Object.entries(env)) {
    if (!variable.startsWith(PREFIX) || variable === CONFIG_VARIABLE || SERVICE_LINK.test(variable)) continue;
    const path = known.get(variable);
    if (!path) {
      problems.push(problemLine(variable, [], unknownName("unknown variable", variable, [...known.keys()])));
      continue;
    }
    const {
      value,
      problems: [syntax],
    } = readYaml(text ?? "");
    if (syntax) problems.push(problemLine(variable, path, syntax.message));
    else if (value !== undefined && value !== null) overrides.push({ variable, path, value });
  }
  return { overrides, problems };
}

/** Every variable there is, and the key it sets. */
function variables(fields: Readonly<Record<string, Field<unknown>>>, above: Path = []): Map<string, Path> {
  return new Map(
    Object.entries(fields).flatMap(([key, field]): [string, Path][] => {
      const path = [...above, key];
      return isSection(field)
        ? [...variables(field.fields, path)]
        : [[PREFIX + path.join("_").toUpperCase(), path]];
    }),
  );
}

/** The admin socket where none is configured: beside the database. `none` where that path is too long for a socket. */
export function defaultAdminSocket(storePath: string): string {
  const path = resolve(dirname(storePath), "admin.sock");
  return canListenAt(path) ? path : "none";
}

/**
 * The database file where none is configured: in the folder that systemd made for the service, else in that of the
 * XDG base directories, else, for a process without a home, in /var/lib/stsmapd.
 */
export function defaultStorePath(env: Environment): string {
  // systemd separates several folders by colons.
  const service = env["STATE_DIRECTORY"]?.split(":")[0];
  if (service) return `${service}/cache.sqlite`;
  const { XDG_STATE_HOME: xdg, HOME: home } = env;
  // The XDG specification has relative paths ignored.
  const state = xdg?.startsWith("/") ? xdg : home ? `${home}/.local/state` : "/var/lib";
  return `${state}/stsmapd/cache.sqlite`;
}
