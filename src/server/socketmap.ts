/** The socketmap protocol as Postfix speaks it (socketmap_table(5)): netstrings of `<map> <key>` and of the reply. */
import type { LookupService } from "../lookup/lookup-service.ts";
import { Question } from "../lookup/question.ts";
import { MAX_REPLY_TEXT, temporaryFailure, type Reply } from "../policy/reply.ts";
import { encodeNetstring, NetstringParser } from "./netstring.ts";
import { answerWith, Request, type Protocol } from "./protocol.ts";
import { RecentRequests } from "./recent-requests.ts";

/** Bytes. Postfix's own limit for a query. */
const MAX_REQUEST = 10_000;

/** Asking the same again cannot help, hence PERM. Postfix never sends this; who tries by hand shall see what is wrong. */
const NO_MAP_NAME = encodeNetstring("PERM malformed request: want a map name, a space and a key");

/** Splits the content of a request, a latin1 string, at its first space. Returns what refuses it where there is none. */
export function parseSocketmapRequest(content: string): Request | string {
  const space = content.indexOf(" ");
  if (space === -1) return NO_MAP_NAME;
  return new Request(new Question(content.slice(0, space), content.slice(space + 1)));
}

/** The netstring that tells Postfix `reply`, as a latin1 string. A text too long for Postfix becomes TEMP: half a policy is another policy. */
export function encodeSocketmapReply(reply: Reply): string {
  switch (reply.status) {
    case "OK": {
      const text = Buffer.from(reply.text, "utf8");
      if (text.length > MAX_REPLY_TEXT)
        return encodeSocketmapReply(temporaryFailure(`the TLS policy is too long (${text.length} bytes)`));
      return encodeNetstring(`OK ${text.toString("latin1")}`);
    }
    case "NOTFOUND":
      // The space belongs to the reply.
      return encodeNetstring("NOTFOUND ");
    case "TEMP":
      return encodeNetstring(`TEMP ${reply.reason}`);
  }
}

/** Serves all maps of `service`. */
export function socketmap(service: LookupService): Protocol {
  const recent = new RecentRequests(parseSocketmapRequest);
  return {
    createParser: () => new NetstringParser(MAX_REQUEST, recent.find),
    answer: answerWith(service, encodeSocketmapReply),
  };
}
