import { UNKNOWN_ID } from "../lookup/cache/record.ts";

/** A record id as people read it. */
export function idText(id: string): string {
  return id === UNKNOWN_ID ? "unknown" : id;
}
