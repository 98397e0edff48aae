/** The certificate authorities that policy hosts are verified against. */
import { getCACertificates } from "node:tls";

/**
 * The system's roots, or Node's bundled ones where the system has none, with those of NODE_EXTRA_CA_CERTS.
 * Takes tens of milliseconds: for the first fetch, not for start-up.
 */
export function systemRoots(): string[] {
  const system = getCACertificates("system");
  const roots = system.length > 0 ? system : getCACertificates("bundled");
  // The system's folder often holds each certificate under several names.
  return [...new Set([...roots, ...getCACertificates("extra")])];
}
