/** `stsmapd check`: resolves one next hop now and explains every step. */
import process from "node:process";

import { loadConfig } from "../config.ts";
import { systemTime } from "../daemon.ts";
import { examine, policyPresence } from "../lookup/examination.ts";
import type { PolicyPresence } from "../lookup/examination.ts";
import { lookupRules } from "../parts/lookup.ts";
import { createNetwork } from "../parts/network.ts";
import { examinationToJson } from "./check-json.ts";
import { renderExamination } from "./check-report.ts";
import { ExitCode } from "./exit-code.ts";

const EXIT_CODES: Record<PolicyPresence, number> = {
  policy: ExitCode.ok,
  "no-policy": ExitCode.noPolicy,
  unknown: ExitCode.unknown,
};

/** Uses DNS, proxy, maps and overrides as configured, but neither the daemon nor its cache. */
export async function check(
  nextHop: string,
  options: { readonly config?: string; readonly json?: boolean },
): Promise<number> {
  const config = loadConfig({ path: options.config, env: process.env });
  const network = createNetwork(config, process.env, new AbortController().signal);
  const key = Buffer.from(nextHop, "utf8").toString("latin1");
  const examination = await examine(key, {
    ...network,
    ...lookupRules(config, undefined),
    discoverDane: (domain) => network.discoverDane(domain, true),
    now: systemTime,
  });
  process.stdout.write(
    options.json === true
      ? `${JSON.stringify(examinationToJson(examination), undefined, 2)}\n`
      : renderExamination(examination),
  );
  return EXIT_CODES[policyPresence(examination)];
}
