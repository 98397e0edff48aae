import { describe, expect, it } from "vitest";
import { takeSystemdEnvironment } from "../../src/systemd/environment.ts";

const PID = 42;

describe("sockets", () => {
  it.each([
    [{}, []], // no systemd
    [
      { LISTEN_PID: "42", LISTEN_FDS: "2", LISTEN_FDNAMES: "a:b" },
      [
        { fd: 3, name: "a" },
        { fd: 4, name: "b" },
      ],
    ],
    [
      { LISTEN_PID: "42", LISTEN_FDS: "2", LISTEN_FDNAMES: "a:a" },
      [
        { fd: 3, name: "a" },
        { fd: 4, name: "a" },
      ],
    ], // one unit
    [{ LISTEN_PID: "42", LISTEN_FDS: "1" }, [{ fd: 3, name: "unknown" }]], // systemd before 227
    [
      { LISTEN_PID: "42", LISTEN_FDS: "2", LISTEN_FDNAMES: "a" },
      [
        { fd: 3, name: "a" },
        { fd: 4, name: "unknown" },
      ],
    ],
    [{ LISTEN_PID: "42", LISTEN_FDS: "1", LISTEN_FDNAMES: "" }, [{ fd: 3, name: "" }]],
    [{ LISTEN_PID: "43", LISTEN_FDS: "1", LISTEN_FDNAMES: "a" }, []], // those of our parent
    [{ LISTEN_FDS: "1", LISTEN_FDNAMES: "a" }, []], // whose?
    [{ LISTEN_PID: "42", LISTEN_FDS: "0" }, []],
    [{ LISTEN_PID: "42", LISTEN_FDS: "-1" }, []],
    [{ LISTEN_PID: "42", LISTEN_FDS: "many" }, []],
  ])("of %j", (env: Record<string, string>, sockets) => {
    expect(takeSystemdEnvironment({ ...env }, PID).sockets).toEqual(sockets);
  });
});

describe("the watchdog", () => {
  it.each([
    [{}, undefined],
    [{ WATCHDOG_USEC: "30000000", WATCHDOG_PID: "42" }, 30_000], // microseconds to milliseconds
    [{ WATCHDOG_USEC: "30000000" }, 30_000], // every process of the service is meant
    [{ WATCHDOG_USEC: "30000000", WATCHDOG_PID: "43" }, undefined], // another one is
    [{ WATCHDOG_USEC: "0", WATCHDOG_PID: "42" }, undefined], // off
    [{ WATCHDOG_USEC: "soon", WATCHDOG_PID: "42" }, undefined],
  ])("of %j", (env: Record<string, string>, watchdog) => {
    expect(takeSystemdEnvironment({ ...env }, PID).watchdog).toBe(watchdog);
  });
});

it("is taken away from whoever comes after, and nothing else is", () => {
  const env: NodeJS.ProcessEnv = {
    LISTEN_FDS: "1",
    LISTEN_FDNAMES: "a",
    LISTEN_PID: "43",
    NOTIFY_SOCKET: "/run/systemd/notify",
    WATCHDOG_PID: "42",
    WATCHDOG_USEC: "1",
    STATE_DIRECTORY: "/var/lib/stsmapd",
  };
  expect(takeSystemdEnvironment(env, PID).notifySocket).toBe("/run/systemd/notify");
  expect(env).toEqual({ STATE_DIRECTORY: "/var/lib/stsmapd" });
});
