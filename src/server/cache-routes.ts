/** The cache commands as routes of the admin socket. */
import type { CacheAdmin, CacheFilter } from "../lookup/cache/cache-admin.ts";
import { MAX_RECORD_LINE } from "../lookup/cache/record.ts";
import { policyDomain } from "../policy/domain.ts";
import type { PolicyMode } from "../policy/policy.ts";
import { AdminRequestError } from "./admin.ts";
import type { AdminRequest, AdminRoute } from "./admin.ts";
import { splitLines } from "./lines.ts";

/** Characters after which lines of full pages are written: a write costs as much as some rows. */
const WRITE_SIZE = 8 * 1024;

const MODES: readonly PolicyMode[] = ["enforce", "testing", "none"];

/** Paths and parameters are documented in docs/cache.md. */
export function cacheRoutes(cache: CacheAdmin): readonly AdminRoute[] {
  return [
    {
      method: "GET",
      path: "/cache",
      handle: ({ query }) => ({ status: 200, lines: pagesToLines(cache.list(readFilter(query))) }),
    },
    {
      method: "GET",
      path: "/cache-file",
      handle: async () => ({ status: 200, json: (await cache.file()) ?? {} }),
    },
    {
      method: "GET",
      path: "/cache/:domain",
      handle: async (request) => ({ status: 200, json: await cache.show(domainOf(request)) }),
    },
    {
      method: "DELETE",
      path: "/cache/:domain",
      handle: async (request) => ({
        status: 200,
        json: { forgotten: await cache.forget(domainOf(request)) },
      }),
    },
    {
      method: "POST",
      path: "/cache/:domain/refresh",
      handle: async (request) => ({ status: 200, json: await cache.refresh(domainOf(request)) }),
    },
    {
      method: "POST",
      path: "/refresh",
      handle: () => ({ status: 200, lines: toLines(cache.refreshAll()) }),
    },
    {
      method: "POST",
      path: "/import",
      takesBody: true,
      handle: ({ query, body }) => {
        const options = { keepLive: query.get("keep_live") === "true" };
        return { status: 200, lines: toLines(cache.import(splitLines(body, MAX_RECORD_LINE), options)) };
      },
    },
  ];
}

/** Behind an empty page nothing waits, and where nothing did, the chunk is empty too. */
async function* pagesToLines(pages: AsyncIterable<readonly unknown[]>): AsyncGenerator<string> {
  let lines = "";
  for await (const page of pages) {
    for (const item of page) lines += jsonLine(item);
    if (page.length > 0 && lines.length < WRITE_SIZE) continue;
    yield lines;
    lines = "";
  }
  if (lines !== "") yield lines;
}

async function* toLines(items: AsyncIterable<unknown>): AsyncGenerator<string> {
  for await (const item of items) yield jsonLine(item);
}

function jsonLine(item: unknown): string {
  return `${JSON.stringify(item)}\n`;
}

function domainOf({ parameters }: AdminRequest): string {
  const domain = parameters["domain"] ?? "";
  if (policyDomain(domain) !== domain)
    throw new AdminRequestError(400, "that is no domain in lower-case A-labels");
  return domain;
}

function readFilter(query: URLSearchParams): CacheFilter {
  const filter: { -readonly [K in keyof CacheFilter]: CacheFilter[K] } = {};
  for (const [name, value] of query) {
    const mode = MODES.find((candidate) => candidate === value);
    if (name === "mode" && mode !== undefined) filter.mode = mode;
    else if (name === "failed" && /^(?:true|false)$/.test(value)) filter.failed = value === "true";
    else if (name === "older_than" && isMilliseconds(value)) filter.olderThan = Number(value);
    else if (name === "expires_within" && isMilliseconds(value)) filter.expiresWithin = Number(value);
    else if (name === "would_enforce" && value === "true") filter.wouldEnforce = true;
    else if (name === "map") filter.map = value;
    else throw new AdminRequestError(400, `${name}=${value} is no filter`);
  }
  return filter;
}

function isMilliseconds(value: string): boolean {
  return /^\d{1,13}$/.test(value);
}
