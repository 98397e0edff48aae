/** Tells systemd how the service is: sd_notify(3). */
import { UnixDatagramSender } from "../net/unix-datagram.ts";

/** Milliseconds after which a message is sent again that found the queue of systemd full. */
const RETRY_DELAY = 50;

export interface NotifierOptions {
  /** A path, or `@name` for an abstract socket; undefined: nobody listens, and nothing is sent. */
  readonly socket: string | undefined;
  /** Nanoseconds of CLOCK_MONOTONIC. */
  readonly monotonic: () => bigint;
  /** A message could not be sent, and will not be. */
  readonly onError: (reason: string) => void;
}

/** Messages arrive in the order in which they were given. Nothing here waits or throws. */
export class Notifier {
  readonly #sender: UnixDatagramSender | undefined;
  readonly #options: NotifierOptions;
  readonly #waiting: string[] = [];
  #retry: NodeJS.Timeout | undefined;

  constructor(options: NotifierOptions) {
    this.#options = options;
    if (options.socket !== undefined) this.#sender = new UnixDatagramSender(options.socket);
  }

  /** It can be asked. `status` is the line that `systemctl status` shows. */
  ready(status: string): void {
    this.#notify("READY=1", `STATUS=${status}`);
  }

  /** The configuration is read again; {@link ready} says that it has been. */
  reloading(): void {
    const microseconds = this.#options.monotonic() / 1000n;
    this.#notify("RELOADING=1", `MONOTONIC_USEC=${microseconds}`, "STATUS=reading the configuration again");
  }

  stopping(): void {
    this.#notify("STOPPING=1", "STATUS=answering what was asked");
  }

  /** A sign of life for the watchdog. */
  alive(): void {
    this.#notify("WATCHDOG=1");
  }

  /** Nothing is sent afterwards. */
  close(): void {
    clearTimeout(this.#retry);
    this.#waiting.length = 0;
    this.#sender?.close();
  }

  #notify(...lines: readonly string[]): void {
    if (this.#sender === undefined) return;
    this.#waiting.push(lines.join("\n"));
    if (this.#waiting.length === 1) this.#send(this.#sender);
  }

  /** Sends all that waits. libsystemd would block while the queue is full, as it may be when a machine starts. */
  #send(sender: UnixDatagramSender): void {
    for (;;) {
      const [message] = this.#waiting;
      if (message === undefined) return;
      const result = sender.send(Buffer.from(message, "utf8"));
      if (result.kind === "full") {
        this.#retry = setTimeout(() => this.#send(sender), RETRY_DELAY).unref();
        return;
      }
      if (result.kind !== "sent") this.#options.onError(result.reason);
      this.#waiting.shift();
    }
  }
}
