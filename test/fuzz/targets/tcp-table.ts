import type { LookupService } from "../../../src/lookup/lookup-service.ts";
import { NOT_FOUND } from "../../../src/policy/reply.ts";
import { asText } from "../../../src/server/request-parser.ts";
import { LineParser, percentDecode, percentEncode, tcpTable } from "../../../src/server/tcp-table.ts";
import { checkTcpTableReply } from "../../helpers/postfix-grammar.ts";
import { answerTo } from "../../server/parsing.ts";
import { rule, type FuzzTarget } from "../target.ts";
import { parsedAnyhow } from "./framing.ts";

const LIMIT = 300;
const asked: string[] = [];
const SERVICE: LookupService = {
  lookup({ key }) {
    asked.push(key);
    return NOT_FOUND;
  },
};
const PROTOCOL = tcpTable(SERVICE, "postfix");

/** tcp_table(5), octet by octet. */
function decoded(text: string): string | undefined {
  let key = "";
  for (let at = 0; at < text.length; at++) {
    const octet = text.charCodeAt(at);
    if (octet <= 0x20 || octet > 0x7e) return undefined;
    const hex = text.slice(at + 1, at + 3);
    const isEscape = text[at] === "%";
    if (isEscape && !/^[0-9A-Fa-f]{2}$/.test(hex)) return undefined;
    key += isEscape ? String.fromCharCode(Number.parseInt(hex, 16)) : text.charAt(at);
    if (isEscape) at += 2;
  }
  return key;
}

export const tcpTableLines: FuzzTarget = {
  name: "tcp-table",
  maxLength: 1_000,
  dictionary: ["get ", "put ", "\n", "\r\n", "%20", "%00", "%0A", "%ff", "%%", "%2", "example.com", " "],
  seeds: ["get example.com\nget %5Bmx.example.com%5D%3A25\n", "put a b\nget x\n", "get a%zz\r\nGET b\n\n"],
  check(input) {
    const { requests, error } = parsedAnyhow(
      () => new LineParser(LIMIT, asText),
      input,
      Buffer.from("get a\n"),
    );
    const lines = input.toString("latin1").split("\n").slice(0, -1);
    const tooLong = lines.findIndex((line) => line.length > LIMIT);
    const expected = tooLong === -1 ? lines : lines.slice(0, tooLong);
    rule(JSON.stringify(requests) === JSON.stringify(expected), "other lines than were sent");
    rule(tooLong === -1 || error === "too-long", "a line over the limit passes");
    for (const request of requests) {
      asked.length = 0;
      const answer = answerTo(PROTOCOL, `${request}\n`);
      rule(
        typeof answer === "string" && /^(?:200|400|500) [!-~]+\n$/.test(answer),
        "no reply of tcp_table's",
      );
      if (!answer.startsWith("500 put")) checkTcpTableReply(answer.slice(0, -1));
      const key = request.startsWith("get ") ? decoded(request.slice(4)) : undefined;
      rule(asked.length === (key === undefined ? 0 : 1) && asked[0] === key, "another key than was sent");
    }
    const octets = input.toString("latin1");
    rule(percentDecode(percentEncode(octets)) === octets, "encoding loses octets");
  },
};
