/** `stsmapd cache show`: all that is known of a domain, what follows from it, and why. */
import { withCache, domainArgument } from "./cache-access.ts";
import type { CacheOptions } from "./cache-access.ts";
import { renderCacheReport } from "./cache-report.ts";
import { ExitCode } from "./exit-code.ts";
import { domainPseudonym } from "../log-domains.ts";
import { field } from "./fields.ts";
import { Output } from "./output.ts";

/** Status 1 where nothing is remembered. */
export function cacheShow(
  nextHop: string,
  options: CacheOptions & { readonly json?: boolean },
): Promise<number> {
  const domain = domainArgument(nextHop);
  return withCache(options, async (cache, { log }) => {
    const report = await cache.show(domain);
    const output = new Output();
    const pseudonym =
      log.domains === "hash" && log.hashKey !== undefined && domainPseudonym(domain, log.hashKey);
    const inLog = pseudonym === false ? "" : `${field("log", `the domain is ${pseudonym} there`)}\n`;
    await output.write(
      options.json === true ? `${JSON.stringify(report, undefined, 2)}\n` : inLog + renderCacheReport(report),
    );
    return report.state === "unknown" ? ExitCode.noPolicy : ExitCode.ok;
  });
}
