/** Counts and times lookups. All there is of a hit in memory, so it adds to numbers and does nothing else. */
import type { Stop } from "../lookup/deadline.ts";
import type { LookupService } from "../lookup/lookup-service.ts";
import type { Question } from "../lookup/question.ts";
import type { Cell, Counter, Histogram, Metrics } from "../metrics/metrics.ts";
import type { Reply } from "../policy/reply.ts";

/** Seconds. */
const WARM_BOUNDS = [1e-6, 2.5e-6, 5e-6, 1e-5, 2.5e-5, 5e-5, 1e-4, 2.5e-4, 1e-3, 1e-2, 1e-1];
const COLD_BOUNDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 40];

/** Of the lookups that were answered at once, one in so many is timed: two looks at the clock take a third as long as the lookup. */
const TIMED = 8;

/** The label of all maps that are not configured: a client may ask for any name. */
const OTHER_MAP = "other";

export interface LookupMetrics {
  readonly lookups: Counter<"result" | "map" | "protocol">;
  readonly warm: Histogram;
  readonly cold: Histogram;
}

export function lookupMetrics(metrics: Metrics): LookupMetrics {
  return {
    lookups: metrics.counter("stsmapd_lookups_total", "Lookups that were answered.", [
      "result",
      "map",
      "protocol",
    ]),
    warm: metrics.histogram(
      "stsmapd_warm_lookup_duration_seconds",
      "Time that a lookup took which was answered at once, from memory or the cache file.",
      WARM_BOUNDS,
    ),
    cold: metrics.histogram(
      "stsmapd_cold_lookup_duration_seconds",
      "Time that a lookup took which had to wait for DNS or a policy host.",
      COLD_BOUNDS,
    ),
  };
}

type ResultCells = Readonly<Record<Reply["status"] | "heldBack", Cell>>;

function cellOf(cells: ResultCells, reply: Reply): Cell {
  return reply.status !== "TEMP" && reply.isHeldBack === true ? cells.heldBack : cells[reply.status];
}

/**
 * `service`, with its lookups counted.
 *
 * @param isMap whether a map of this name is configured
 * @param now milliseconds that only ever pass
 */
export function countedLookup(
  service: LookupService,
  protocol: string,
  { lookups, warm, cold }: LookupMetrics,
  isMap: (map: string) => boolean,
  now: () => number,
): LookupService {
  const cellsOf = (map: string): ResultCells => ({
    OK: lookups.cell({ result: "ok", map, protocol }),
    NOTFOUND: lookups.cell({ result: "notfound", map, protocol }),
    TEMP: lookups.cell({ result: "temp", map, protocol }),
    heldBack: lookups.cell({ result: "would_enforce", map, protocol }),
  });
  const known = new Map<string, ResultCells>();
  let other: ResultCells | undefined;
  let untimed = 0;
  let lastWarm = 0;

  const find = (map: string): ResultCells => {
    if (!isMap(map)) return (other ??= cellsOf(OTHER_MAP));
    const cells = cellsOf(map);
    known.set(map, cells);
    return cells;
  };
  return {
    lookup(question, client) {
      const reply = untimed > 0 ? service.lookup(question, client) : timed(question, client);
      const cells = known.get(question.map) ?? find(question.map);
      if (reply instanceof Promise) return late(reply, cells, now());
      untimed = untimed > 0 ? untimed - 1 : TIMED - 1;
      // Those in between count as long as the last that was timed.
      warm.observe(lastWarm);
      cellOf(cells, reply).count++;
      return reply;
    },
  };

  function timed(question: Question, client: Stop | undefined): Reply | Promise<Reply> {
    const startedAt = now();
    const reply = service.lookup(question, client);
    if (!(reply instanceof Promise)) lastWarm = now() - startedAt;
    return reply;
  }

  function late(answer: Promise<Reply>, cells: ResultCells, startedAt: number): Promise<Reply> {
    return answer.then((reply) => {
      cold.observe(now() - startedAt);
      cellOf(cells, reply).count++;
      return reply;
    });
  }
}
