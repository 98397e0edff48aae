/**
 * The grammar of one answer of smtp_tls_policy_maps, as far as Postfix 3.4 knows it. What breaks it defers the mail
 * (`client TLS configuration problem`), so a reply that a person wrote is checked before Postfix sees it.
 */

const LEVELS = new Set(["none", "may", "encrypt", "dane", "dane-only", "fingerprint", "verify", "secure"]);

/** `match` is legal only where certificates are matched. */
const MATCH_LEVELS = new Set(["fingerprint", "verify", "secure"]);

/** Attributes with a value. Later ones (policy_type and the like) would break every Postfix before 3.10. */
const ATTRIBUTES = new Set([
  "ciphers",
  "connection_reuse",
  "exclude",
  "match",
  "protocols",
  "servername",
  "tafile",
]);

/**
 * Says what is wrong with `text`; undefined when Postfix 3.4 and later will take it. White space in values is protected
 * by `{ name = value }`.
 */
export function tlsPolicyFault(text: string): string | undefined {
  if (/[^\x20-\x7e\t]/.test(text)) return "only printable ASCII is allowed";
  const tokens = tokenize(text);
  if (tokens === undefined) return "the braces are not balanced";
  const [level, ...attributes] = tokens;
  if (level === undefined) return "the security level is missing";
  if (!LEVELS.has(level)) return `${level} is no security level (${[...LEVELS].join(", ")})`;
  for (const attribute of attributes) {
    const [name, value] = splitAttribute(attribute);
    if (!ATTRIBUTES.has(name)) return `${name} is no attribute (${[...ATTRIBUTES].join(", ")})`;
    if (value === "") return `${name} has no value`;
    if (name === "match" && !MATCH_LEVELS.has(level)) return `match is not allowed with ${level}`;
    if (name === "match" && value.split(":").some((entry) => entry === "")) return "match has an empty entry";
  }
  return undefined;
}

/** Tokens are separated by commas and white space; braces protect both and must be balanced. */
function tokenize(text: string): string[] | undefined {
  const tokens: string[] = [];
  let token = "";
  let depth = 0;
  for (const char of text) {
    if (char === "{") depth++;
    if (char === "}") depth--;
    if (depth < 0) return undefined;
    if (depth === 0 && /[,\s]/.test(char)) {
      if (token !== "") tokens.push(token);
      token = "";
    } else {
      token += char;
    }
  }
  if (token !== "") tokens.push(token);
  return depth === 0 ? tokens : undefined;
}

function splitAttribute(token: string): [name: string, value: string] {
  const bare = token.startsWith("{") && token.endsWith("}") ? token.slice(1, -1) : token;
  const equals = bare.indexOf("=");
  return equals < 0 ? [bare.trim(), ""] : [bare.slice(0, equals).trim(), bare.slice(equals + 1).trim()];
}
