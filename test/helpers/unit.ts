/** What systemd/stsmapd.service says, for whatever starts the daemon as the unit does. */
import { readFileSync } from "node:fs";

export const UNIT = readFileSync(new URL("../../systemd/stsmapd.service", import.meta.url), "utf8");

const [, flags] = /^ExecStart=\S+ (.+) \S+\/dist\/main\.js serve$/m.exec(UNIT) ?? [];
if (flags === undefined) throw new Error("the unit starts stsmapd in another way");

/** The options that the unit gives to Node. */
export const NODE_FLAGS: readonly string[] = flags.split(" ");
