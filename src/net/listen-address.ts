/** Where a server listens, as configuration and command line write it. */
import { isIPv4, isIPv6 } from "node:net";

/** A host, an IP address without brackets or a name, and a port. */
export interface HostPort {
  readonly host: string;
  readonly port: number;
}

export type ListenAddress =
  | ({ readonly kind: "tcp" } & HostPort)
  | { readonly kind: "unix"; readonly path: string };

// Labels of letters, digits and hyphens; the last is not a number, or a mistyped IPv4 address would be a name.
const HOST_NAME =
  /^(?:[a-z0-9](?:[a-z0-9-]*[a-z0-9])?\.)*(?=[a-z0-9-]*[a-z])[a-z0-9](?:[a-z0-9-]*[a-z0-9])?$/i;

/** `host:port` or `[v6]:port`; undefined if it is neither. Port 0 is any free port. */
export function parseHostPort(text: string): HostPort | undefined {
  const match = /^(?:\[(?<v6>[^\]]*)\]|(?<name>[^:]*)):(?<port>\d{1,5})$/.exec(text);
  const { v6, name = "", port } = match?.groups ?? {};
  if (port === undefined || Number(port) > 65_535) return undefined;
  if (v6 !== undefined) return isIPv6(v6) ? { host: v6, port: Number(port) } : undefined;
  return isIPv4(name) || HOST_NAME.test(name) ? { host: name, port: Number(port) } : undefined;
}

/** The inverse of {@link parseHostPort}. */
export function formatHostPort({ host, port }: HostPort): string {
  return host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`;
}

/** Reads `host:port`, `[v6]:port` or `unix:/path`; undefined for anything else. */
export function parseListenAddress(text: string): ListenAddress | undefined {
  const path = /^unix:(\/[^\0]*[^\0/])$/.exec(text)?.[1];
  if (path !== undefined) return { kind: "unix", path };
  const hostPort = parseHostPort(text);
  return hostPort && { kind: "tcp", ...hostPort };
}

/** The inverse of {@link parseListenAddress}. */
export function formatListenAddress(address: ListenAddress): string {
  return address.kind === "unix" ? `unix:${address.path}` : formatHostPort(address);
}
