/** Cache files full of policies, made once and kept (see CACHE): a million rows take a while. */
import { createHash } from "node:crypto";
import { copyFileSync, existsSync, mkdirSync, renameSync, statSync } from "node:fs";
import { join } from "node:path";
import Database from "better-sqlite3";
import { MIGRATIONS } from "../src/store/migrations.ts";
import { openStore } from "../src/store/open-store.ts";
import type { Entry } from "../src/store/store.ts";
import { DAY } from "../test/helpers/clock.ts";
import { DOMAIN, domainOf, MAX_AGE, policyOf, RECORD_ID } from "./names.ts";
import { CACHE } from "./native.ts";

/** A file this old is made anew, so that its times are those of a store in use. */
const MAX_FILE_AGE = 20 * DAY;

/** Milliseconds since 1970. */
interface Times {
  readonly fetchedAt: number;
  readonly renewAt: number;
  readonly checkAt: number;
}

function rowOf(number: number, now: number, { fetchedAt, renewAt, checkAt }: Times): Entry {
  const domain = domainOf(number);
  const expiresAt = fetchedAt + MAX_AGE * 1000;
  const policy = { mode: "enforce", mx: [`mx.${domain}`], maxAge: MAX_AGE } as const;
  const pin = { recordId: RECORD_ID, text: policyOf(domain), ...policy, fetchedAt, expiresAt, renewAt };
  return { domain, pin, failure: undefined, checkedAt: fetchedAt, checkAt, usedAt: now };
}

/**
 * - `current`: nothing falls due for months.
 * - `due`: all are to be renewed, and lapse in a year.
 * - `lapsing`: all are to be renewed, and lapse so soon that renewals go at their fastest, fifty a second: twenty would do, with none to spare.
 */
export type Stock = "current" | "due" | "lapsing";

/** Milliseconds: `lapsing` policies have this much time for each of them. */
const TIME_PER_POLICY = 50;

/** Copies a file with `rows` enforce policies to `path`: of domains 0 to `rows` - 1, used now. */
export async function storedAt(path: string, rows: number, stock: Stock = "current"): Promise<string> {
  const due = stock !== "current";
  const version = createHash("sha256")
    .update(MIGRATIONS.join())
    .update(policyOf("x"))
    .digest("hex")
    .slice(0, 8);
  const file = join(CACHE, `stored-${version}-${rows}${due ? "-due" : ""}.sqlite`);
  if (!existsSync(file) || statSync(file).mtimeMs < Date.now() - MAX_FILE_AGE) await fill(file, rows, due);
  copyFileSync(file, path);
  if (stock === "lapsing") lapseAt(path, Date.now() + rows * TIME_PER_POLICY);
  return path;
}

function lapseAt(path: string, moment: number): void {
  const db = new Database(path);
  db.prepare("UPDATE domain SET expires_at = ?").run(moment);
  db.close();
}

/** The store writes the first row; all others are copies of it under other names, which is a hundred times as fast. */
async function fill(file: string, rows: number, due: boolean): Promise<void> {
  mkdirSync(CACHE, { recursive: true });
  const made = `${file}.${process.pid}`;
  const now = Date.now();
  const far = now + 200 * DAY;
  const times = due
    ? { fetchedAt: now - 5 * DAY, renewAt: now - DAY, checkAt: far }
    : { fetchedAt: now, renewAt: far, checkAt: far };
  const store = openStore({ path: made, now: () => now, examine: false });
  if (rows > 0) await store.put(rowOf(0, now, times));
  await store.close();
  const db = new Database(made);
  for (const table of ["domain", "id_history"]) copyFirst(db, table, rows);
  db.close();
  renameSync(made, file);
}

function copyFirst(db: Database.Database, table: string, rows: number): void {
  const all = db.prepare<[string], string>("SELECT name FROM pragma_table_info(?)").pluck().all(table);
  const columns = all.filter((name) => name !== "id");
  const renamed = new Set(["domain", "text", "mx"]);
  const [first, other] = ["'" + domainOf(0) + "'", `replace('${DOMAIN}', '#', n)`];
  const values = columns.map((name) => (renamed.has(name) ? `replace(${name}, ${first}, ${other})` : name));
  db.prepare(
    `INSERT INTO ${table} (${columns.join(", ")})
     WITH RECURSIVE number(n) AS (SELECT 1 WHERE :rows > 1 UNION ALL SELECT n + 1 FROM number WHERE n + 1 < :rows)
     SELECT ${values.join(", ")} FROM number JOIN ${table} ON domain = ${first}`,
  ).run({ rows });
}

/** The same, as the cache file of postfix-mta-sts-resolver, made anew. */
export function mtaStsDaemonCacheAt(path: string, rows: number): string {
  const db = new Database(path);
  db.exec(`
    CREATE TABLE sts_policy_cache (domain text, ts integer, pol_id text, pol_body text);
    CREATE UNIQUE INDEX sts_policy_domain ON sts_policy_cache (domain);
    CREATE INDEX sts_policy_domain_ts ON sts_policy_cache (domain, ts);`);
  const add = db.prepare("INSERT INTO sts_policy_cache VALUES (?, ?, ?, ?)");
  const now = Math.floor(Date.now() / 1000);
  db.transaction(() => {
    for (let number = 0; number < rows; number++) {
      const domain = domainOf(number);
      const policy = { version: "STSv1", mode: "enforce", mx: [`mx.${domain}`], max_age: MAX_AGE };
      add.run(domain, now, RECORD_ID, JSON.stringify(policy));
    }
  })();
  db.close();
  return path;
}
