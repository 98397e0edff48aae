/** The expressions of the alerts and of the dashboard, and the selectors in them. */
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { parse } from "yaml";

const FOLDER = new URL("../../docs/monitoring/", import.meta.url);

export const RULES = fileURLToPath(new URL("stsmapd.rules.yaml", FOLDER));
export const RULES_TEST = fileURLToPath(new URL("stsmapd.rules.test.yaml", import.meta.url));

export interface Alert {
  readonly alert: string;
  readonly expr: string;
  readonly labels: { readonly severity: string };
  readonly annotations: { readonly summary: string; readonly description: string };
}

export function readAlerts(): readonly Alert[] {
  const { groups }: { groups: { rules: Alert[] }[] } = parse(readFileSync(RULES, "utf8"));
  return groups.flatMap(({ rules }) => rules);
}

interface Panel {
  readonly id: number;
  readonly type: string;
  readonly title: string;
  readonly gridPos: Readonly<Record<"x" | "y" | "w" | "h", number>>;
  readonly datasource?: { readonly uid: string };
  readonly targets?: readonly { readonly refId: string; readonly expr: string }[];
}

export interface Dashboard {
  readonly panels: readonly Panel[];
  readonly templating: { readonly list: readonly { readonly name: string }[] };
}

export function readDashboard(): Dashboard {
  return JSON.parse(readFileSync(new URL("grafana-dashboard.json", FOLDER), "utf8"));
}

/** As Grafana sends it for all instances. */
export function filledIn(expression: string): string {
  return expression.replaceAll("$instance", ".*").replaceAll("$__rate_interval", "1m");
}

const OPERATORS = new Set(["and", "or", "unless", "bool", "offset"]);

/** The names of metrics in `expression`, with the conditions on their labels. Quotes are understood in these only. */
export function selectorsOf(expression: string): string[] {
  const withoutRangesAndLists = expression.replaceAll(/\[[^\]]*\]|\b(?:by|on) \([^)]*\)/g, " ");
  const names = withoutRangesAndLists.matchAll(/(?<![\w.])[a-z_]\w*\b(?!\s*\()(?:\{[^}]*\})?/g);
  return Array.from(names, ([selector]) => selector).filter((selector) => !OPERATORS.has(selector));
}
