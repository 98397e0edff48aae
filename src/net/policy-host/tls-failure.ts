/** From what OpenSSL and Node say of a handshake or a certificate to the closed reasons, in words an owner can act on. */
import type { X509Certificate } from "node:crypto";
import { errorCode, errorText, FetchFailure } from "./fetch-failure.ts";
import type { FetchFailureReason } from "./policy-fetcher.ts";

type VerifyReason = Exclude<
  Extract<FetchFailureReason, `certificate-${string}`>,
  "certificate-name-mismatch"
>;

/** Codes of X509_verify_cert_error_string(3) by reason. What is not here is `certificate-invalid`. */
const VERIFY_ERRORS: Readonly<Record<string, VerifyReason>> = {
  CERT_HAS_EXPIRED: "certificate-expired",
  CERT_NOT_YET_VALID: "certificate-not-yet-valid",
  DEPTH_ZERO_SELF_SIGNED_CERT: "certificate-self-signed",
  SELF_SIGNED_CERT_IN_CHAIN: "certificate-untrusted",
  UNABLE_TO_GET_ISSUER_CERT: "certificate-untrusted",
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: "certificate-untrusted",
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: "certificate-untrusted",
  CERT_UNTRUSTED: "certificate-untrusted",
};

/** The versions of both sides do not meet, by our word or by the host's alert. */
const VERSION_ERRORS =
  /^ERR_SSL_(?:UNSUPPORTED_PROTOCOL|VERSION_TOO_LOW|(?:TLSV1|SSLV3)_ALERT_PROTOCOL_VERSION)$/;

/** What OpenSSL says when the first octets are no TLS record. */
const NOT_TLS_ERRORS =
  /^ERR_SSL_(?:WRONG_VERSION_NUMBER|PACKET_LENGTH_TOO_LONG|HTTP_REQUEST|RECORD_LAYER_FAILURE)$/;

/** The TLS handshake broke off, or the connection with a TLS alert after it. */
export function handshakeFailure(cause: unknown): FetchFailure {
  const code = errorCode(cause);
  if (VERSION_ERRORS.test(code)) {
    return new FetchFailure("tls-version", "offers no TLS version from 1.2 on", { cause });
  }
  if (NOT_TLS_ERRORS.test(code))
    return new FetchFailure("tls-error", "does not speak TLS on this port", { cause });
  if (code === "ECONNRESET" || code === "EPIPE") {
    return new FetchFailure("tls-error", "closed the connection during the TLS handshake", { cause });
  }
  return new FetchFailure("tls-error", `TLS handshake failed (${code === "" ? errorText(cause) : code})`, {
    cause,
  });
}

/**
 * The certificate does not verify.
 *
 * @param code OpenSSL's, as in `socket.authorizationError`
 * @param certificate the host's own, linked to those of its issuers as far as the host sent them
 */
export function verifyFailure(code: string, certificate: X509Certificate): FetchFailure {
  const reason = VERIFY_ERRORS[code] ?? "certificate-invalid";
  const options = { cause: new Error(code) };
  switch (reason) {
    case "certificate-expired": {
      const expired = extreme(certificate, (a, b) => a.validToDate < b.validToDate);
      return new FetchFailure(
        reason,
        `${whichOne(expired, certificate)} expired ${day(expired.validToDate)}`,
        options,
      );
    }
    case "certificate-not-yet-valid": {
      const early = extreme(certificate, (a, b) => a.validFromDate > b.validFromDate);
      const which = whichOne(early, certificate);
      return new FetchFailure(reason, `${which} not valid before ${day(early.validFromDate)}`, options);
    }
    case "certificate-self-signed":
      return new FetchFailure(reason, "certificate is self-signed", options);
    case "certificate-untrusted":
      return new FetchFailure(
        reason,
        `certificate's issuer (${oneLine(certificate.issuer)}) is not trusted, or an intermediate certificate is not sent`,
        options,
      );
    case "certificate-invalid":
      return new FetchFailure(reason, `certificate is not acceptable (${code})`, options);
  }
}

/** The certificate is for other hosts. */
export function nameMismatch(host: string, names: readonly string[]): FetchFailure {
  if (names.length === 0) {
    return new FetchFailure(
      "certificate-name-mismatch",
      "certificate has no DNS name in its subject alternative name (a common name does not count)",
    );
  }
  const shown = names.slice(0, 5).join(", ") + (names.length > 5 ? ` and ${names.length - 5} more` : "");
  return new FetchFailure("certificate-name-mismatch", `certificate is for ${shown}, not for ${host}`);
}

/** A distinguished name, which Node gives one attribute a line. */
export function oneLine(distinguishedName: string): string {
  return distinguishedName.split("\n").join(", ");
}

/** OpenSSL does not say which certificate of the chain it means: if one has expired, then the first to expire has. */
function extreme(
  leaf: X509Certificate,
  isMore: (a: X509Certificate, b: X509Certificate) => boolean,
): X509Certificate {
  let found = leaf;
  for (let next = leaf.issuerCertificate; next !== undefined; next = next.issuerCertificate) {
    if (isMore(next, found)) found = next;
  }
  return found;
}

function whichOne(certificate: X509Certificate, leaf: X509Certificate): string {
  return certificate === leaf ? "certificate" : `issuer's certificate (${oneLine(certificate.subject)})`;
}

function day(date: Date): string {
  return date.toISOString().slice(0, 10);
}
