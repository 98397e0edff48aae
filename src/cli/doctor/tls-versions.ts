/** Which versions of TLS Postfix speaks where a policy demands TLS. */
import { ok, problem } from "./finding.ts";
import type { Finding } from "./finding.ts";
import type { PostfixFacts } from "./postfix-facts.ts";
import { isAtLeast } from "./postfix-version.ts";

/** From the oldest on. SSLv3 is in no OpenSSL that is built as its authors build it, SSLv2 in none. */
const SPOKEN = ["TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3"];

/** As TLS writes them. SSLv2 is one to name and none to set a bound by. */
const NUMBERS = new Map([
  ["sslv2", 0x0002],
  ["sslv3", 0x0300],
  ["tlsv1", 0x0301],
  ["tlsv1.1", 0x0302],
  ["tlsv1.2", 0x0303],
  ["tlsv1.3", 0x0304],
]);

/** As every version of Postfix reads it; `>=` means something to Postfix 3.6 and later only, and costs others all TLS. */
const FROM_1_2 = "!SSLv2, !SSLv3, !TLSv1, !TLSv1.1";
const MODERN = new Set(["TLSv1.2", "TLSv1.3"]);

/** TLS 1.2 and 1.3 are what receivers with a policy speak (RFC 8461 §3.3 asks them for policy hosts; RFC 8996 retires the rest). */
export function judgeTlsVersions({
  version,
  parameters,
  commands,
}: Pick<PostfixFacts, "version" | "parameters" | "commands">): Finding {
  const setting = parameters["smtp_tls_mandatory_protocols"] ?? "";
  const mend = commands.set({ smtp_tls_mandatory_protocols: FROM_1_2 });
  const words = setting.split(/[\s,:]+/).filter((word) => word !== "");
  const hasBounds = isAtLeast(version, 3, 6);
  const wrong = words.find((word) => !isKnown(word, hasBounds));
  if (wrong !== undefined) {
    const text = `smtp_tls_mandatory_protocols has "${wrong}", which Postfix ${version} does not know: it speaks no TLS`;
    return problem("tls-versions", text, mend);
  }
  const spoken = spokenVersions(words).filter((name) => MODERN.has(name));
  if (spoken.length === 0) {
    const text = `smtp_tls_mandatory_protocols is "${setting}": neither TLS 1.2 nor 1.3 is left`;
    return problem("tls-versions", text, mend);
  }
  return ok("tls-versions", `smtp_tls_mandatory_protocols allows ${spoken.join(" and ")}`);
}

/** One word that is not costs Postfix the whole list, and with it all TLS. */
function isKnown(word: string, hasBounds: boolean): boolean {
  if (isBound(word)) return hasBounds && boundOf(word) !== undefined;
  return numberOf(word.replace(/^!/, "")) !== undefined;
}

function isBound(word: string): boolean {
  return /^[<>]=/.test(word);
}

/** A name or a hexadecimal number; 0, also written `None`, is no bound. */
function boundOf(word: string): number | undefined {
  const text = word.slice(2).toLowerCase();
  if (text === "none") return 0;
  if (text === "sslv2") return undefined;
  return numberOf(text) ?? (/^(?:0x)?[0-9a-f]{1,7}$/.test(text) ? Number.parseInt(text, 16) : undefined);
}

function numberOf(name: string): number | undefined {
  return NUMBERS.get(name.toLowerCase());
}

/**
 * postconf(5): names to include, `!` names to exclude, `>=` and `<=` bounds; nothing means all. OpenSSL speaks no versions
 * with a gap between them: those above the gap are lost.
 */
function spokenVersions(words: readonly string[]): string[] {
  const bound = (sign: string) => {
    const number =
      words
        .filter((word) => word.startsWith(sign))
        .map(boundOf)
        .at(-1) ?? 0;
    // OpenSSL sets none that it does not know, and Postfix goes on without.
    return number >= 0x0300 && number <= 0x0304 ? number : undefined;
  };
  const floor = bound(">=") ?? 0;
  const ceiling = bound("<=") ?? Infinity;
  const names = words.filter((word) => !isBound(word));
  const excluded = new Set(names.flatMap((word) => (word.startsWith("!") ? [numberOf(word.slice(1))] : [])));
  const included = new Set(names.flatMap((word) => (word.startsWith("!") ? [] : [numberOf(word)])));
  const isOn = (name: string) => {
    const number = numberOf(name) ?? 0;
    const isNamed = included.size === 0 || included.has(number);
    return isNamed && !excluded.has(number) && number >= floor && number <= ceiling;
  };
  const first = SPOKEN.findIndex(isOn);
  if (first === -1) return [];
  const gap = SPOKEN.findIndex((name, index) => index > first && !isOn(name));
  return SPOKEN.slice(first, gap === -1 ? undefined : gap);
}
