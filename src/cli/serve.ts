/** `stsmapd serve`: the daemon in the foreground. */
import process from "node:process";

import { loadConfig } from "../config.ts";
import type { Config } from "../config.ts";
import { startDaemon, systemMonotonic, systemTime } from "../daemon.ts";
import type { Daemon } from "../daemon.ts";
import { reloadEvents } from "../events/daemon-events.ts";
import type { ReloadEvents } from "../events/daemon-events.ts";
import { createLogger } from "../log.ts";
import type { Logger } from "../log.ts";
import { LogDomains } from "../log-domains.ts";
import { Metrics } from "../metrics/metrics.ts";
import { takeSystemdEnvironment } from "../systemd/environment.ts";
import { Notifier } from "../systemd/notifier.ts";
import { startWatchdog } from "../systemd/watchdog.ts";
import { VERSION } from "../version.ts";
import { ExitCode } from "./exit-code.ts";
import { SignalRequest, stopSignal } from "./signals.ts";

/** Runs until a stop signal; a second one ends the process at once. Throws what {@link startDaemon} throws. */
export async function serve(options: { readonly config?: string }): Promise<number> {
  // From the start: Node itself would open its debugger's port on SIGUSR1, and end on SIGHUP.
  const stateAsked = new SignalRequest("SIGUSR1");
  const reloadAsked = new SignalRequest("SIGHUP");
  const { sockets, notifySocket, watchdog } = takeSystemdEnvironment(process.env, process.pid);
  const handedDown = sockets.map(({ name }) => name);
  const readConfig = () => loadConfig({ path: options.config, env: process.env, handedDown });
  const config = readConfig();
  const metrics = new Metrics();
  const lost = metrics.count("stsmapd_log_lines_lost_total", "Lines of the log that could not be written.");
  const logDomains = new LogDomains(config.log);
  const { JOURNAL_STREAM: journalStream } = process.env;
  const log = await createLogger({ ...config.log, lost, journalStream, logDomains });
  const reloads = reloadEvents(log, metrics, systemTime);
  const notifier = new Notifier({
    socket: notifySocket,
    monotonic: systemMonotonic,
    onError: (reason) => log.error({ reason }, "systemd cannot be told how the service is"),
  });
  // Clients are taken before startDaemon returns: from then on, a signal must not cut them off.
  const stopAsked = stopSignal();
  const daemon = await startDaemon(config, log, process.env, metrics, sockets);
  const { addresses: listen, admin, metrics: page } = daemon;
  const status = `answering on ${listen.join(", ")}`;
  const stopWatchdog = watchdog === undefined ? undefined : feedWatchdog(watchdog, daemon, notifier, log);
  try {
    log.info({ version: VERSION, listen, store: config.store.path, admin, metrics: page }, "ready");
    notifier.ready(status);
    reloadAsked.use(() => {
      notifier.reloading();
      reload(daemon, readConfig, reloads, logDomains);
      notifier.ready(status);
    });
    stateAsked.use(() => void printState(daemon, log));
    log.info({ signal: await stopAsked }, "stopping");
    reloadAsked.use(() => {});
    notifier.stopping();
  } finally {
    stopWatchdog?.();
    await daemon.stop();
    notifier.close();
  }
  log.info("stopped");
  return ExitCode.ok;
}

/** A configuration that is wrong changes nothing, and nor does a fault of our own: mail must not wait for either. */
function reload(
  daemon: Daemon,
  readConfig: () => Config,
  events: ReloadEvents,
  logDomains: LogDomains,
): void {
  try {
    const config = readConfig();
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

/** @param patience milliseconds */
function feedWatchdog(patience: number, daemon: Daemon, notifier: Notifier, log: Logger): () => void {
  return startWatchdog({
    patience,
    test: (timeout) => daemon.selfTest(timeout),
    onAlive: () => notifier.alive(),
    onFailure: (reason) =>
      log.error({ reason }, "the daemon does not answer itself; the watchdog will restart it"),
  });
}
