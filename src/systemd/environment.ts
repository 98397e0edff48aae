/** What systemd hands to a service by its environment: sockets, and where it wants to hear how the service is. */

/** A socket handed down: sd_listen_fds_with_names(3). */
export interface InheritedSocket {
  readonly fd: number;
  /** `FileDescriptorName=` of its socket unit; several may share one. */
  readonly name: string;
}

export interface SystemdEnvironment {
  readonly sockets: readonly InheritedSocket[];
  /** The datagram socket of sd_notify(3): a path, or `@name`; undefined: nobody listens. */
  readonly notifySocket: string | undefined;
  /** Milliseconds within which a sign of life is wanted; undefined: none is. */
  readonly watchdog: number | undefined;
}

/** The first descriptor that is handed down. */
const FIRST_FD = 3;

const VARIABLES = [
  "LISTEN_FDS",
  "LISTEN_FDNAMES",
  "LISTEN_PID",
  "LISTEN_PIDFDID",
  "NOTIFY_SOCKET",
  "WATCHDOG_PID",
  "WATCHDOG_USEC",
];

/**
 * Reads what is meant for the process `pid`, and takes it out of `env`: descriptors and the supervisor's ear are no
 * inheritance for a further process.
 */
export function takeSystemdEnvironment(env: NodeJS.ProcessEnv, pid: number): SystemdEnvironment {
  const taken: SystemdEnvironment = {
    sockets: sockets(env, pid),
    notifySocket: env["NOTIFY_SOCKET"] || undefined,
    watchdog: watchdog(env, pid),
  };
  for (const variable of VARIABLES) delete env[variable];
  return taken;
}

function sockets(env: NodeJS.ProcessEnv, pid: number): InheritedSocket[] {
  // Of a parent that did not take them out, they are its own.
  if (env["LISTEN_PID"] !== String(pid)) return [];
  const names = env["LISTEN_FDNAMES"]?.split(":") ?? [];
  return Array.from({ length: positive(env["LISTEN_FDS"]) ?? 0 }, (_, index) => ({
    fd: FIRST_FD + index,
    // As sd_listen_fds_with_names(3) has it.
    name: names[index] ?? "unknown",
  }));
}

/** sd_watchdog_enabled(3): without WATCHDOG_PID every process of the service is meant. */
function watchdog(env: NodeJS.ProcessEnv, pid: number): number | undefined {
  const { WATCHDOG_PID: whose = String(pid) } = env;
  const microseconds = positive(env["WATCHDOG_USEC"]);
  return whose === String(pid) && microseconds !== undefined ? microseconds / 1000 : undefined;
}

function positive(text = ""): number | undefined {
  return /^[1-9][0-9]{0,17}$/.test(text) ? Number(text) : undefined;
}
