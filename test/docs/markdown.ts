/** Pages in Markdown, as far as the tests look at them. */
import { globSync, readFileSync } from "node:fs";
import { basename } from "node:path";
import { fileURLToPath } from "node:url";

export const root = fileURLToPath(new URL("../..", import.meta.url));

/** The pages of the project, relative to the checkout. */
export function pages(): string[] {
  return globSync("**/*.md", { cwd: root, exclude: isForeign }).toSorted();
}

export function readPage(page: string): string {
  return readFileSync(`${root}/${page}`, "utf8");
}

/** The targets of links that are not on the web. */
export function localLinks(text: string): string[] {
  const links = [...withoutCode(text).matchAll(/\]\(([^()\s]+)\)/g)].map(([, target = ""]) => target);
  return links.filter((target) => !/^[a-z]+:/.test(target));
}

/** The fragments that lead to a heading, as GitHub makes them: `## A fault of ours` → `a-fault-of-ours`. */
export function anchors(text: string): string[] {
  return [...withoutCode(text).matchAll(/^#+ (.+)$/gm)].map(([, heading = ""]) =>
    heading
      .toLowerCase()
      .replaceAll(/[^\p{L}\p{N}\s_-]/gu, "")
      .replaceAll(" ", "-"),
  );
}

/** The command lines of `name` that stand in blocks of code, in inline code, and after a pipe or `;`; without comments. */
export function commandLines(text: string, name: string): string[] {
  const blocks = [...text.matchAll(/^```(?:sh|console)?\n([^]*?)^```$/gm)].flatMap(([, code = ""]) =>
    code.split("\n"),
  );
  const indented = [...text.matchAll(/^ {4,}(\S.*)$/gm)].map(([, code = ""]) => code);
  const inline = [...text.replaceAll(/^```[^]*?^```$/gm, "").matchAll(/`([^`]+)`/g)].map(([, code = ""]) =>
    code.replaceAll(/\s+/g, " "),
  );
  return [...blocks, ...indented, ...inline]
    .map((line) => line.replace(/^\$ /, "").replace(/ {2,}\S.*$| #.*$/, ""))
    .flatMap((line) => line.split(/ \| |; | && /))
    .filter((line) => line.startsWith(`${name} `));
}

function isForeign(path: string): boolean {
  return ["node_modules", "dist"].includes(basename(path));
}

function withoutCode(text: string): string {
  return text.replaceAll(/^```[^]*?^```$/gm, "").replaceAll(/`[^`\n]*`/g, "code");
}
