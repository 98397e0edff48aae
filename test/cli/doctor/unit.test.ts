/** systemd's units: whether the daemon runs, will after a restart of the machine, and can have the sockets it wants. */
import { describe, expect, it } from "vitest";
import { judgeUnit } from "../../../src/cli/doctor/service.ts";
import { parseSocketUnits } from "../../../src/cli/doctor/socket-units.ts";
import type { SocketUnit } from "../../../src/cli/doctor/socket-units.ts";
import { parseConfig } from "../../../src/config.ts";

const SHOWN = `FileDescriptorName=socketmap
Listen=127.0.0.1:8461 (Stream)
Listen=[::1]:8461 (Stream)
Listen=/run/stsmapd/s (Stream)
Id=stsmapd.socket
ActiveState=active
UnitFileState=enabled

FileDescriptorName=tcp_table
Listen=127.0.0.1:8462 (Stream)
Id=stsmapd-tcp-table.socket
ActiveState=inactive
UnitFileState=disabled
`;

const [socketmap, tcpTable] = parseSocketUnits(SHOWN);
if (socketmap === undefined || tcpTable === undefined) throw new Error("two units are shown");

it("sockets are read as systemctl shows them", () => {
  expect(socketmap).toEqual({
    unit: "stsmapd.socket",
    name: "socketmap",
    isActive: true,
    isEnabled: true,
    listen: [
      { kind: "tcp", host: "127.0.0.1", port: 8461 },
      { kind: "tcp", host: "::1", port: 8461 },
      { kind: "unix", path: "/run/stsmapd/s" },
    ],
  });
  expect(tcpTable).toMatchObject({ unit: "stsmapd-tcp-table.socket", isActive: false, isEnabled: false });
});

/** As doctor reads `listen:` beside these sockets. */
function judge(state: string, sockets: readonly SocketUnit[] = [], addresses?: readonly string[]) {
  const [active = "", enabled = ""] = state.split(" ");
  const listen = addresses?.map((address) => ({ protocol: "socketmap", address }));
  const names = sockets.map(({ name }) => name);
  const { listen: read } = parseConfig(JSON.stringify({ listen }), "test.yaml", {}, names);
  return judgeUnit({ active, enabled, descriptors: undefined, sockets }, read);
}

/** By their state: whether they are active, and enabled. */
const units = {
  "active enabled": socketmap,
  "inactive enabled": { ...socketmap, isActive: false },
  "active disabled": { ...socketmap, isEnabled: false },
  "inactive disabled": { ...socketmap, isActive: false, isEnabled: false },
} as const;

describe("the unit", () => {
  it("is none of this machine's where there is no systemd", () => {
    expect(judgeUnit(undefined, []).status).toBe("skipped");
  });

  it.each([
    ["active enabled", undefined, "ok"],
    ["active disabled", undefined, "warning"],
    ["failed enabled", undefined, "problem"],
    ["inactive enabled", undefined, "problem"],
    ["active disabled", "active enabled", "ok"], // the socket starts it
    ["active disabled", "active disabled", "warning"], // and will not
    ["inactive disabled", "active enabled", "ok"], // the first question starts it
    ["inactive enabled", "inactive disabled", "problem"],
    ["failed disabled", "active enabled", "problem"],
  ] as const)("%s beside a socket unit %s is %s", (state, socket, status) => {
    const sockets = socket === undefined ? [] : [tcpTable, units[socket]];
    expect(judge(state, sockets).status).toBe(status);
  });

  it("is not started by a socket that no listener is", () => {
    expect(judge("active disabled", [socketmap], ["127.0.0.1:9"]).status).toBe("warning");
    expect(judge("inactive disabled", [socketmap], ["127.0.0.1:9"]).status).toBe("problem");
  });
});

describe("an address that a socket unit has too", () => {
  it.each([
    ["failed enabled", "127.0.0.1:8461", "active enabled", "problem"],
    ["active enabled", "127.0.0.1:8461", "inactive enabled", "warning"], // it runs, until the machine is started again
    ["active enabled", "127.0.0.1:8461", "inactive disabled", "ok"],
    ["inactive enabled", "localhost:8461", "active enabled", "problem"],
    ["inactive enabled", "0.0.0.0:8461", "active enabled", "problem"],
    ["inactive enabled", "[::]:8461", "active enabled", "problem"], // because of [::1]
    ["inactive enabled", "unix:/run/stsmapd/s", "active enabled", "problem"],
    ["active enabled", "127.0.0.2:8461", "active enabled", "ok"],
    ["active enabled", "systemd:socketmap", "active enabled", "ok"],
  ] as const)("%s, %s, and the socket unit %s: %s", (state, address, socket, status) => {
    expect(judge(state, [units[socket]], [address]).status).toBe(status);
  });

  it("is none where the daemon leaves IPv4 to others", () => {
    const sockets = [{ ...tcpTable, isEnabled: true }];
    expect(judge("active enabled", sockets, ["[::]:8462"]).status).toBe("ok");
    expect(judge("active enabled", sockets, ["0.0.0.0:8462"]).status).toBe("warning");
  });

  it("is to be named after the socket, or the unit to be disabled", () => {
    expect(judge("failed enabled", [socketmap], ["127.0.0.1:8461"])).toMatchObject({
      found: expect.stringMatching(/^stsmapd\.socket has 127\.0\.0\.1:8461, .* cannot start$/),
      mend: [
        expect.stringContaining("write address: systemd:socketmap for 127.0.0.1:8461"),
        "systemctl disable --now stsmapd.socket",
        "systemctl restart stsmapd",
      ],
    });
  });

  it("is not why the daemon does not run, where the unit is only enabled", () => {
    const sockets = [units["inactive enabled"]];
    expect(judge("failed enabled", sockets, ["127.0.0.1:8461"])).toMatchObject({
      status: "problem",
      found: "stsmapd.service is failed",
    });
    expect(judge("active enabled", sockets, ["127.0.0.1:8461"])).toMatchObject({
      status: "warning",
      found: expect.stringMatching(/^stsmapd\.socket will have 127\.0\.0\.1:8461, .* cannot start again$/),
    });
  });

  it("is found behind one that a unit only will have", () => {
    const sockets = [units["inactive enabled"], { ...tcpTable, isActive: true }];
    expect(judge("failed enabled", sockets, ["127.0.0.1:8461", "127.0.0.1:8462"])).toMatchObject({
      status: "problem",
      found: expect.stringMatching(/^stsmapd-tcp-table\.socket has 127\.0\.0\.1:8462, .* cannot start$/),
    });
  });
});
