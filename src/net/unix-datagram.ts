/** Datagrams to a unix socket, sent through libc, because Node has no such sockets. The numbers are those of Linux. */
import { createRequire } from "node:module";
import { getSystemErrorName } from "node:util";
import type * as Koffi from "koffi";

/**
 * What became of a datagram.
 * - `absent`: there is no such socket, or nobody reads it.
 * - `full`: the reader is behind; the datagram is lost.
 * - `refused`: the permissions of the socket, or of a folder above it, do not let us.
 * - `error`: anything else.
 */
export type DatagramResult =
  | { readonly kind: "sent" }
  | { readonly kind: "absent" | "full" | "refused" | "error"; readonly reason: string };

const KINDS: ReadonlyMap<string, "absent" | "full" | "refused"> = new Map([
  ["ENOENT", "absent"],
  ["ENOTDIR", "absent"],
  ["ECONNREFUSED", "absent"],
  ["EAGAIN", "full"],
  ["ENOBUFS", "full"],
  ["EACCES", "refused"],
  ["EPERM", "refused"],
]);

const AF_UNIX = 1;
const SOCK_DGRAM = 2;
const SOCK_NONBLOCK = 0o4000;
const SOCK_CLOEXEC = 0o2000000;
const MSG_DONTWAIT = 0x40;
const MSG_NOSIGNAL = 0x4000;

/** struct sockaddr_un: two octets of family, then a path that ends with a zero, or an abstract name, which begins with one. */
const FAMILY_LENGTH = 2;
const PATH_LENGTH = 108;

interface Libc {
  readonly socket: (domain: number, type: number, protocol: number) => number;
  readonly sendto: (
    fd: number,
    octets: Uint8Array,
    length: number,
    flags: number,
    address: Uint8Array,
    addressLength: number,
  ) => number;
  readonly close: (fd: number) => number;
  readonly errno: () => number;
}

/** Sends to one path, or `@name` for an abstract socket. Holds one descriptor from the first datagram to {@link close}. */
export class UnixDatagramSender {
  readonly #path: string;
  #libc: Libc | undefined;
  #fd: number | undefined;
  #closed = false;

  constructor(path: string) {
    this.#path = path;
  }

  /** Hands the datagram to the reader's queue, or gives it up; never waits and never throws. */
  send(octets: Uint8Array): DatagramResult {
    try {
      return this.#send(octets);
    } catch (error) {
      return { kind: "error", reason: error instanceof Error ? error.message : String(error) };
    }
  }

  /** Nothing is sent afterwards. Idempotent. */
  close(): void {
    this.#closed = true;
    if (this.#fd !== undefined) this.#libc?.close(this.#fd);
    this.#fd = undefined;
  }

  #send(octets: Uint8Array): DatagramResult {
    if (this.#closed) return { kind: "error", reason: "closed" };
    const address = socketAddress(this.#path);
    const libc = (this.#libc ??= loadLibc());
    if (this.#fd === undefined) {
      const fd = libc.socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
      if (fd < 0) return failure("socket", libc.errno());
      this.#fd = fd;
    }
    const flags = MSG_DONTWAIT | MSG_NOSIGNAL;
    const sent = libc.sendto(this.#fd, octets, octets.length, flags, address, address.length);
    return sent < 0 ? failure(this.#path, libc.errno()) : { kind: "sent" };
  }
}

function failure(what: string, errno: number): DatagramResult {
  const name = getSystemErrorName(-errno);
  return { kind: KINDS.get(name) ?? "error", reason: `${what}: ${name}` };
}

function socketAddress(path: string): Uint8Array {
  // The length of an abstract name is that of the address: a zero at its end would be part of it (unix(7)).
  const octets = Buffer.from(path.startsWith("@") ? `\0${path.slice(1)}` : `${path}\0`, "utf8");
  if (octets.length > PATH_LENGTH) throw new RangeError(`${path}: longer than ${PATH_LENGTH - 1} octets`);
  const address = new Uint8Array(FAMILY_LENGTH + octets.length);
  // In the machine's own order of octets.
  address.set(new Uint8Array(Uint16Array.of(AF_UNIX).buffer));
  address.set(octets, FAMILY_LENGTH);
  return address;
}

/** Loaded with the first datagram: most installations send none, and should not pay for it at the start. */
function loadLibc(): Libc {
  if (process.platform !== "linux") throw new Error(`unix datagrams are not known on ${process.platform}`);
  const koffi: typeof Koffi = createRequire(import.meta.url)("koffi");
  // What Node itself is linked with: glibc or musl, under whatever name.
  const self = koffi.load(null);
  return {
    socket: self.func("int socket(int domain, int type, int protocol)"),
    sendto: self.func(
      "long sendto(int fd, const void *octets, size_t length, int flags, const void *address, uint32_t addressLength)",
    ),
    close: self.func("int close(int fd)"),
    errno: () => koffi.errno(),
  };
}
