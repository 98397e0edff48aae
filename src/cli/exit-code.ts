/** Exit statuses, those of sysexits(3) where it has one. */
export const ExitCode = {
  ok: 0,
  /** `check`, `query`: there is no policy. */
  noPolicy: 1,
  /** `check`, `query`: it cannot be told. */
  unknown: 2,
  /** EX_USAGE: the command line is wrong. */
  usage: 64,
  /** EX_UNAVAILABLE: an address cannot be listened on, or the daemon does not answer. */
  unavailable: 69,
  /** EX_SOFTWARE: a fault of our own. */
  software: 70,
  /** EX_CANTCREAT: the cache cannot be opened or made. */
  cannotCreate: 73,
  /** EX_CONFIG: the configuration is wrong. */
  config: 78,
} as const;
