/** The way to the cache: by the daemon when it runs, else to its file; to the file beside it, where it is only read. */
import { statSync } from "node:fs";
import process from "node:process";

import { loadConfig } from "../config.ts";
import type { Config } from "../config.ts";
import type { CacheAdmin, CacheFile, CacheFilter, RowFilter } from "../lookup/cache/cache-admin.ts";
import type { LookupEvents } from "../lookup/events.ts";
import { policyDomain } from "../policy/domain.ts";
import { AdminClient, AdminClientError } from "./admin-client.ts";
import { CommandError } from "./command-error.ts";
import { ExitCode } from "./exit-code.ts";

export interface CacheOptions {
  readonly config?: string;
}

type Pages = ReturnType<CacheAdmin["list"]>;

/** Runs `command` on the cache, says on standard error which way was taken, and cleans up. */
export async function withCache(
  options: CacheOptions,
  command: (cache: CacheAdmin, config: Config) => Promise<number>,
): Promise<number> {
  const config = loadConfig({ path: options.config, env: process.env });
  const daemon = await reachDaemon(config);
  return daemon === undefined ? onFile(config, command) : command(asked(daemon), config);
}

/**
 * The same for what `filter` lets through. A running daemon is not asked for rows that this process can read itself: whoever
 * asks for a policy meanwhile would wait for them.
 */
export async function withPages(
  options: CacheOptions,
  filter: CacheFilter,
  command: (pages: Pages) => Promise<number>,
): Promise<number> {
  const config = loadConfig({ path: options.config, env: process.env });
  const daemon = await reachDaemon(config);
  if (daemon === undefined) return onFile(config, (cache) => command(cache.list(filter)));
  // What would be enforced only the daemon knows.
  const read = filter.wouldEnforce ? undefined : await pagesBeside(daemon, config, filter);
  return command(read ?? asked(daemon).list(filter));
}

async function onFile(
  config: Config,
  command: (cache: CacheAdmin, config: Config) => Promise<number>,
): Promise<number> {
  const { path } = config.store;
  const why = config.admin.socket === undefined ? "there is no admin socket" : "no daemon answers";
  say(`${why}: working on the file ${path}`);
  if (statSync(path, { throwIfNoEntry: false }) === undefined) {
    const advice = "start the daemon, which makes it, or name the configuration by --config";
    throw new CommandError(ExitCode.noInput, `there is no cache at ${path}: ${advice}`);
  }
  const { openCache } = await import("../open-cache.ts");
  const { systemTime } = await import("../daemon.ts");
  const file = openCache(config, process.env, storeFailures(), systemTime);
  try {
    return await command(file.cache, config);
  } finally {
    await file.close();
  }
}

/** The policy domain of what the administrator wrote: any next hop, as everywhere. */
export function domainArgument(nextHop: string): string {
  const domain = policyDomain(Buffer.from(nextHop, "utf8").toString("latin1"));
  if (domain !== undefined) return domain;
  throw new CommandError(
    ExitCode.usage,
    `${JSON.stringify(nextHop)} has no policy domain: nothing is ever known of it`,
  );
}

/** A line for people beside the output. */
export function say(text: string): void {
  process.stderr.write(`stsmapd: ${text}\n`);
}

/** A daemon that answers. */
interface Reached {
  readonly client: AdminClient;
  readonly socket: string;
  readonly file: CacheFile | undefined;
}

async function reachDaemon({ admin: { socket } }: Config): Promise<Reached | undefined> {
  if (socket === undefined) return undefined;
  const client = new AdminClient(socket);
  try {
    return { client, socket, file: await client.file() };
  } catch (error) {
    if (error instanceof AdminClientError && error.code === "unreachable") return undefined;
    throw error;
  }
}

async function pagesBeside(
  { file }: Reached,
  { store: { path } }: Config,
  filter: RowFilter,
): Promise<Pages | undefined> {
  if (file === undefined) return undefined;
  const { readPagesBeside } = await import("./read-pages-beside.ts");
  const pages = readPagesBeside(path, file, filter);
  if (pages !== undefined) say(`reading the daemon's file ${path}`);
  return pages;
}

function asked({ client, socket }: Reached): CacheAdmin {
  say(`asking the daemon on ${socket}`);
  return client;
}

/** What becomes of a refresh is its result; only a store that fails is worth a line of its own. */
function storeFailures(): LookupEvents {
  return {
    resolved: () => {},
    deadlinePassed: () => {},
    turnedAway: () => {},
    heldBack: () => {},
    storeFailed: (operation, domain, error) =>
      say(`${operation} of ${domain ?? "the cache"}: ${error.message}`),
    failed: (domain, error) => say(`${domain}: ${String(error)}`),
  };
}
