/** Exit statuses, those of sysexits(3) where it has one. */
export const ExitCode = {
  ok: 0,
  /** `check`, `query`, `cache`: there is no policy, or nothing known of the domain. */
  noPolicy: 1,
  /** `check`, `query`, `cache refresh`: it cannot be told. */
  unknown: 2,
  /** `doctor`: the worst of its findings. */
  warning: 1,
  problem: 2,
  /** EX_USAGE: the command line is wrong. */
  usage: 64,
  /** EX_DATAERR: lines of an import were refused. */
  dataError: 65,
  /** EX_NOINPUT: there is no cache file, or no file to import. */
  noInput: 66,
  /** EX_UNAVAILABLE: an address cannot be listened on, or the daemon does not answer. */
  unavailable: 69,
  /** EX_SOFTWARE: a fault of our own. */
  software: 70,
  /** EX_CANTCREAT: the cache cannot be opened or made. */
  cannotCreate: 73,
  /** EX_NOPERM: this user may not use the admin socket. */
  noPermission: 77,
  /** EX_CONFIG: the configuration is wrong. */
  config: 78,
} as const;
