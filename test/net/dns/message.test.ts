import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { readMessage } from "../../../src/net/dns/answer.ts";
import { decodeMessage, encodeQuery, isAnswerTo, isTruncated } from "../../../src/net/dns/message.ts";
import { DnsError, type DnsAnswer, type RecordType } from "../../../src/net/dns/resolver.ts";

const START = { aliases: 0, ttl: Infinity, authenticated: true };

/** Octets written by hand from RFC 1035, so that the tests do not rest on the library they test. */
function octets(...parts: (string | number)[]): Buffer {
  return Buffer.concat(
    parts.map((part) =>
      typeof part === "number" ? Buffer.of(part) : Buffer.from(part.replaceAll(" ", ""), "hex"),
    ),
  );
}

function wireName(name: string): string {
  const labels = name === "" ? [] : name.split(".");
  const parts = labels.map(
    (label) => octets(label.length).toString("hex") + Buffer.from(label).toString("hex"),
  );
  return `${parts.join("")}00`;
}

const EXAMPLE = wireName("example.com");
/** A compression pointer to the question's name. */
const POINTER = "c00c";

function hex16(value: number): string {
  return value.toString(16).padStart(4, "0");
}

/** A response to `example.com` of the type, with raw records of the answer and authority sections. */
function response(type: string, answer: string[], authority: string[] = [], flags = "8180"): Buffer {
  const counts = `0001 ${hex16(answer.length)} ${hex16(authority.length)} 0000`;
  return octets("1234", flags, counts, EXAMPLE, type, "0001", ...answer, ...authority);
}

function record(owner: string, type: string, ttl: number, data: string): string {
  const length = data.replaceAll(" ", "").length / 2;
  return `${owner} ${type} 0001 ${ttl.toString(16).padStart(8, "0")} ${hex16(length)} ${data}`;
}

function soa(owner: string, ttl: number, minimum: number): string {
  return record(owner, "0006", ttl, `00 00 ${"00000001".repeat(4)} ${minimum.toString(16).padStart(8, "0")}`);
}

function read<T extends RecordType>(message: Buffer, type: T): DnsAnswer<T> {
  const reading = readMessage(decodeMessage(message), { ...START, name: "example.com" }, type);
  if (!("answer" in reading)) throw new Error("the message ends with an alias");
  return reading.answer;
}

/** Does all that the client does with octets; gives only what it threw. */
function thrownBy(message: Buffer): unknown {
  const query = encodeQuery(0x1234, "example.com", "TXT", true);
  try {
    isAnswerTo(message, query);
    const decoded = decodeMessage(message);
    for (const type of ["A", "AAAA", "MX", "TXT", "TLSA", "SOA", "DNSKEY"] as const) {
      readMessage(decoded, { ...START, name: "example.com" }, type);
    }
    return undefined;
  } catch (error) {
    return error;
  }
}

function throwsOnlyDnsError(message: Buffer): boolean {
  const error = thrownBy(message);
  return error === undefined || error instanceof DnsError;
}

describe("encodeQuery", () => {
  it("writes recursion desired, the AD bit, one question and EDNS0 with 1232 octets", () => {
    const header = "1234 0120 0001 0000 0000 0001";
    expect(encodeQuery(0x1234, "_mta-sts.example.com", "TXT", true)).toEqual(
      octets(header, wireName("_mta-sts.example.com"), "0010 0001", "00 0029 04d0 00 00 0000 0000"),
    );
  });

  it("leaves EDNS0 out where it is not wanted, and asks for the root", () => {
    expect(encodeQuery(1, "", "SOA", false)).toEqual(octets("0001 0120 0001 0000 0000 0000", "00 0006 0001"));
  });
});

