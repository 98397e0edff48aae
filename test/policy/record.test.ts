import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { findRecord, recordName } from "../../src/policy/record.ts";

const A32 = "a".repeat(32);
const A33 = "a".repeat(33);

/** One TXT record that is valid, and the id it has. */
const VALID: [text: string, id: string, why: string][] = [
  ["v=STSv1; id=20160831085700Z;", "20160831085700Z", "the RFC's own example"],
  ["v=STSv1;id=1", "1", "the shortest"],
  ["v=STSv1; id=1", "1", "no delimiter at the end"],
  ["v=STSv1; id=1;", "1", "a delimiter at the end"],
  ["v=STSv1; id=1 ;", "1", "white space in front of the last delimiter"],
  ["v=STSv1; id=1; ", "1", "white space behind the last delimiter"],
  ["v=STSv1; id=1 \t", "1", "white space behind the last field"],
  ["v=STSv1 ;id=1", "1", "white space in front of the first delimiter: the grammar allows it"],
  ["v=STSv1\t;\tid=1", "1", "tabs are white space"],
  ["v=STSv1;  \t  id=1", "1", "a run of white space"],
  [`v=STSv1; id=${A32}`, A32, "32 characters"],
  ["v=STSv1; id=aZ09", "aZ09", "letters of both cases and digits"],
  ["v=STSv1; id=00", "00", "an id is text, no number"],
  ["v=STSv1; id=a; id=b", "a", "of a repeated field the first counts"],
  ["v=STSv1; id=a; id=_not_an_id", "a", "the repeated one is not looked at as an id"],
  ["v=STSv1; x=1; id=a", "a", "an extension in front of the id"],
  ["v=STSv1; id=a; x=1; y=2;", "a", "extensions behind the id"],
  ["v=STSv1; id=a; x=1; x=2", "a", "an extension twice"],
  ["v=STSv1; ID=b; id=a", "a", "names are case-sensitive: ID is an extension"],
  ["v=STSv1; v=STSv2; id=a", "a", "a later v is an extension"],
  [`v=STSv1; id=a; ${A32}=1`, "a", "an extension name of 32"],
  ["v=STSv1; id=a; 0_-.=1", "a", "all kinds of characters in a name"],
  ["v=STSv1; id=a; x=!:<>~", "a", "the edges of the value's character ranges"],
  [`v=STSv1; id=a; x=${"y".repeat(4_000)}`, "a", "a value has no limit"],
];

/** One TXT record that begins as MTA-STS does and is not valid. */
const INVALID: [text: string, place: string, why: string][] = [
  ["v=STSv1;", "id is missing", "no field"],
  ["v=STSv1; ", "id is missing", "white space only"],
  ["v=STSv1; x=1", "id is missing", "an extension only"],
  ["v=STSv1; ID=1", "id is missing", "wrong case"],
  ["v=STSv1;;", "field 2 ", "an empty field"],
  ["v=STSv1;;id=1", "field 2 ", "an empty field in front of the id"],
  ["v=STSv1; id=1;;", "field 3 ", "two delimiters at the end"],
  ["v=STSv1; id=1; ;", "field 3 ", "the same with a space between"],
  ["v=STSv1; id=", "field 2: id", "an empty id"],
  ["v=STSv1; id", "field 2 ", "no equals sign"],
  ["v=STSv1; =1", "field 2 ", "no name"],
  [`v=STSv1; id=${A33}`, "field 2: id", "33 characters"],
  ["v=STSv1; id=a-b", "field 2: id", "a hyphen in the id"],
  ["v=STSv1; id=a_b", "field 2: id", "an underscore in the id"],
  ["v=STSv1; id=a.b", "field 2: id", "a dot in the id"],
  ["v=STSv1; id=a b", "field 2: id", "white space in the id"],
  ["v=STSv1; id = a", "field 2 ", "white space around the equals sign"],
  ["v=STSv1; id= a", "field 2: id", "white space behind the equals sign"],
  ["v=STSv1; id==a", "field 2: id", "two equals signs"],
  ['v=STSv1; id="a"', "field 2: id", "quotes"],
  ["v=STSv1; id=\u00e9", "field 2: id", "a letter beyond ASCII"],
  ["v=STSv1; id=a\n", "field 2: id", "a line feed at the end is no white space"],
  ["v=STSv1; id=a\u00a0", "field 2: id", "NBSP is no white space"],
  ["v=STSv1;\u000bid=a", "field 2 ", "a vertical tab is no white space"],
  ["v=STSv1; id=a\0", "field 2: id", "NUL"],
  ["v=STSv1; id=a, x=1", "field 2: id", "a comma is no delimiter"],
  ["v=STSv1; id=a; id=", "field 3 ", "even an ignored field has a value"],
  ["v=STSv1; id=a; x=", "field 3 ", "an extension without a value"],
  ["v=STSv1; id=a; x=b=c", "field 3 ", "an equals sign in a value"],
  ["v=STSv1; id=a; x=b c", "field 3 ", "white space in a value"],
  ["v=STSv1; id=a; x=\u00e9", "field 3 ", "a value beyond ASCII"],
  ["v=STSv1; id=a; x=\x7f", "field 3 ", "DEL in a value"],
  ["v=STSv1; id=a; x y=1", "field 3 ", "white space in a name"],
  ["v=STSv1; id=a; _x=1", "field 3 ", "a name begins with a letter or digit"],
  ["v=STSv1; id=a; -x=1", "field 3 ", "the same"],
  ["v=STSv1; id=a; x+=1", "field 3 ", "a plus sign in a name"],
  [`v=STSv1; id=a; ${A33}=1`, "field 3 ", "an extension name of 33"],
  ["v=STSv1; id=a; x", "field 3 ", "an extension without an equals sign"],
  ["v=STSv1; x=1; y; id=a", "field 3 ", "a fault in front of the id"],
];

