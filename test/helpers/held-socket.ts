/** A socket that listens and that nobody accepts from: what systemd holds for a service. */
import * as koffi from "koffi";

const AF_UNIX = 1;
const AF_INET = 2;
/** SOCK_STREAM, SOCK_NONBLOCK and SOCK_CLOEXEC of Linux. */
const SOCKET_TYPE = 1 | 0o4000 | 0o2000000;
const BACKLOG = 4096;

const libc = koffi.load(null);
const socket = libc.func("int socket(int domain, int type, int protocol)");
const bind = libc.func("int bind(int fd, const void *address, uint32_t length)");
const listen = libc.func("int listen(int fd, int backlog)");
const getsockname = libc.func("int getsockname(int fd, void *address, void *length)");
const close = libc.func("int close(int fd)");

export class HeldSocket implements Disposable {
  readonly fd: number;
  /** `FileDescriptorName=` of its unit. */
  readonly name: string;
  /** As in configuration. */
  readonly address: string;

  /** At `path`, or on a free port of 127.0.0.1. */
  constructor(name: string, path?: string) {
    this.name = name;
    this.fd = socket(path === undefined ? AF_INET : AF_UNIX, SOCKET_TYPE, 0);
    const wanted = path === undefined ? loopback() : Buffer.from(`\0\0${path}\0`);
    wanted.set(new Uint8Array(Uint16Array.of(path === undefined ? AF_INET : AF_UNIX).buffer));
    if (bind(this.fd, wanted, wanted.length) < 0 || listen(this.fd, BACKLOG) < 0)
      throw new Error(`cannot listen: errno ${koffi.errno()}`);
    this.address = path === undefined ? `127.0.0.1:${portOf(this.fd)}` : `unix:${path}`;
  }

  [Symbol.dispose](): void {
    close(this.fd);
  }
}

/** The environment of a process that is handed `sockets`, but for LISTEN_PID. */
export function listenVariables(sockets: readonly HeldSocket[]): Record<string, string> {
  if (sockets.length === 0) return {};
  return { LISTEN_FDS: String(sockets.length), LISTEN_FDNAMES: sockets.map(({ name }) => name).join(":") };
}

/** struct sockaddr_in, its family yet to be set, with port 0. */
function loopback(): Buffer {
  return Buffer.from([0, 0, 0, 0, 127, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0]);
}

function portOf(fd: number): number {
  const address = loopback();
  getsockname(fd, address, Buffer.from(Uint32Array.of(address.length).buffer));
  return address.readUInt16BE(2);
}
