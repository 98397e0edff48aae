import { cacheRecord } from "./cache-record.ts";
import { configuration } from "./configuration.ts";
import { dnsMessage } from "./dns-message.ts";
import { key } from "./key.ts";
import { netstring } from "./netstring.ts";
import { policy } from "./policy.ts";
import { record } from "./record.ts";
import { resolvConf } from "./resolv-conf.ts";
import { tcpTableLines } from "./tcp-table.ts";
import { tlsrptRecord } from "./tlsrpt-record.ts";
import type { FuzzTarget } from "../target.ts";

/** All that is fuzzed. */
export const TARGETS: readonly FuzzTarget[] = [
  netstring,
  tcpTableLines,
  key,
  record,
  tlsrptRecord,
  policy,
  dnsMessage,
  resolvConf,
  configuration,
  cacheRecord,
];
