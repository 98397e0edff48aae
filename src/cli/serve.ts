/** `stsmapd serve`: the daemon in the foreground. */
import { once } from "node:events";
import process from "node:process";

import { loadConfig } from "../config.ts";
import { startDaemon, systemTime } from "../daemon.ts";
import type { Daemon } from "../daemon.ts";
import { reloadEvents } from "../events/daemon-events.ts";
import type { ReloadEvents } from "../events/daemon-events.ts";
import { createLogger } from "../log.ts";
import type { Logger } from "../log.ts";
import { LogDomains } from "../log-domains.ts";
import { Metrics } from "../metrics/metrics.ts";
import { VERSION } from "../version.ts";
import { ExitCode } from "./exit-code.ts";

const STOP_SIGNALS = ["SIGTERM", "SIGINT"] as const;

/** Runs until a stop signal; a second one ends the process at once. Throws what {@link startDaemon} throws. */
export async function serve(options: { readonly config?: string }): Promise<number> {
  let running: Daemon | undefined;
  const asked = { reload: false, state: false };
  // From the start: Node itself would open its debugger's port, or end.
  process.on("SIGUSR1", () => {
    if (running === undefined) asked.state = true;
    else void printState(running, log);
  });
  process.on("SIGHUP", () => {
    if (running === undefined) asked.reload = true;
    else reload(running, options, reloads, logDomains);
  });
  const config = loadConfig({ path: options.config, env: process.env });
  const metrics = new Metrics();
  const lost = metrics.count("stsmapd_log_lines_lost_total", "Lines of the log that could not be written.");
  const logDomains = new LogDomains(config.log);
  const log = await createLogger({ ...config.log, lost, logDomains });
  const reloads = reloadEvents(log, metrics, systemTime);
  // Clients are taken before startDaemon returns: from then on, a signal must not cut them off.
  const stopAsked = stopSignal();
  const daemon = await startDaemon(config, log, process.env, metrics);
  running = daemon;
  try {
    const { addresses: listen, admin, metrics: page } = daemon;
    log.info({ version: VERSION, listen, store: config.store.path, admin, metrics: page }, "ready");
    if (asked.reload) reload(daemon, options, reloads, logDomains);
    if (asked.state) await printState(daemon, log);
    log.info({ signal: await stopAsked }, "stopping");
  } finally {
    await daemon.stop();
  }
  log.info("stopped");
  return ExitCode.ok;
}

/** A configuration that is wrong changes nothing, and nor does a fault of our own: mail must not wait for either. */
function reload(
  daemon: Daemon,
  options: { readonly config?: string },
  events: ReloadEvents,
  logDomains: LogDomains,
): void {
  try {
    const config = loadConfig({ path: options.config, env: process.env });
    const needRestart = daemon.reload(config);
    logDomains.use(config.log);
    events.applied(needRestart);
  } catch (error) {
    events.refused(error);
  }
}

async function printState(daemon: Daemon, log: Logger): Promise<void> {
  log.info(await daemon.state(), "state");
}

/** The first stop signal; from then on the next one ends the process. */
async function stopSignal(): Promise<string> {
  const controller = new AbortController();
  const { signal } = controller;
  const name = await Promise.race(
    STOP_SIGNALS.map(async (stopSignalName) => {
      await once(process, stopSignalName, { signal });
      return stopSignalName;
    }),
  );
  controller.abort();
  for (const next of STOP_SIGNALS) process.once(next, () => process.exit(ExitCode.software));
  return name;
}
