import { execFileSync } from "node:child_process";
import { chmodSync, readdirSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { once } from "node:events";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, it } from "vitest";
import { UnixDatagramSender } from "../../src/net/unix-datagram.ts";
import { DatagramReceiver } from "../helpers/datagram-receiver.ts";

const SOURCE = fileURLToPath(new URL("../../src/net/unix-datagram.ts", import.meta.url));
const octets = (text: string) => Buffer.from(text, "utf8");

it("delivers datagrams whole and in order", async () => {
  using receiver = new DatagramReceiver();
  const sender = new UnixDatagramSender(receiver.path);
  const long = "ü".repeat(50_000);
  for (const text of ["one", "", long]) expect(sender.send(octets(text))).toEqual({ kind: "sent" });
  expect([await receiver.next(), await receiver.next(), await receiver.next()]).toEqual(["one", "", long]);
  sender.close();
});

it("reaches an abstract socket, whose name is told from a longer one", async () => {
  const name = `@stsmapd-test-${process.pid}`;
  using receiver = new DatagramReceiver({ path: name });
  const sender = new UnixDatagramSender(name);
  expect(sender.send(octets("one"))).toEqual({ kind: "sent" });
  expect(await receiver.next()).toBe("one");
  const longer = new UnixDatagramSender(`${name}x`);
  expect(longer.send(octets("two"))).toMatchObject({ kind: "absent" });
  sender.close();
  longer.close();
});

it("finds a receiver that comes, goes and comes again, with one descriptor", async () => {
  using first = new DatagramReceiver();
  const { path } = first;
  const sender = new UnixDatagramSender(path);
  expect(sender.send(octets("1"))).toEqual({ kind: "sent" });
  first.die();
  const before = readdirSync("/proc/self/fd").length;
  expect(sender.send(octets("2")), "nobody reads").toEqual({
    kind: "absent",
    reason: `${path}: ECONNREFUSED`,
  });
  rmSync(path);
  for (let i = 0; i < 100; i++) {
    expect(sender.send(octets("3"))).toEqual({ kind: "absent", reason: `${path}: ENOENT` });
  }
  expect(readdirSync("/proc/self/fd")).toHaveLength(before);
  using second = new DatagramReceiver({ path });
  expect(sender.send(octets("4"))).toEqual({ kind: "sent" });
  expect(await second.next()).toBe("4");
  sender.close();
  rmSync(path);
});

it("gives up at once when the queue is full, and goes on when there is room", () => {
  using receiver = new DatagramReceiver({ reads: false });
  const sender = new UnixDatagramSender(receiver.path);
  let sent = 0;
  while (sender.send(octets("x")).kind === "sent") sent++;
  expect(sender.send(octets("x"))).toEqual({ kind: "full", reason: `${receiver.path}: EAGAIN` });
  receiver.drain();
  expect(receiver.received).toHaveLength(sent);
  expect(sender.send(octets("x"))).toEqual({ kind: "sent" });
  sender.close();
});

it("says what is wrong where it can never work", async () => {
  using receiver = new DatagramReceiver();
  const folder = dirname(receiver.path);
  const stream = createServer().listen(join(folder, "stream"));
  await once(stream, "listening");
  const outcome = (path: string) => new UnixDatagramSender(path).send(octets("x"));
  expect(outcome(join(folder, "stream"))).toMatchObject({
    kind: "error",
    reason: expect.stringContaining("EPROTOTYPE"),
  });
  expect(outcome(`/${"x".repeat(107)}`)).toMatchObject({
    kind: "error",
    reason: expect.stringContaining("longer than 107 octets"),
  });
  expect(outcome("/dev/null/socket")).toMatchObject({ kind: "absent", reason: "/dev/null/socket: ENOTDIR" });
  const sender = new UnixDatagramSender(receiver.path);
  expect(sender.send(Buffer.alloc(10_000_000))).toMatchObject({
    kind: "error",
    reason: `${receiver.path}: EMSGSIZE`,
  });
  expect(sender.send(octets("after that"))).toEqual({ kind: "sent" });
  sender.close();
  expect(sender.send(octets("x"))).toEqual({ kind: "error", reason: "closed" });
  stream.close();
});

it("is told apart where the permissions do not let us", () => {
  using receiver = new DatagramReceiver();
  chmodSync(receiver.path, 0o000);
  const outcome = inProcess(`
    const sender = new UnixDatagramSender(${JSON.stringify(receiver.path)});
    // What root may do is not the question.
    if (process.getuid() === 0) {
      new UnixDatagramSender("/nowhere").send(Buffer.from("x"));
      process.setuid(65534);
    }
    console.log(JSON.stringify(sender.send(Buffer.from("x"))));
  `);
  expect(JSON.parse(outcome)).toEqual({ kind: "refused", reason: `${receiver.path}: EACCES` });
});

it("leaves no descriptor behind, and none to a child process", () => {
  using receiver = new DatagramReceiver();
  // The FFI keeps what it opens while it is loaded for the first time.
  new UnixDatagramSender("/nowhere").send(octets("x"));
  const childBefore = descriptorsOfAChild();
  const before = readdirSync("/proc/self/fd").length;
  const senders = Array.from({ length: 10 }, () => new UnixDatagramSender(receiver.path));
  for (const sender of senders) sender.send(octets("x"));
  expect(readdirSync("/proc/self/fd")).toHaveLength(before + senders.length);
  expect(descriptorsOfAChild()).toBe(childBefore);
  for (const sender of senders) sender.close();
  for (const sender of senders) sender.close();
  expect(readdirSync("/proc/self/fd")).toHaveLength(before);
});

it("loads the FFI with the first datagram only", () => {
  const outcome = inProcess(`
    const loaded = () => process.report.getReport().sharedObjects.some((name) => name.includes("koffi"));
    const before = loaded();
    new UnixDatagramSender("/nowhere").send(Buffer.from("x"));
    console.log(before, loaded());
  `);
  expect(outcome).toBe("false true\n");
});

/** What a process of its own prints. */
function inProcess(script: string): string {
  const text = `import { UnixDatagramSender } from ${JSON.stringify(SOURCE)};\n${script}`;
  return execFileSync(process.execPath, ["--input-type=module", "-e", text], { encoding: "utf8" });
}

function descriptorsOfAChild(): string {
  return execFileSync("ls", ["/proc/self/fd"], { encoding: "utf8" });
}
