/** Manual pages in mdoc, as far as the tests look at them. */
import { readFileSync } from "node:fs";

export interface Item {
  /** The heading it stands under: `.Sh` or `.Ss`. */
  readonly heading: string;
  /** What follows `.It`. */
  readonly title: string;
  /** The lines below it. */
  readonly body: string;
}

/** The source of a page in man/. */
export function manPage(name: string): string {
  return readFileSync(new URL(`../../man/${name}`, import.meta.url), "utf8");
}

/** The texts of all headings of one kind, in order. */
export function headings(page: string, macro: "Sh" | "Ss"): string[] {
  return [...page.matchAll(new RegExp(`^\\.${macro} (.+)$`, "gm"))].map(([, text = ""]) => text);
}

/** The items of all lists. */
export function items(page: string): Item[] {
  let heading = "";
  return page.split(/^(?=\.(?:Sh|Ss|It|El)\b)/m).flatMap((part) => {
    const [first = "", ...rest] = part.split("\n");
    if (/^\.S[hs] /.test(first)) heading = first.slice(4);
    return first.startsWith(".It ") ? [{ heading, title: first.slice(4), body: rest.join("\n") }] : [];
  });
}
