import { isIP } from "node:net";
import { parseResolvConf } from "../../../src/net/dns/resolv-conf.ts";
import { rule, type FuzzTarget } from "../target.ts";

export const resolvConf: FuzzTarget = {
  name: "resolv-conf",
  maxLength: 1_000,
  dictionary: [
    "nameserver ",
    "options ",
    "trust-ad",
    "search ",
    "\n",
    "\r\n",
    "#",
    ";",
    "127.0.0.53",
    "::1",
    "fe80::1%eth0",
    "1.2.3",
    " ",
    "\t",
    "\0",
  ],
  seeds: [
    "nameserver 127.0.0.53\noptions edns0 trust-ad\nsearch example.com\n",
    "nameserver ::1\nnameserver 1.1.1.1\nnameserver 8.8.8.8\nnameserver 9.9.9.9\n",
  ],
  check(input) {
    const text = input.toString("latin1");
    const { servers, trustAd } = parseResolvConf(text);
    rule(servers.length >= 1 && servers.length <= 3, "no server, or more than three");
    rule(
      servers.every(({ host, port }) => isIP(host) !== 0 && port === 53),
      "a server that is no address",
    );
    rule(!trustAd || /(?:^|\n)[^\S\n]*options[^\n]*[ \t]trust-ad/.test(text), "trust that nobody spoke of");
    const options = trustAd ? "options trust-ad\n" : "";
    const again = parseResolvConf(options + servers.map(({ host }) => `nameserver ${host}\n`).join(""));
    rule(JSON.stringify(again) === JSON.stringify({ servers, trustAd }), "not stable");
  },
};
