/** A Prometheus that scrapes one target, and promtool: both are of Debian's package `prometheus`. */
import { execFileSync, spawn, spawnSync, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";

export function hasPrometheus(): boolean {
  return ["prometheus", "promtool"].every((name) => spawnSync(name, ["--version"]).status === 0);
}

/** What `promtool` says; throws where it finds fault. */
export function promtool(args: readonly string[], input = ""): string {
  return execFileSync("promtool", args, { input, encoding: "utf8" });
}

interface Sample {
  readonly metric: Readonly<Record<string, string>>;
  /** Time and value. */
  readonly value: readonly [number, string];
}

interface Rule {
  readonly name: string;
  readonly health: string;
  readonly lastError?: string;
}

export class Prometheus implements AsyncDisposable {
  readonly #process: ChildProcess;
  readonly #folder: string;
  readonly #address: string;

  private constructor(process: ChildProcess, folder: string, address: string) {
    this.#process = process;
    this.#folder = folder;
    this.#address = address;
  }

  /**
   * Scrapes `target`, twice a second, as the job `stsmapd`, and evaluates `rules` as often.
   *
   * @param target `host:port`
   * @param rules a file
   */
  static async start(target: string, rules: string): Promise<Prometheus> {
    const folder = mkdtempSync(join(tmpdir(), "stsmapd-prometheus-"));
    const file = join(folder, "prometheus.yaml");
    writeFileSync(
      file,
      `global: { scrape_interval: 500ms, scrape_timeout: 500ms, evaluation_interval: 500ms }
rule_files: [${rules}]
scrape_configs: [{ job_name: stsmapd, static_configs: [{ targets: ["${target}"] }] }]
`,
    );
    const options = {
      "config.file": file,
      "storage.tsdb.path": join(folder, "data"),
      "web.listen-address": "127.0.0.1:0",
    };
    const args = Object.entries(options).map(([name, value]) => `--${name}=${value}`);
    const child = spawn("prometheus", args, { stdio: ["ignore", "ignore", "pipe"] });
    const said: string[] = [];
    const address = await new Promise<string>((resolve, reject) => {
      const lines = createInterface({ input: child.stderr });
      lines.on("line", (line) => {
        said.push(line);
        const found = /msg="Listening on" address=(\S+)/.exec(line)?.[1];
        if (found !== undefined) resolve(found);
      });
      lines.once("close", () => reject(new Error(`Prometheus ended:\n${said.join("\n")}`)));
    });
    return new Prometheus(child, folder, address);
  }

  /** What `expression` evaluates to now. Rejects where it is wrong. */
  query(expression: string): Promise<readonly Sample[]> {
    return this.#get<{ result: Sample[] }>("query", { query: expression }).then(({ result }) => result);
  }

  /** How many series `selector` selects. */
  async series(selector: string): Promise<number> {
    return (await this.#get<unknown[]>("series", { "match[]": selector })).length;
  }

  async rules(): Promise<readonly Rule[]> {
    const { groups } = await this.#get<{ groups: { rules: Rule[] }[] }>("rules", {});
    return groups.flatMap(({ rules }) => rules);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const exited = once(this.#process, "exit");
    this.#process.kill("SIGKILL");
    await exited;
    rmSync(this.#folder, { recursive: true, force: true });
  }

  async #get<T>(path: string, parameters: Readonly<Record<string, string>>): Promise<T> {
    const query = new URLSearchParams(parameters);
    const answer = await fetch(`http://${this.#address}/api/v1/${path}?${query.toString()}`);
    const body: { data?: T; error?: string } = JSON.parse(await answer.text());
    if (body.data === undefined) throw new Error(`${JSON.stringify(parameters)}: ${body.error}`);
    return body.data;
  }
}
