import { execFileSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { expect, it } from "vitest";
import { Notifier } from "../../src/systemd/notifier.ts";
import { DatagramReceiver } from "../helpers/datagram-receiver.ts";

const SOURCE = fileURLToPath(new URL("../../src/systemd/notifier.ts", import.meta.url));

function notifierTo(socket: string | undefined, errors: string[] = []): Notifier {
  return new Notifier({ socket, monotonic: () => 5_000_999n, onError: (reason) => errors.push(reason) });
}

it.each([undefined, `@stsmapd-notifier-${process.pid}`])(
  "tells in order what happens, at %s",
  async (path) => {
    using receiver = new DatagramReceiver(path === undefined ? {} : { path });
    const notifier = notifierTo(receiver.path);
    notifier.ready("answering");
    notifier.alive();
    notifier.reloading();
    notifier.ready("answering");
    notifier.stopping();
    const messages: string[] = [];
    while (messages.length < 5) messages.push(await receiver.next());
    expect(messages).toEqual([
      "READY=1\nSTATUS=answering",
      "WATCHDOG=1",
      "RELOADING=1\nMONOTONIC_USEC=5000\nSTATUS=reading the configuration again",
      "READY=1\nSTATUS=answering",
      "STOPPING=1\nSTATUS=answering what was asked",
    ]);
    notifier.close();
  },
);

it("loses nothing where systemd is behind", async () => {
  using receiver = new DatagramReceiver({ reads: false });
  const notifier = notifierTo(receiver.path);
  const count = 3_000;
  for (let n = 0; n < count; n++) notifier.ready(String(n));
  receiver.drain();
  expect(receiver.received.length, "the queue of a socket is shorter").toBeLessThan(count);
  while (receiver.received.length < count) {
    await new Promise((resolve) => setTimeout(resolve, 5));
    receiver.drain();
  }
  expect(receiver.received).toEqual(Array.from({ length: count }, (_, n) => `READY=1\nSTATUS=${n}`));
  notifier.close();
});

it("reports what can never arrive, and goes on", () => {
  const errors: string[] = [];
  const notifier = notifierTo("/nonexistent/notify", errors);
  notifier.ready("answering");
  notifier.alive();
  expect(errors).toEqual(["/nonexistent/notify: ENOENT", "/nonexistent/notify: ENOENT"]);
  notifier.close();
});

it("does nothing without systemd, and loads nothing for it", () => {
  const script = `
    import { Notifier } from ${JSON.stringify(SOURCE)};
    const notifier = new Notifier({ socket: undefined, monotonic: () => 0n, onError: console.log });
    notifier.ready("answering");
    notifier.close();
    console.log(process.report.getReport().sharedObjects.some((name) => name.includes("koffi")));
  `;
  const output = execFileSync(process.execPath, ["--input-type=module", "-e", script], { encoding: "utf8" });
  expect(output).toBe("false\n");
});