describe("isAnswerTo", () => {
  const query = encodeQuery(0x1234, "example.com", "TXT", true);
  const question = `${EXAMPLE} 0010 0001`;
  const rows: [message: Buffer, expected: boolean, reason: string][] = [
    [octets("1234 8180 0001 0000 0000 0000", question), true, "id, response, question"],
    [
      octets("1234 8180 0001 0000 0000 0000", wireName("eXaMpLe.COM"), "0010 0001"),
      true,
      "letter case is free",
    ],
    [octets("1234 8183 0001 0000 0000 0000", question), true, "the status does not matter here"],
    [octets("1235 8180 0001 0000 0000 0000", question), false, "another id"],
    [octets("1234 0120 0001 0000 0000 0000", question), false, "a query, our own sent back"],
    [octets("1234 a180 0001 0000 0000 0000", question), false, "opcode 4, NOTIFY"],
    [octets("1234 8180 0001 0000 0000 0000", wireName("example.net"), "0010 0001"), false, "another name"],
    [octets("1234 8180 0001 0000 0000 0000", wireName("xexample.com"), "0010 0001"), false, "a longer name"],
    [octets("1234 8180 0001 0000 0000 0000", EXAMPLE, "000f 0001"), false, "another type"],
    [octets("1234 8180 0001 0000 0000 0000", EXAMPLE, "0010 0003"), false, "another class"],
    [octets("1234 8180 0002 0000 0000 0000", question, question), false, "two questions"],
    [octets("1234 8180 0000 0000 0000 0000"), false, "no question"],
    [octets("1234 8181 0000 0000 0000 0000"), true, "FORMERR may be the header alone"],
    [octets("1234 8184 0000 0000 0000 0000"), true, "NOTIMP too"],
    [octets("1234 8182 0000 0000 0000 0000"), false, "SERVFAIL may not"],
    [octets("1234 8180 0001 0000 0000 0000", "07 65"), false, "cut within the question"],
    [octets("1234 8180 0001"), false, "cut within the header"],
    [Buffer.alloc(0), false, "nothing"],
  ];
  it.each(rows)("%#: %o is %s (%s)", (message, expected) => {
    expect(isAnswerTo(message, query)).toBe(expected);
  });

  it("knows a truncated answer", () => {
    expect(isTruncated(octets("1234 8380 0001 0000 0000 0000", question))).toBe(true);
    expect(isTruncated(octets("1234 8180 0001 0000 0000 0000", question))).toBe(false);
  });
});

