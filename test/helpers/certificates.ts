/** A throw-away certificate authority in memory, whose certificates can be wrong in every way a test needs. */
import { generateKeyPairSync, type KeyObject, randomBytes, sign } from "node:crypto";
import { isIP } from "node:net";
import ipaddr from "ipaddr.js";
import * as der from "./der.ts";

export interface CertificateOptions {
  /** The subject alternative name: DNS names, IP addresses. Empty: the extension is left out. */
  readonly names?: readonly string[];
  /** Default: the first of `names`. */
  readonly commonName?: string;
  /** Default: a year ago. */
  readonly notBefore?: Date;
  /** Default: in ten days. */
  readonly notAfter?: Date;
  /** Signed by its own key instead of the authority's. */
  readonly selfSigned?: boolean;
  /** Object identifiers of the extended key usage. Default: serverAuth. */
  readonly usages?: readonly string[];
}

/** What `tls.createServer` takes. */
export interface Certificate {
  readonly key: string;
  /** The certificate, followed by those of the intermediate authorities. */
  readonly cert: string;
}

export interface CertificateAuthority {
  /** The root's certificate, for whoever is to trust it. */
  readonly pem: string;
  issue(options?: CertificateOptions): Certificate;
  /** An authority below this one; its certificate goes with each it issues. */
  intermediate(
    options?: Pick<CertificateOptions, "commonName" | "notBefore" | "notAfter">,
  ): CertificateAuthority;
}

const DAY_MS = 86_400_000;
const SERVER_AUTH = "1.3.6.1.5.5.7.3.1";

/** Makes a new root. Takes about a millisecond. */
export function createCa(commonName = "Throw-away test root"): CertificateAuthority {
  const { privateKey, publicKey } = newKey();
  const pem = certificate({ commonName, ca: true }, publicKey, { commonName, key: privateKey });
  return authority({ commonName, key: privateKey }, pem, "");
}

interface Issuer {
  readonly commonName: string;
  readonly key: KeyObject;
}

/** @param chain what goes with each certificate, in PEM */
function authority(issuer: Issuer, pem: string, chain: string): CertificateAuthority {
  return {
    pem,
    issue(options = {}) {
      const { privateKey, publicKey } = newKey();
      const commonName = options.commonName ?? options.names?.[0] ?? "nobody";
      const signer = options.selfSigned === true ? { commonName, key: privateKey } : issuer;
      const own = certificate({ ...options, commonName, ca: false }, publicKey, signer);
      return {
        key: privateKey.export({ type: "pkcs8", format: "pem" }).toString(),
        cert: options.selfSigned === true ? own : own + chain,
      };
    },
    intermediate(options = {}) {
      const { privateKey, publicKey } = newKey();
      const commonName = options.commonName ?? "Throw-away test intermediate";
      const own = certificate({ ...options, commonName, ca: true }, publicKey, issuer);
      return authority({ commonName, key: privateKey }, own, own + chain);
    },
  };
}

function newKey(): { privateKey: KeyObject; publicKey: KeyObject } {
  return generateKeyPairSync("ec", { namedCurve: "P-256" });
}

/** RFC 5280 §4.1. */
function certificate(
  subject: CertificateOptions & { commonName: string; ca: boolean },
  publicKey: KeyObject,
  issuer: Issuer,
): string {
  const now = Date.now();
  const signatureAlgorithm = der.sequence(der.objectIdentifier("1.2.840.10045.4.3.2")); // ecdsa-with-SHA256
  const serial = randomBytes(16);
  serial[0] = ((serial[0] ?? 0) & 0x3f) | 0x40; // Positive, and without leading zeros.
  const toBeSigned = der.sequence(
    der.explicit(0, der.integer(Buffer.of(2))), // Version 3.
    der.integer(serial),
    signatureAlgorithm,
    distinguishedName(issuer.commonName),
    der.sequence(
      der.time(subject.notBefore ?? new Date(now - 365 * DAY_MS)),
      der.time(subject.notAfter ?? new Date(now + 10 * DAY_MS)),
    ),
    distinguishedName(subject.commonName),
    publicKey.export({ type: "spki", format: "der" }),
    der.explicit(3, der.sequence(...extensions(subject))),
  );
  const signature = sign("sha256", toBeSigned, issuer.key);
  const octets = der.sequence(toBeSigned, signatureAlgorithm, der.bitString(signature));
  const lines = octets.toString("base64").match(/.{1,64}/g) ?? [];
  return `-----BEGIN CERTIFICATE-----\n${lines.join("\n")}\n-----END CERTIFICATE-----\n`;
}

function distinguishedName(commonName: string): Buffer {
  return der.sequence(der.set(der.sequence(der.objectIdentifier("2.5.4.3"), der.utf8String(commonName))));
}

function extensions(subject: CertificateOptions & { ca: boolean }): Buffer[] {
  if (subject.ca) {
    return [
      extension("2.5.29.19", true, der.sequence(der.boolean(true))), // basicConstraints: a CA.
      extension("2.5.29.15", true, der.bitString(Buffer.of(0x06), 1)), // keyUsage: keyCertSign, cRLSign.
    ];
  }
  const usages = (subject.usages ?? [SERVER_AUTH]).map(der.objectIdentifier);
  const all = [extension("2.5.29.37", false, der.sequence(...usages))];
  const names = (subject.names ?? []).map(generalName);
  if (names.length > 0) all.push(extension("2.5.29.17", false, der.sequence(...names)));
  return all;
}

function extension(identifier: string, critical: boolean, content: Buffer): Buffer {
  const value = der.octetString(content);
  const oid = der.objectIdentifier(identifier);
  return critical ? der.sequence(oid, der.boolean(true), value) : der.sequence(oid, value);
}

function generalName(name: string): Buffer {
  if (isIP(name) === 0) return der.implicit(2, Buffer.from(name));
  return der.implicit(7, Buffer.from(ipaddr.parse(name).toByteArray()));
}
