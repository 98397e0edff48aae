/** `stsmapd cache forget`: the one command that gives protection away, so it asks first. */
import process from "node:process";
import { createInterface } from "node:readline/promises";

import type { CacheReport } from "../lookup/cache/cache-admin.ts";
import { domainArgument, say, withCache } from "./cache-access.ts";
import type { CacheOptions } from "./cache-access.ts";
import { ExitCode } from "./exit-code.ts";

/** Status 1 where nothing was known, or the administrator thought better of it. */
export function cacheForget(
  nextHop: string,
  options: CacheOptions & { readonly yes?: boolean },
): Promise<number> {
  const domain = domainArgument(nextHop);
  return withCache(options, async (cache) => {
    if (options.yes !== true && process.stdin.isTTY && !(await confirm(question(await cache.show(domain))))) {
      say("nothing was changed");
      return ExitCode.noPolicy;
    }
    const wasKnown = await cache.forget(domain);
    say(wasKnown ? `${domain} is forgotten` : `nothing was known of ${domain}`);
    return wasKnown ? ExitCode.ok : ExitCode.noPolicy;
  });
}

function question({ domain, state, record }: CacheReport): string {
  const pin = record?.pin;
  const loss =
    state === "pinned" && pin
      ? `Its policy (mode ${pin.mode}, until ${pin.expires_at}) no longer protects mail until it is seen again. `
      : "";
  return `${loss}Forget ${domain}? [y/N] `;
}

async function confirm(text: string): Promise<boolean> {
  const terminal = createInterface({ input: process.stdin, output: process.stderr });
  const closed = new Promise<string>((resolve) => terminal.once("close", () => resolve("")));
  const answer = await Promise.race([terminal.question(text), closed]);
  terminal.close();
  return /^y(?:es)?$/i.test(answer.trim());
}
