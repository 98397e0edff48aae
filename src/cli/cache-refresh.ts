/** `stsmapd cache refresh`: looks for a policy now, whatever was planned. */
import type { CacheAdmin, RefreshResult } from "../lookup/cache/cache-admin.ts";
import { domainArgument, say, withCache } from "./cache-access.ts";
import type { CacheOptions } from "./cache-access.ts";
import { CommandError } from "./command-error.ts";
import { ExitCode } from "./exit-code.ts";
import { idText } from "./id-text.ts";
import { Output } from "./output.ts";

interface RefreshOptions extends CacheOptions {
  readonly all?: boolean;
  readonly json?: boolean;
}

/** Status 1 where there is no record, 2 where DNS or a policy host failed. */
export function cacheRefresh(nextHop: string | undefined, options: RefreshOptions): Promise<number> {
  if ((nextHop === undefined) !== (options.all === true))
    throw new CommandError(ExitCode.usage, "name a domain, or say --all");
  const domain = nextHop === undefined ? undefined : domainArgument(nextHop);
  return withCache(options, async (cache) => {
    const output = new Output();
    let worst: number = ExitCode.ok;
    let total = 0;
    let fetched = 0;
    for await (const result of results(cache, domain)) {
      await (options.json === true ? output.json(result) : output.write(`${line(result)}\n`));
      total++;
      if (result.outcome === "fetched") fetched++;
      worst = Math.max(worst, statusOf(result));
      if (output.isCutOff) break;
    }
    if (domain === undefined) say(`${fetched} of ${total} policies fetched`);
    return worst;
  });
}

async function* results(cache: CacheAdmin, domain: string | undefined): AsyncGenerator<RefreshResult> {
  if (domain === undefined) yield* cache.refreshAll();
  else yield await cache.refresh(domain);
}

function statusOf({ outcome }: RefreshResult): number {
  switch (outcome) {
    case "fetched":
    case "current":
      return ExitCode.ok;
    case "no-record":
      return ExitCode.noPolicy;
    case "dns-failure":
    case "fetch-failure":
    case "back-off":
      return ExitCode.unknown;
  }
}

function line({ domain, outcome, id, reason, record }: RefreshResult): string {
  const pin = record?.pin;
  const held = pin ? `held: mode ${pin.mode} until ${pin.expires_at}` : "nothing held";
  const what = [outcome, id === null ? undefined : `id ${idText(id)}`, reason ?? undefined, held];
  return `${domain}: ${what.filter((part) => part !== undefined).join("; ")}`;
}
