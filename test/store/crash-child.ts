/** Puts rows as fast as it can until it is killed, and prints each domain once its put resolved. Arguments: path, round. */
import { openStore } from "../../src/store/open-store.ts";
import { crashEntry } from "./crash.ts";

const [path = "", round = ""] = process.argv.slice(2);
const store = openStore({ path, now: () => 0, examine: false });

/** Several at once, so that transactions carry several rows and the kill falls between their parts. */
await Promise.all(
  Array.from({ length: 16 }, async (_, lane) => {
    for (let n = 0; ; n++) {
      const row = crashEntry(`r${round}-l${lane}-n${n}.example`);
      await store.put(row);
      process.stdout.write(`${row.domain}\n`);
    }
  }),
);
