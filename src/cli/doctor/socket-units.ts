/** The socket units of systemd that hand their sockets to the daemon. */
import { isIPv6 } from "node:net";
import { formatAddress } from "../../config.ts";
import type { Config } from "../../config.ts";
import { parseListenAddress } from "../../net/listen-address.ts";
import type { ListenAddress } from "../../net/listen-address.ts";
import { addressesOf } from "./policy-tables.ts";
import { runProgram } from "./run-program.ts";

export interface SocketUnit {
  /** `stsmapd.socket` */
  readonly unit: string;
  /** `FileDescriptorName=`, the NAME of `systemd:NAME`. */
  readonly name: string;
  readonly isActive: boolean;
  /** Active after the next start of the machine. */
  readonly isEnabled: boolean;
  readonly listen: readonly ListenAddress[];
}

export async function gatherSocketUnits(
  units: readonly string[],
  signal: AbortSignal,
): Promise<SocketUnit[]> {
  if (units.length === 0) return [];
  const properties = "Id,FileDescriptorName,ActiveState,UnitFileState,Listen";
  const result = await runProgram("systemctl", ["show", ...units, "-p", properties], { signal });
  return result.kind === "ended" && result.code === 0 ? parseSocketUnits(result.stdout) : [];
}

/** What systemctl(1) shows of several units: a block of `property=value` for each, and in it a line for each address. */
export function parseSocketUnits(text: string): SocketUnit[] {
  return text
    .split("\n\n")
    .filter((block) => block.trim() !== "")
    .map((block) => {
      const valuesOf = (property: string) =>
        block
          .split("\n")
          .filter((line) => line.startsWith(`${property}=`))
          .map((line) => line.slice(property.length + 1));
      const [unit = ""] = valuesOf("Id");
      return {
        unit,
        name: valuesOf("FileDescriptorName")[0] ?? unit,
        isActive: valuesOf("ActiveState")[0] === "active",
        isEnabled: valuesOf("UnitFileState")[0]?.startsWith("enabled") ?? false,
        listen: valuesOf("Listen").flatMap((address) => parseListen(address) ?? []),
      };
    });
}

/** `127.0.0.1:8461 (Stream)`, `/run/stsmapd/socketmap (Stream)` */
function parseListen(text: string): ListenAddress | undefined {
  const address = /^(\S+) \(Stream\)$/.exec(text)?.[1] ?? "";
  return parseListenAddress(address.startsWith("/") ? `unix:${address}` : address);
}

/** The units whose socket one of `listen` is. */
export function servedBy(listen: Config["listen"], sockets: readonly SocketUnit[]): SocketUnit[] {
  return sockets.filter(({ name }) =>
    listen.some(({ address }) => address.kind === "systemd" && address.name === name),
  );
}

/** An address of `listen` that a unit has, or will have when the machine starts: the daemon cannot have it too. */
export function heldTwice(
  listen: Config["listen"],
  sockets: readonly SocketUnit[],
): { readonly address: string; readonly socket: SocketUnit } | undefined {
  for (const { address } of listen) {
    if (address.kind === "systemd") continue;
    const socket = sockets.find(
      ({ isActive, isEnabled, listen: held }) =>
        (isActive || isEnabled) && held.some((other) => collide(address, other)),
    );
    if (socket !== undefined) return { address: formatAddress(address), socket };
  }
  return undefined;
}

/** The daemon takes IPv6 only on `[::]`, systemd, if not told otherwise, IPv4 too. */
function collide(own: ListenAddress, held: ListenAddress): boolean {
  if (own.kind === "unix") return held.kind === "unix" && own.path === held.path;
  if (held.kind === "unix" || own.port !== held.port) return false;
  if (held.host === "::") return true;
  return addressesOf(own.host).some(
    (host) =>
      host === held.host ||
      (isIPv6(host) === isIPv6(held.host) &&
        [host, held.host].some((one) => one === "::" || one === "0.0.0.0")),
  );
}