describe("readMessage", () => {
  it("joins the strings of a TXT record, octet for octet", () => {
    const answer = read(response("0010", [record(POINTER, "0010", 60, "02 76 3d 00 02 e9 ff")]), "TXT");
    expect(answer.records).toEqual(["v=\u00e9\u00ff"]);
    expect(answer).toMatchObject({
      canonicalName: "example.com",
      ttl: 60,
      nameMissing: false,
      authenticated: false,
    });
  });

  it("reads addresses, IPv6 in the form of RFC 5952", () => {
    expect(read(response("0001", [record(POINTER, "0001", 9, "c0 00 02 01")]), "A").records).toEqual([
      "192.0.2.1",
    ]);
    const v6 = record(POINTER, "001c", 9, "0001 0000 0000 0002 0000 0000 0000 0003");
    expect(read(response("001c", [v6]), "AAAA").records).toEqual(["1:0:0:2::3"]);
  });

  it("reads MX exchanges in lower case, and the null MX as empty", () => {
    const records = [
      record(POINTER, "000f", 9, `000a ${wireName("MX1.Example.net")}`),
      record(POINTER, "000f", 9, "0000 00"),
    ];
    expect(read(response("000f", records), "MX").records).toEqual([
      { preference: 10, exchange: "mx1.example.net" },
      { preference: 0, exchange: "" },
    ]);
  });

  it("reads TLSA", () => {
    const answer = read(response("0034", [record(POINTER, "0034", 9, "03 01 01 aabb")]), "TLSA");
    expect(answer.records).toEqual([
      { usage: 3, selector: 1, matchingType: 1, data: Buffer.from("aabb", "hex") },
    ]);
  });

  it("takes the AD bit", () => {
    expect(read(response("0010", [record(POINTER, "0010", 9, "00")], [], "81a0"), "TXT").authenticated).toBe(
      true,
    );
  });

  it("follows aliases in any order, takes the smallest TTL, and only the records of the last name", () => {
    const records = [
      record(wireName("c.net"), "0010", 50, "01 63"),
      record(wireName("B.net"), "0005", 20, wireName("C.NET")),
      record(POINTER, "0005", 30, wireName("b.net")),
      record(wireName("b.net"), "0010", 5, "01 78"),
      record(wireName("d.net"), "0010", 1, "01 78"),
    ];
    const answer = read(response("0010", records), "TXT");
    expect(answer).toMatchObject({ records: ["c"], canonicalName: "c.net", ttl: 20 });
  });

  it("ignores records of another class and owner", () => {
    const chaos = `${POINTER} 0010 0003 00000009 0002 01 78`;
    const other = record(wireName("example.org"), "0010", 9, "01 78");
    expect(read(response("0010", [chaos, other]), "TXT").records).toEqual([]);
  });

  it("reads a TTL with the top bit set as zero (RFC 2181 §8)", () => {
    expect(read(response("0010", [record(POINTER, "0010", 0x8000_0001, "00")]), "TXT").ttl).toBe(0);
  });

  const negative: [authority: string[], rcode: string, ttl: number, missing: boolean, reason: string][] = [
    [[soa(POINTER, 300, 60)], "8180", 60, false, "MINIMUM is smaller"],
    [[soa(POINTER, 30, 60)], "8180", 30, false, "the SOA's TTL is smaller"],
    [[soa(POINTER, 300, 60)], "8183", 60, true, "NXDOMAIN"],
    [[soa(wireName("com"), 300, 60)], "8183", 60, true, "the SOA of the parent"],
    [[soa("00", 300, 60)], "8183", 60, true, "the SOA of the root"],
    [[soa(wireName("net"), 300, 60)], "8183", 0, true, "the SOA of a zone that does not hold the name"],
    [[soa(wireName("ample.com"), 300, 60)], "8183", 0, true, "the SOA of a zone that only ends alike"],
    [[], "8180", 0, false, "no SOA"],
    [[], "8183", 0, true, "no SOA, NXDOMAIN"],
  ];
  it.each(negative)(
    "%#: absence with %o and %s holds for %i s (missing: %s; %s)",
    (authority, flags, ttl, missing) => {
      const answer = read(response("0010", [], authority, flags), "TXT");
      expect(answer).toMatchObject({ records: [], ttl, nameMissing: missing });
    },
  );

  it("bounds absence behind an alias by the alias's TTL", () => {
    const alias = record(POINTER, "0005", 7, wireName("b.com"));
    const answer = read(response("0010", [alias], [soa(wireName("com"), 300, 60)], "8183"), "TXT");
    expect(answer).toMatchObject({ canonicalName: "b.com", ttl: 7, nameMissing: true });
  });

  it("gives the trail when the message ends with an alias", () => {
    const message = decodeMessage(response("0010", [record(POINTER, "0005", 7, wireName("b.com"))]));
    const trail = { name: "b.com", aliases: 4, ttl: 5, authenticated: false };
    expect(readMessage(message, { ...START, name: "example.com", aliases: 3, ttl: 5 }, "TXT")).toEqual({
      trail,
    });
  });

  it("follows 8 aliases and refuses the ninth", () => {
    const chain = (length: number): string[] =>
      Array.from({ length }, (_, i) =>
        record(i === 0 ? POINTER : wireName(`n${i}.net`), "0005", 9, wireName(`n${i + 1}.net`)),
      );
    const end = record(wireName("n8.net"), "0010", 9, "01 78");
    expect(read(response("0010", [...chain(8), end]), "TXT").records).toEqual(["x"]);
    expect(() => read(response("0010", chain(9)), "TXT")).toThrow(
      expect.objectContaining({ code: "cname-loop" }),
    );
  });

  it("refuses a loop", () => {
    const loop = [
      record(POINTER, "0005", 9, wireName("b.com")),
      record(wireName("b.com"), "0005", 9, EXAMPLE),
    ];
    expect(() => read(response("0010", loop), "TXT")).toThrow(
      expect.objectContaining({ code: "cname-loop" }),
    );
  });
});

