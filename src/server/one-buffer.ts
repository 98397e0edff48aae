/** The octets of all clients, read into one piece of memory. */
import { Socket } from "node:net";

/** Bytes of one read, at most. */
export const READ_SIZE = 64 * 1024;

/** Where each read begins anew. Who keeps octets copies them first. */
const shared = Buffer.allocUnsafeSlow(READ_SIZE);

/** For servers: those of {@link readIntoOneBuffer} must not read by themselves. */
export const READ_NOTHING_YET = { pauseOnConnect: true };

/**
 * Calls `onRead` with all that a client sends, in memory that the next read of any client overwrites. Takes over the
 * connection of `accepted`, which is used no more and has closed for its server; half-open, as that was.
 *
 * Node gives each read memory of its own, and hands it on through a stream. `onread` of net.Socket spares both, which is a
 * fifth of the CPU time of a lookup, but net.Server has no such option. So a second socket takes the first one's handle,
 * which Node has had for ever and does not document: where there is none, the first one reads, as any socket does.
 */
export function readIntoOneBuffer(accepted: Socket, onRead: (octets: Buffer) => void): Socket {
  const handle = Reflect.get(accepted, "_handle");
  if (typeof handle !== "object" || handle === null) return accepted.on("data", onRead).resume();
  Reflect.set(accepted, "_handle", null);
  accepted.destroy();
  const callback = (length: number): boolean => {
    onRead(shared.subarray(0, length));
    return true;
  };
  return new Socket({ handle, allowHalfOpen: accepted.allowHalfOpen, onread: { buffer: shared, callback } });
}
