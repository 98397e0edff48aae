/** Points in time and spans as people read them. */
const UNITS = [
  ["d", 86_400_000],
  ["h", 3_600_000],
  ["min", 60_000],
  ["s", 1_000],
] as const;

/** ISO 8601 → `2026-11-21 22:04:05 UTC`. */
export function moment(iso: string): string {
  return `${iso.slice(0, 19).replace("T", " ")} UTC`;
}

/** The same with its distance from `at`: `…, in 6 d 23 h`, `…, 5 min ago`. */
export function momentFrom(iso: string, at: string): string {
  const distance = Date.parse(iso) - Date.parse(at);
  const text = span(Math.abs(distance));
  return `${moment(iso)}, ${distance > 0 ? `in ${text}` : `${text} ago`}`;
}

/** From when something is due: `from …, in 3 h`, or `due since …, 5 min ago`. */
export function dueFrom(iso: string, at: string): string {
  const isPast = Date.parse(iso) <= Date.parse(at);
  return `${isPast ? "due since" : "from"} ${momentFrom(iso, at)}`;
}

/** Milliseconds → the two largest units: `6 d 23 h`, `5 min`. */
export function span(milliseconds: number): string {
  const parts: string[] = [];
  let rest = milliseconds;
  for (const [name, size] of UNITS) {
    const amount = Math.floor(rest / size);
    rest -= amount * size;
    if (amount > 0) parts.push(`${amount} ${name}`);
    else if (parts.length > 0) break;
  }
  return parts.slice(0, 2).join(" ") || "0 s";
}