describe("decodeMessage", () => {
  it("adds the upper bits of the status from EDNS0", () => {
    const badVersion = octets(
      "1234 8180 0001 0000 0000 0001",
      EXAMPLE,
      "0010 0001",
      "00 0029 04d0 01 00 0000 0000",
    );
    expect(decodeMessage(badVersion).rcode).toBe(16);
  });

  const malformed: [message: Buffer, reason: string][] = [
    [octets("1234 8180 0001 0001 0000 0000", EXAMPLE, "0001 0001"), "a record is missing"],
    [response("0001", ["c00c 0001 0001 00000009 0004 c000"]), "an address is cut"],
    [response("001c", ["c00c 001c 0001 00000009 0010 2001"]), "an IPv6 address is cut"],
    [response("0010", ["c00c 0010 0001 00000009 0005 04 7878"]), "a string is cut"],
    [response("0010", ["c01d 0010 0001 00000009 0001 00"]), "a pointer to itself"],
    [response("0010", ["c0ff 0010 0001 00000009 0001 00"]), "a pointer past the end"],
    [octets("1234 8180 0001 ffff ffff ffff", EXAMPLE, "0001 0001"), "counts beyond reason"],
  ];
  it.each(malformed)("%#: refuses %o (%s)", (message) => {
    expect(() => decodeMessage(message)).toThrow(
      expect.objectContaining({ name: "DnsError", code: "malformed" }),
    );
  });

  it("throws nothing but DnsError for random octets", () => {
    const property = fc.property(fc.uint8Array({ maxLength: 600 }), (bytes) =>
      throwsOnlyDnsError(Buffer.from(bytes)),
    );
    expect(fc.check(property, { numRuns: 2000 })).toMatchObject({ failed: false });
  });

  it("throws nothing but DnsError for real answers with octets changed and cut", () => {
    const samples = [
      response("0010", [record(POINTER, "0010", 60, "05 763d535453")]),
      response(
        "000f",
        [record(POINTER, "000f", 9, `000a ${wireName("mx.example.net")}`)],
        [soa(POINTER, 1, 1)],
      ),
      response("0034", [
        record(POINTER, "0005", 9, wireName("b.net")),
        record(POINTER, "0034", 9, "030101aa"),
      ]),
      response("001c", [record(POINTER, "001c", 9, "0001 0000 0000 0002 0000 0000 0000 0003")]),
      response("0030", [record(POINTER, "0030", 9, "0100 03 08 aabb")]),
      octets("1234 8180 0001 0000 0000 0001", EXAMPLE, "0010 0001", "00 0029 04d0 0100 0000 0004 000f 0000"),
    ];
    const change = fc.record({ at: fc.nat(200), value: fc.integer({ min: 0, max: 255 }) });
    const changes = fc.array(change, { minLength: 1, maxLength: 6 });
    const property = fc.property(fc.constantFrom(...samples), changes, fc.nat(200), (sample, edits, cut) => {
      const message = Buffer.from(sample);
      for (const { at, value } of edits) message[at % message.length] = value;
      return throwsOnlyDnsError(message) && throwsOnlyDnsError(message.subarray(0, cut));
    });
    expect(fc.check(property, { numRuns: 5000 })).toMatchObject({ failed: false });
  });

  it("ends within the test's time on chains of compression pointers", () => {
    // A record of 8,000 pointers, each to the one before, then as many records as may be with names at the last of them.
    const first = 41;
    const links = Array.from({ length: 8000 }, (_, i) =>
      hex16(0xc000 + (i === 0 ? 12 : first + 2 * (i - 1))),
    );
    const last = hex16(0xc000 + first + 2 * 7999);
    const users = Array.from({ length: 990 }, () => record(last, "0005", 9, last));
    const message = response("0010", [record(POINTER, "000a", 9, links.join("")), ...users]);
    expect(decodeMessage(message).answers.at(-1)).toMatchObject({ name: "example.com", data: "example.com" });
  });
});
