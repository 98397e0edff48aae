/** Where a server listens, as configuration writes it. */
import { isIPv6 } from "node:net";

export type ListenAddress =
  | { readonly kind: "tcp"; readonly host: string; readonly port: number }
  | { readonly kind: "unix"; readonly path: string };

/** Reads `host:port`, `[v6]:port` or `unix:/path`; undefined for anything else. Port 0 lets the system choose. */
export function parseListenAddress(text: string): ListenAddress | undefined {
  const path = /^unix:(\/.*[^/])$/.exec(text)?.[1];
  if (path !== undefined) return path.includes("\0") ? undefined : { kind: "unix", path };
  const match = /^(?:\[([^\]]+)\]|([A-Za-z0-9._-]+)):(\d{1,5})$/.exec(text);
  if (match === null) return undefined;
  const [, v6, name, digits] = match;
  const port = Number(digits);
  if (port > 65_535 || (v6 !== undefined && !isIPv6(v6))) return undefined;
  return { kind: "tcp", host: v6 ?? name!, port };
}

/** The inverse of {@link parseListenAddress}. */
export function formatListenAddress(address: ListenAddress): string {
  if (address.kind === "unix") return `unix:${address.path}`;
  return isIPv6(address.host) ? `[${address.host}]:${address.port}` : `${address.host}:${address.port}`;
}
