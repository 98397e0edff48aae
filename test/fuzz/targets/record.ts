import { findRecord } from "../../../src/policy/record.ts";
import { rule, type FuzzTarget } from "../target.ts";

/** RFC 8461 §3.1 in one expression for each field. */
const VERSION = /^v=STSv1$/;
const ID = /^id=([A-Za-z0-9]{1,32})$/;
const FIELD = /^[A-Za-z0-9][A-Za-z0-9_.-]{0,31}=[\x21-\x3a\x3c\x3e-\x7e]+$/;

/** The id by the grammar of the RFC. Slow, and written apart from src/. */
function idOf(text: string): string | undefined {
  const fields = text
    .split(";")
    .map((field) => field.replace(/^[ \t]+/, "").replace(/(?<![ \t])[ \t]+$/, ""));
  if (fields.length > 1 && fields.at(-1) === "") fields.pop();
  const [version = "", ...rest] = fields;
  if (!VERSION.test(version) || text[0] !== "v" || rest.length === 0) return undefined;
  const first = rest.findIndex((field) => field.startsWith("id="));
  const isValid = rest.every((field, at) => (at === first ? ID : FIELD).test(field));
  return isValid ? ID.exec(rest[first] ?? "")?.[1] : undefined;
}

export const record: FuzzTarget = {
  name: "record",
  maxLength: 600,
  dictionary: [
    "v=STSv1;",
    "v=STSv1 ;",
    "v=STSv1",
    "id=",
    ";",
    " ",
    "\t",
    "=",
    "\n",
    "id=20261122;",
    "a=b;",
    "rua=mailto:a@b",
    "\0",
  ],
  seeds: [
    "v=STSv1; id=20261122T000000;",
    "v=spf1 -all\nv=STSv1;id=1",
    "v=STSv1; id=1; id=2; a=b",
    "v=STSv1 ; id=1\t;",
  ],
  check(input) {
    const texts = input.toString("latin1").split("\n");
    const finding = findRecord(texts);
    const candidates = texts.filter((text) => /^v=STSv1[ \t]*;/.test(text));
    const [only] = candidates;
    const id = candidates.length === 1 && only !== undefined ? idOf(only) : undefined;
    const expected = candidates.length === 0 ? "none" : id === undefined ? "invalid" : "record";
    rule(finding.kind === expected, `${finding.kind}, where the grammar says ${expected}`);
    rule(finding.kind !== "record" || finding.id === id, "another id than the grammar's");
    rule(findRecord(texts.toReversed()).kind === expected, "the order of the records matters");
    rule(finding.kind !== "invalid" || /^[ -~]+$/.test(finding.reason), "a reason that is not plain text");
    rule(
      findRecord([...texts, "v=STSv1; id=x"]).kind === (candidates.length === 0 ? "record" : "invalid"),
      "one more record",
    );
  },
};
