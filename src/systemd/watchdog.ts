/** The watchdog of systemd, fed by what is asked of the daemon and not by a bare timer. */

/** Tests within the time that systemd waits: two may fail before it loses patience. */
const TESTS = 3;

/** The part of the time between two tests that one may take. */
const TEST_PART = 0.75;

export interface WatchdogOptions {
  /** Milliseconds that systemd waits for a sign of life. */
  readonly patience: number;
  /** Tries whether the daemon answers, within so many milliseconds; gives what is wrong. Never rejects. */
  readonly test: (timeout: number) => Promise<string | undefined>;
  readonly onAlive: () => void;
  readonly onFailure: (reason: string) => void;
}

/** Tests until what it returns is called. A test that fails gives no sign of life, and that is all it does. */
export function startWatchdog({ patience, test, onAlive, onFailure }: WatchdogOptions): () => void {
  const interval = patience / TESTS;
  let isTesting = false;
  let isStopped = false;
  const run = async () => {
    if (isTesting) return;
    isTesting = true;
    const failure = await test(interval * TEST_PART);
    isTesting = false;
    if (isStopped) return;
    if (failure === undefined) onAlive();
    else onFailure(failure);
  };
  const timer = setInterval(run, interval);
  return () => {
    isStopped = true;
    clearInterval(timer);
  };
}
