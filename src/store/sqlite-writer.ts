/** The writer thread: one connection, one request at a time. A slow disk stops only this. */
import { parentPort, workerData } from "node:worker_threads";
import type Database from "better-sqlite3";
import { workOffLog } from "./checkpoint.ts";
import { setAside } from "./set-aside.ts";
import { prepareBacklog } from "./sqlite-backlog.ts";
import { DamageError, storeError } from "./sqlite-error.ts";
import { fileIdentity, openFile } from "./sqlite-file.ts";
import { SqliteStatements } from "./sqlite-statements.ts";
import type { StoreError } from "./store.ts";
import type {
  RequestKind,
  RequestMessage,
  Requests,
  Write,
  WriteFailure,
  WriterOptions,
} from "./writer-protocol.ts";

const options: WriterOptions = workerData;

interface OpenFile {
  readonly db: Database.Database;
  readonly statements: SqliteStatements;
  readonly backlog: ReturnType<typeof prepareBacklog>;
  /** 0 until the first transaction that writes rows. */
  writer: number;
}

let open: OpenFile | undefined;
/** Of the file that is open, or could not be opened. Asked for before, lest a newer file's is taken for it. */
let identity: string | undefined;

/** The connection to the file that is at the path now: another process may have set aside the one we had. */
function current(): OpenFile {
  if (open !== undefined && identity !== fileIdentity(options.path)) shut();
  if (open === undefined) {
    identity = fileIdentity(options.path);
    const db = openFile(options);
    identity ??= fileIdentity(options.path);
    open = { db, statements: new SqliteStatements(db), backlog: prepareBacklog(db), writer: 0 };
  }
  return open;
}

function shut(): void {
  open?.db.close();
  open = undefined;
}

function write(request: Requests["write"]["in"]): Requests["write"]["out"] {
  const { writes, touches } = request;
  const file = current();
  const { db, statements } = file;
  const failures = new Map<number, WriteFailure>();
  const transaction = db.transaction(() => {
    // Another process may have replaced the file while this one waited for the lock on it.
    if (identity !== fileIdentity(options.path)) return undefined;
    // Touches and DANE states alone take no numbers: other processes need not hear of them.
    let hasWritten = writes.some(({ kind }) => kind !== "dane");
    const writer = file.writer || (hasWritten ? statements.nextWriter() : 0);
    const change = hasWritten ? statements.nextChange() : 0;
    // Nested, so a savepoint: what a bad entry wrote is undone, and the others stand.
    const one = db.transaction((item: Write) => {
      if (item.kind === "put") statements.put(item, change, writer);
      else if (item.kind === "delete") statements.delete(item.domain, change, writer);
      else hasWritten = statements.noteDane(item.domain, item.dane) || hasWritten;
    });
    for (const [index, item] of writes.entries()) {
      try {
        one(item);
      } catch (error) {
        const { code, message } = storeError(error, options.path);
        if (code !== "invalid") throw error;
        failures.set(index, { code, message });
      }
    }
    for (const touch of touches) hasWritten = statements.touch(touch, options.touchStep) || hasWritten;
    return { writer, failures, hasWritten };
  });
  const done = transaction.immediate();
  if (done === undefined) return write(request);
  file.writer = done.writer;
  return done;
}

function rebase({ now, after, limit }: Requests["rebase"]["in"]): Requests["rebase"]["out"] {
  const { db, statements } = current();
  return db.transaction(() => statements.rebase(now, after, limit)).immediate();
}

const answers: { [K in RequestKind]: (request: Requests[K]["in"]) => Requests[K]["out"] } = {
  write,
  deleteExpired: ({ now, unusedSince, limit }) => {
    const { db, statements } = current();
    return db.transaction(() => statements.deleteExpired(now, unusedSince, limit)).immediate();
  },
  rebase,
  backlog: (wanted) => current().backlog(wanted),
  counts: ({ now }) => current().statements.counts(now),
  setAside: ({ damaged, at }) => {
    shut();
    return setAside(options, damaged, at);
  },
  close: () => {
    // SQLite itself leaves the log to the last of all processes, which may be one that only reads: the file is to be whole alone.
    try {
      if (open !== undefined) workOffLog(open.db);
    } finally {
      shut();
    }
    return undefined;
  },
};

function answer<K extends RequestKind>(kind: K, request: Requests[K]["in"]): Requests[K]["out"] {
  return answers[kind](request);
}

function toFailure(error: StoreError): WriteFailure {
  const { code, message } = error;
  return error instanceof DamageError ? { code, message, identity: error.identity } : { code, message };
}

parentPort?.on("message", ({ id, kind, in: request }: RequestMessage) => {
  let response;
  try {
    response = { id, out: answer(kind, request) };
  } catch (error) {
    response = { id, failure: toFailure(storeError(error, options.path, identity)) };
  }
  // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread, not a window
  parentPort?.postMessage(response);
});