/** TXT data that is no MTA-STS record. */
const OTHER: [text: string, why: string][] = [
  ["", "empty"],
  ["v=STSv1", "no delimiter"],
  ["v=STSv1 id=1", "no delimiter in front of the id"],
  ["v=STSv10; id=1", "another version"],
  ["v=STSv2; id=1", "another version"],
  ["V=STSv1; id=1", "V in upper case"],
  ["v=stsv1; id=1", "version in lower case"],
  ["v=STSV1; id=1", "version in upper case"],
  ["v = STSv1; id=1", "white space around the equals sign"],
  [" v=STSv1; id=1", "white space in front"],
  ["\u00ef\u00bb\u00bfv=STSv1; id=1", "a byte-order mark"],
  ["id=1; v=STSv1;", "the version is not first"],
  ['"v=STSv1; id=1"', "quotes"],
  ["v=STSv1\u00a0; id=1", "NBSP is no white space"],
  ["v=STSv1\n; id=1", "a line feed is no white space"],
  ["v=spf1 -all", "another use of TXT"],
  ["v=TLSRPTv1; rua=mailto:a@example.com", "the other record of the same family"],
];

describe("findRecord", () => {
  it.each(VALID)("reads %j as id %s: %s", (text, id) => {
    expect(findRecord([text])).toEqual({ kind: "record", id });
  });

  it.each(INVALID)("refuses %j, naming %s: %s", (text, place) => {
    const finding = findRecord([text]);
    expect(finding).toEqual({ kind: "invalid", reason: expect.stringContaining(place) });
  });

  it.each(OTHER)("passes over %j: %s", (text) => {
    expect(findRecord([text])).toEqual({ kind: "none" });
    expect(findRecord([text, "v=STSv1; id=1;"])).toEqual({ kind: "record", id: "1" });
  });

  it("finds none where there is no TXT record", () => {
    expect(findRecord([])).toEqual({ kind: "none" });
  });

  it.each([
    [["v=STSv1; id=1;", "v=STSv1; id=2;"], "two valid ones"],
    [["v=STSv1; id=1;", "v=STSv1; id=1;"], "the same one twice"],
    [["v=STSv1; id=1;", "v=STSv1;"], "an invalid one beside a valid one"],
    [["v=STSv1;", "v=STSv1; id=1;"], "the same in the other order"],
    [["v=STSv1 ; id=1;", "v=STSv1; id=2;"], "one with white space in front of the delimiter"],
    [["v=STSv1 ; id=1;", "v=STSv1 ; id=2;"], "two with white space in front of the delimiter"],
    [["v=spf1 -all", "v=STSv1; id=1;", "v=STSv1; id=2;"], "other data beside"],
  ])("refuses %j because there are two: %s", (texts) => {
    expect(findRecord(texts)).toEqual({
      kind: "invalid",
      reason: expect.stringMatching(/^2 MTA-STS records/),
    });
  });

  it("gives the number of records where there are more than two", () => {
    const texts = ["a", "b", "c"].map((id) => `v=STSv1; id=${id}`);
    expect(findRecord(texts)).toMatchObject({ reason: expect.stringMatching(/^3 MTA-STS records/) });
  });

  it("never throws, whatever stands in TXT", () => {
    const hostile = fc.oneof(
      fc.string({ unit: "binary" }),
      fc
        .string({ unit: fc.constantFrom(...Array.from("v=STSv1;id \t\0\u00e9")) })
        .map((tail) => `v=STSv1;${tail}`),
    );
    fc.assert(
      fc.property(fc.array(hostile, { maxLength: 4 }), (texts) => {
        expect(["record", "none", "invalid"]).toContain(findRecord(texts).kind);
      }),
    );
  });

  it("reads every record that the grammar can make", () => {
    const wsp = fc.string({ unit: fc.constantFrom(" ", "\t"), maxLength: 3 });
    const id = fc.stringMatching(/^[A-Za-z0-9]{1,32}$/);
    const extension = fc
      .tuple(fc.stringMatching(/^[A-Za-z0-9][\w.-]{0,31}$/), fc.stringMatching(/^[!-:<>-~]{1,20}$/))
      .filter(([name]) => name !== "id")
      .map(([name, value]) => `${name}=${value}`);
    const field = fc.tuple(wsp, wsp);
    const record = fc.record({
      id,
      before: fc.array(extension, { maxLength: 3 }),
      after: fc.array(fc.oneof(extension, fc.stringMatching(/^id=[!-:<>-~]{1,9}$/)), { maxLength: 3 }),
      spaces: fc.array(field, { minLength: 8, maxLength: 8 }),
      end: fc.tuple(wsp, fc.constantFrom("", ";"), wsp),
    });
    fc.assert(
      fc.property(record, ({ id: expected, before, after, spaces, end }) => {
        const fields = [...before, `id=${expected}`, ...after];
        const body = fields.map((text, at) => `${spaces[at]?.join(";")}${text}`).join("");
        expect(findRecord([`v=STSv1${body}${end.join("")}`])).toEqual({ kind: "record", id: expected });
      }),
    );
  });
});

describe("recordName", () => {
  it("puts the label of RFC 8461 §3.1 in front of the domain", () => {
    expect(recordName("example.com")).toBe("_mta-sts.example.com");
  });
});
