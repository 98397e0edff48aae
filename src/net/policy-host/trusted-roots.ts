/** Certificate authorities of the administrator's own, which policy hosts may be verified against. */
import { X509Certificate } from "node:crypto";
import { readFileSync } from "node:fs";
import { errorText } from "./fetch-failure.ts";

/**
 * A file of roots that cannot be used: the administrator must mend the file or the configuration.
 * - `unreadable`: the file cannot be read.
 * - `no-certificate`: there is none in it, or one that is damaged.
 */
export type TrustedRootsErrorCode = "unreadable" | "no-certificate";

export class TrustedRootsError extends Error {
  override readonly name = "TrustedRootsError";
  readonly code: TrustedRootsErrorCode;

  constructor(code: TrustedRootsErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}

const PEM_CERTIFICATE =
  /-----BEGIN (?:TRUSTED )?CERTIFICATE-----[^-]+-----END (?:TRUSTED )?CERTIFICATE-----/g;

/**
 * The certificates of a PEM file, one string each. Text between them is ignored.
 * Throws {@link TrustedRootsError}.
 */
export function readRootsFile(path: string): string[] {
  let text: string;
  try {
    text = readFileSync(path, "latin1");
  } catch (cause) {
    throw new TrustedRootsError(
      "unreadable",
      `cannot read the trusted roots in ${path}: ${errorText(cause)}${hiddenBySystemd(path)}`,
      { cause },
    );
  }
  const certificates = text.match(PEM_CERTIFICATE) ?? [];
  if (certificates.length === 0)
    throw new TrustedRootsError("no-certificate", `no PEM certificate in ${path}`);
  for (const [index, certificate] of certificates.entries()) {
    try {
      // eslint-disable-next-line no-new
      new X509Certificate(certificate);
    } catch (cause) {
      throw new TrustedRootsError("no-certificate", `certificate ${index + 1} in ${path} is damaged`, {
        cause,
      });
    }
  }
  return certificates;
}

/** What the unit's ProtectHome= hides is not there for the daemon, or shut, whatever its permissions are. */
function hiddenBySystemd(path: string): string {
  return /^\/(?:home|root|run\/user)\//.test(path)
    ? "; systemd's stsmapd.service sees nothing below /home, /root and /run/user: put it into /etc/stsmapd"
    : "";
}
