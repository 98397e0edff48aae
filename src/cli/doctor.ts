/** `stsmapd doctor`: looks at this machine, and says what is wrong and what mends it. Changes nothing. */
import process from "node:process";

import { systemTime, systemUptime } from "../daemon.ts";
import { worst } from "./doctor/finding.ts";
import { examineMachine } from "./doctor/machine.ts";
import { findingsToJson, renderFindings } from "./doctor/report.ts";
import { ExitCode } from "./exit-code.ts";

export interface DoctorOptions {
  readonly config?: string;
  /** The folder of main.cf. */
  readonly postfixConfig?: string;
  /** The domain whose policy is fetched; false: none. */
  readonly probe: string | false;
  readonly json?: boolean;
}

/** Ends within 15 seconds. */
export async function doctor({ config, postfixConfig, probe, json }: DoctorOptions): Promise<number> {
  const findings = await examineMachine({
    configPath: config,
    postfixFolder: postfixConfig,
    probe: probe === false ? undefined : probe,
    env: process.env,
    now: systemTime,
    uptime: systemUptime,
  });
  process.stdout.write(
    json === true
      ? `${JSON.stringify(findingsToJson(findings), undefined, 2)}\n`
      : renderFindings(findings, process.stdout.isTTY && process.env["NO_COLOR"] === undefined),
  );
  return ExitCode[worst(findings)];
}
