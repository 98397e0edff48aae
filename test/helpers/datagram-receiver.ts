/** The far end of a unix datagram socket, where the collector of tlsrpt-reporter would stand. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as koffi from "koffi";

const AF_UNIX = 1;
/** SOCK_DGRAM, SOCK_NONBLOCK and SOCK_CLOEXEC of Linux. */
const SOCKET_TYPE = 2 | 0o4000 | 0o2000000;
const MAX_DATAGRAM = 1 << 20;

const libc = koffi.load(null);
const socket = libc.func("int socket(int domain, int type, int protocol)");
const bind = libc.func("int bind(int fd, const void *address, uint32_t length)");
const recv = libc.func("long recv(int fd, void *octets, size_t length, int flags)");
const close = libc.func("int close(int fd)");

export class DatagramReceiver implements Disposable {
  readonly path: string;
  readonly #folder = mkdtempSync(join(tmpdir(), "stsmapd-collector-"));
  readonly #octets = Buffer.alloc(MAX_DATAGRAM);
  readonly #received: string[] = [];
  readonly #poll: koffi.node.PollHandle | undefined;
  fd: number;
  /** Called when there is something new. */
  #wake: () => void = () => {};

  /** `path` may be `@name`, an abstract socket. Without `reads` nothing is taken out of the queue until {@link drain}. */
  constructor({ path, reads = true }: { path?: string; reads?: boolean } = {}) {
    this.path = path ?? join(this.#folder, "collector.sock");
    this.fd = socket(AF_UNIX, SOCKET_TYPE, 0);
    const name = this.path.startsWith("@") ? `\0${this.path.slice(1)}` : `${this.path}\0`;
    const address = Buffer.from(`\0\0${name}`);
    address.set(new Uint8Array(Uint16Array.of(AF_UNIX).buffer));
    if (bind(this.fd, address, address.length) < 0) throw new Error(`bind: errno ${koffi.errno()}`);
    if (!reads) return;
    this.#poll = koffi.node.poll(this.fd, { readable: true }, () => {
      this.drain();
      this.#wake();
    });
  }

  /** Every datagram so far, oldest first. */
  get received(): readonly string[] {
    return this.#received;
  }

  /** The next datagram that nobody has taken yet. */
  async next(): Promise<string> {
    for (let taken = this.#taken; ;) {
      const datagram = this.#received[taken];
      if (datagram !== undefined) {
        this.#taken++;
        return datagram;
      }
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }
  #taken = 0;

  /** Takes all that waits out of the queue. */
  drain(): void {
    for (;;) {
      const length = Number(recv(this.fd, this.#octets, this.#octets.length, 0));
      if (length < 0) return;
      this.#received.push(this.#octets.toString("utf8", 0, length));
    }
  }

  /** The file of the socket stays, as after a crash. */
  die(): void {
    this.#poll?.close();
    if (this.fd >= 0) close(this.fd);
    this.fd = -1;
  }

  [Symbol.dispose](): void {
    this.die();
    rmSync(this.#folder, { recursive: true, force: true });
  }
}
