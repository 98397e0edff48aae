import type { LookupService } from "../../../src/lookup/lookup-service.ts";
import { NOT_FOUND } from "../../../src/policy/reply.ts";
import { NetstringParser } from "../../../src/server/netstring.ts";
import { asText } from "../../../src/server/request-parser.ts";
import { socketmap } from "../../../src/server/socketmap.ts";
import { answerToNetstring } from "../../server/parsing.ts";
import { rule, type FuzzTarget } from "../target.ts";
import { parsedAnyhow } from "./framing.ts";

const LIMIT = 300;
const asked: string[] = [];
const SERVICE: LookupService = {
  lookup({ map, key }) {
    asked.push(`${map} ${key}`);
    return NOT_FOUND;
  },
};
const PROTOCOL = socketmap(SERVICE);

/** The requests at the start of `stream`, read by the grammar alone. */
function wholeNetstrings(stream: string): string[] {
  const requests: string[] = [];
  let rest = stream;
  for (;;) {
    const [head, digits] = /^(0|[1-9][0-9]{0,2}):/.exec(rest) ?? [];
    const length = Number(digits);
    if (head === undefined || length > LIMIT || rest[head.length + length] !== ",") return requests;
    requests.push(rest.slice(head.length, head.length + length));
    rest = rest.slice(head.length + length + 1);
  }
}

export const netstring: FuzzTarget = {
  name: "netstring",
  maxLength: 1_000,
  dictionary: [
    "0:,",
    "1:a,",
    "5:hello,",
    "19:postfix example.com,",
    ":",
    ",",
    "300:",
    "301:",
    "00:,",
    "QUERY ",
    " ",
  ],
  seeds: [
    "19:postfix example.com,0:,5:a b c,",
    "13:QUERY a.com:25,3:x y,",
    "01:a,",
    "99999999999999999999:a,",
  ],
  check(input) {
    const { requests, error } = parsedAnyhow(
      () => new NetstringParser(LIMIT, asText),
      input,
      Buffer.from("1:a,"),
    );
    const expected = wholeNetstrings(input.toString("latin1"));
    rule(JSON.stringify(requests) === JSON.stringify(expected), "other requests than the grammar has");
    rule(
      error !== undefined || requests.every((request) => request.length <= LIMIT),
      "longer than the limit",
    );
    for (const request of requests) {
      asked.length = 0;
      const answer = answerToNetstring(PROTOCOL, request);
      const isRefused = !request.includes(" ");
      rule(
        typeof answer === "string" && /^[0-9]+:(?:NOTFOUND |PERM [ -~]+),$/.test(answer),
        "no reply of socketmap's",
      );
      rule(answer.includes("PERM") === isRefused, "refused what is well-formed, or the reverse");
      // The key is what follows the first space, to the octet.
      rule(isRefused ? asked.length === 0 : asked[0] === request, "another key than was sent");
    }
  },
};
