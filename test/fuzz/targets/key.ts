import { isIP } from "node:net";
import { isHostName, policyDomain } from "../../../src/policy/domain.ts";
import { rule, type FuzzTarget } from "../target.ts";

export const key: FuzzTarget = {
  name: "key",
  maxLength: 1_200,
  dictionary: [
    ".",
    "..",
    "[",
    "]",
    ":25",
    ":smtp",
    "]:587",
    "example.com",
    "xn--",
    "xn--bcher-kva.example",
    "127.0.0.1",
    "0x7f.1",
    "[::1]",
    "IPv6:",
    "_",
    "-",
    "/",
    "%2e",
    "%00",
    "@",
    "#",
    "?",
    "\xc3\xbc",
    "\xe3\x80\x82",
    "\xef\xbc\x8e",
    "\xe2\x80\x8b",
    "\xc2\xad",
    "\xf0\x9f\x92\xa9",
    "\xef\xbc\xa1",
    "\xe2\x84\xa2",
    "\xd7\x90",
    "\xef\xb8\x8f",
  ],
  seeds: [
    "example.com",
    "[mx.example.com]:587",
    "B\xc3\xbcCHER.example.",
    "unix:/run/lmtp",
    ".example.com",
    "1.2.3.4:25",
    "[fe80::1]",
  ],
  check(input) {
    const text = input.toString("latin1");
    const domain = policyDomain(text);
    if (/^[\0-\x7f]*$/.test(text)) {
      // ASCII: the letters' case says nothing.
      rule(
        policyDomain(text.toUpperCase()) === domain && policyDomain(text.toLowerCase()) === domain,
        "case matters",
      );
    }
    isHostName(text);
    if (domain === undefined) return;
    rule(/^[a-z0-9_.-]+$/.test(domain) && !domain.endsWith(".") && !domain.startsWith("."), "no A-labels");
    rule(domain.length <= 253 - "_mta-sts.".length, "too long for DNS with its prefix");
    rule(domain.split(".").length >= 2, "a single label");
    rule(
      domain.split(".").every((label) => label.length > 0 && label.length <= 63),
      "a label DNS cannot hold",
    );
    rule(isIP(domain) === 0 && !/\.[0-9]+$/.test(domain), "an address");
    for (const same of [domain, `${domain}.`, `${domain}:25`, `[${domain}]`, `[${domain}]:submission`]) {
      rule(policyDomain(same) === domain, `${JSON.stringify(same)} is not the same domain`);
    }
  },
};
