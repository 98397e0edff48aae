/** Metrics and health as routes of HTTP: all of them read, and none tells of a domain. */
import type { AdminRoute } from "./admin.ts";

export interface Health {
  /** Whether lookups are answered. */
  readonly ready: boolean;
}

export interface HealthSource {
  /** Never rejects. */
  health(): Promise<Health>;
  /** A page for Prometheus, and its media type. */
  metrics(): Promise<{ readonly type: string; readonly text: string }>;
}

/** Documented in docs/metrics.md. */
export function healthRoutes(source: HealthSource): readonly AdminRoute[] {
  return [
    { method: "GET", path: "/metrics", handle: async () => ({ status: 200, ...(await source.metrics()) }) },
    {
      method: "GET",
      path: "/healthz",
      // That the event loop came here is all there is to say.
      handle: () => ({ status: 200, type: "text/plain; charset=utf-8", text: "alive\n" }),
    },
    {
      method: "GET",
      path: "/readyz",
      handle: async () => {
        const health = await source.health();
        return { status: health.ready ? 200 : 503, json: health };
      },
    },
  ];
}
