/** A program: prints `ok` or the first damage that SQLite finds in the file it is given. It may be killed, for it only reads. */
import process from "node:process";
import Database from "better-sqlite3";
import { storeError } from "./sqlite-error.ts";

const [, , path = ""] = process.argv;

function search(): string {
  try {
    return String(new Database(path, { readonly: true }).pragma("quick_check(1)", { simple: true }));
  } catch (error) {
    const { code, message } = storeError(error, path);
    if (code !== "corrupt") throw error;
    return message;
  }
}

process.stdout.write(search());
