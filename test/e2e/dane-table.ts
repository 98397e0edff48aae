import { type DaneSetting, daneSettings } from "./dane-senders.ts";

/** What was asked, answered, and what became of the mail: a line of a table in docs/dane.md. */
export interface DaneRow {
  readonly domain: string;
  /** The mode of its policy, or `no policy`. */
  readonly policy: string;
  readonly answer: string;
  /** Of a Postfix with level `dane`. */
  readonly dane: string;
  /** Of a Postfix with level `may`. */
  readonly may: string;
}

export type DaneTables = ReadonlyMap<DaneSetting, readonly DaneRow[]>;

const columns = ["domain", "policy", "answer", "dane", "may"] as const;
const titles = ["DNS of the domain", "policy", "answer", "Postfix at `dane`", "Postfix at `may`"];

/** One table a setting, under a heading of its own, in Markdown. */
export function writeTables(tables: DaneTables): string {
  return daneSettings
    .map((setting) => {
      const rows = (tables.get(setting) ?? []).map((row) => columns.map((column) => row[column]));
      const lines = [titles, titles.map(() => "---"), ...rows].map((cells) => `| ${cells.join(" | ")} |`);
      return `${heading(setting)}\n\n${lines.join("\n")}\n`;
    })
    .join("\n");
}

/** The tables in a text that holds what `writeTables` wrote, however its columns are padded. */
export function readTables(text: string): DaneTables {
  return new Map(daneSettings.map((setting) => [setting, readRows(text, setting)]));
}

function readRows(text: string, setting: DaneSetting): DaneRow[] {
  const [, below = ""] = text.split(`${heading(setting)}\n`);
  const [section = ""] = below.split(/^#/mu);
  return section
    .split("\n")
    .filter((line) => line.startsWith("|"))
    .slice(2)
    .map((line) => {
      const [, domain = "", policy = "", answer = "", dane = "", may = ""] = line
        .split("|")
        .map((cell) => cell.trim());
      return { domain, policy, answer, dane, may };
    });
}

function heading(setting: DaneSetting): string {
  return `### \`dane: ${setting}\``;
}
