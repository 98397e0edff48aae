import type { Attack } from "./attack.ts";
import { CONNECTION_ATTACKS } from "./connection-attacks.ts";
import { REQUEST_ATTACKS } from "./request-attacks.ts";

/** All attacks on the lookup sockets. */
export const ATTACKS: readonly Attack[] = [...CONNECTION_ATTACKS, ...REQUEST_ATTACKS];
