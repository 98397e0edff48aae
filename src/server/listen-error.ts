/**
 * - `bad-address`: the address cannot be read, or its host name is unknown; mend the configuration.
 * - `in-use`: somebody else listens there; stop that or choose another address.
 * - `not-available`: the machine has no such IP address (yet).
 * - `denied`: the user of this process may not.
 * - `no-folder`: the folder of the unix socket does not exist; make it.
 * - `not-a-socket`: another kind of file is where the unix socket should be; it is left alone.
 * - `unknown-account`: no such user or group.
 * - `bad-descriptor`: the inherited descriptor is no listening socket.
 * - `failed`: anything else; see `cause`.
 */
export type ListenErrorCode =
  | "bad-address"
  | "in-use"
  | "not-available"
  | "denied"
  | "no-folder"
  | "not-a-socket"
  | "unknown-account"
  | "bad-descriptor"
  | "failed";

/** A server could not be started. The message names the address and says what to do. */
export class ListenError extends Error {
  override readonly name = "ListenError";
  readonly code: ListenErrorCode;

  constructor(code: ListenErrorCode, address: string, advice: string, options?: ErrorOptions) {
    super(`cannot listen on ${address}: ${advice}`, options);
    this.code = code;
  }
}

const ADVICE: Readonly<Record<string, readonly [ListenErrorCode, string]>> = {
  EADDRINUSE: [
    "in-use",
    "another process listens there; stop it, choose another address, or, if it is systemd for a socket unit, write systemd:NAME",
  ],
  EADDRNOTAVAIL: ["not-available", "this machine has no such address"],
  EAFNOSUPPORT: ["not-available", "this machine has no such kind of address"],
  EACCES: ["denied", "permission denied; choose another port or folder, or give this user the right to it"],
  EPERM: [
    "denied",
    "not permitted; only root may give the socket to another user or to a group it is not in",
  ],
  ENOENT: ["no-folder", "its folder does not exist; make it"],
  ENOTDIR: ["no-folder", "what should be its folder is none"],
  ENOTFOUND: ["bad-address", "its host name is unknown"],
  EINVAL: ["bad-address", "the system refuses this address (a link-local one needs its %interface)"],
};

/** The `code` of an error of Node's, such as `EACCES`; empty for anything else. */
export function systemCode(error: unknown): string {
  return error instanceof Error && "code" in error ? String(error.code) : "";
}

/** Translates what the system said about listening on `address`. */
export function listenError(address: string, cause: unknown): ListenError {
  if (cause instanceof ListenError) return cause;
  const [code, advice] = ADVICE[systemCode(cause)] ?? ["failed" as const, String(cause)];
  return new ListenError(code, address, advice, { cause });
}
