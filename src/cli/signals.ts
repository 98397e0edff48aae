/** The signals by which the daemon is told what to do. */
import { once } from "node:events";
import process from "node:process";

import { ExitCode } from "./exit-code.ts";

const STOP_SIGNALS = ["SIGTERM", "SIGINT"] as const;

/** A signal that may come before what it asks for can be done: it is then done as soon as it can. */
export class SignalRequest {
  #handle: (() => void) | undefined;
  #isAsked = false;

  constructor(signal: NodeJS.Signals) {
    process.on(signal, () => {
      if (this.#handle === undefined) this.#isAsked = true;
      else this.#handle();
    });
  }

  /** What is done from now on; at once, where it was asked for and nothing could be done. */
  use(handle: () => void): void {
    this.#handle = handle;
    if (this.#isAsked) handle();
    this.#isAsked = false;
  }
}

/** The first stop signal; from then on the next one ends the process. */
export async function stopSignal(): Promise<string> {
  const controller = new AbortController();
  const { signal } = controller;
  const name = await Promise.race(
    STOP_SIGNALS.map(async (stopSignalName) => {
      await once(process, stopSignalName, { signal });
      return stopSignalName;
    }),
  );
  controller.abort();
  for (const next of STOP_SIGNALS) process.once(next, () => process.exit(ExitCode.software));
  return name;
}
