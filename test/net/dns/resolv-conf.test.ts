import { mkdtempSync, renameSync, rmSync, unlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { parseResolvConf, type ResolvConf, ResolvConfFile } from "../../../src/net/dns/resolv-conf.ts";

function hosts(text: string): string[] {
  return parseResolvConf(text).servers.map((server) => server.host);
}

describe("parseResolvConf", () => {
  it.each([
    ["nameserver 192.0.2.1\n", ["192.0.2.1"], "one"],
    ["nameserver 192.0.2.1\nnameserver 2001:db8::1", ["192.0.2.1", "2001:db8::1"], "two, no last newline"],
    ["nameserver\t192.0.2.1  \r\n", ["192.0.2.1"], "tabs, blanks, CRLF"],
    ["nameserver fe80::1%eth0\n", ["fe80::1%eth0"], "a scope"],
    ["nameserver 192.0.2.1 # mine\n", ["192.0.2.1"], "text behind the address"],
    ["#nameserver 192.0.2.9\n; nameserver 192.0.2.9\nnameserver 192.0.2.1", ["192.0.2.1"], "comments"],
    [
      ["1", "2", "3", "4"].map((n) => `nameserver 192.0.2.${n}`).join("\n"),
      ["192.0.2.1", "192.0.2.2", "192.0.2.3"],
      "three at most",
    ],
    ["nameserver dns.example\nnameserver\nnameserver 192.0.2.1", ["192.0.2.1"], "no address: skipped"],
    ["search example.com\n", ["127.0.0.1"], "none: the local one"],
    ["", ["127.0.0.1"], "nothing"],
  ])("%j → %j (%s)", (text, expected) => {
    expect(hosts(text)).toEqual(expected);
  });

  it("asks port 53", () => {
    expect(parseResolvConf("nameserver 192.0.2.1").servers).toEqual([{ host: "192.0.2.1", port: 53 }]);
  });

  it.each<[text: string, expected: Partial<ResolvConf>, reason: string]>([
    ["options trust-ad\n", { trustAd: true }, "alone"],
    ["options edns0 trust-ad rotate\n", { trustAd: true }, "among others"],
    ["options edns0\noptions trust-ad\n", { trustAd: true }, "lines add up"],
    ["# options trust-ad\n", { trustAd: false }, "a comment"],
    ["options no-trust-ad\n", { trustAd: false }, "another word"],
    ["", { trustAd: false }, "nothing said"],
  ])("%j → %o (%s)", (text, expected) => {
    expect(parseResolvConf(text)).toMatchObject(expected);
  });
});

describe("ResolvConfFile", () => {
  let folder: string;
  let path: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), "stsmapd-resolv-conf-"));
    path = join(folder, "resolv.conf");
  });
  afterEach(() => {
    rmSync(folder, { recursive: true });
  });

  it("gives the same object while the file stays the same", () => {
    writeFileSync(path, "nameserver 192.0.2.1\n");
    const file = new ResolvConfFile(path);
    expect(file.current()).toMatchObject({ servers: [{ host: "192.0.2.1" }] });
    expect(file.current()).toBe(file.current());
  });

  it("reads a file that was written anew or replaced", () => {
    writeFileSync(path, "nameserver 192.0.2.1\n");
    const file = new ResolvConfFile(path);
    file.current();
    writeFileSync(path, "nameserver 192.0.2.22\n");
    expect(file.current()).toMatchObject({ servers: [{ host: "192.0.2.22" }] });
    writeFileSync(`${path}.new`, "nameserver 192.0.2.33\n");
    renameSync(`${path}.new`, path);
    expect(file.current()).toMatchObject({ servers: [{ host: "192.0.2.33" }] });
  });

  it("keeps the last one while there is none to read", () => {
    writeFileSync(path, "nameserver 192.0.2.1\n");
    const file = new ResolvConfFile(path);
    file.current();
    unlinkSync(path);
    expect(file.current()).toMatchObject({ servers: [{ host: "192.0.2.1" }] });
    writeFileSync(path, "nameserver 192.0.2.2\n");
    expect(file.current()).toMatchObject({ servers: [{ host: "192.0.2.2" }] });
  });

  it("begins with the local server where there is no file", () => {
    expect(new ResolvConfFile(path).current()).toMatchObject({
      servers: [{ host: "127.0.0.1" }],
      trustAd: false,
    });
  });
});
