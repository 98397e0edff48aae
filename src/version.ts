/** What this product calls itself. */
import { readFileSync } from "node:fs";

/** package.json lies one folder up from src/ as well as from dist/. */
const manifest: unknown = JSON.parse(readFileSync(new URL("../package.json", import.meta.url), "utf8"));

export const VERSION: string = readField("version");

/** RFC 8461 gives policy hosts no other way to find out who asks, and why. */
export const USER_AGENT = `stsmapd/${VERSION} (MTA-STS, RFC 8461)`;

function readField(name: string): string {
  const value = typeof manifest === "object" && manifest !== null ? Reflect.get(manifest, name) : undefined;
  if (typeof value !== "string") throw new TypeError(`package.json has no ${name}`);
  return value;
}
