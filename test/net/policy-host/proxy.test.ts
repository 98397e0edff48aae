import { describe, expect, it } from "vitest";
import { ProxyError, proxySelector } from "../../../src/net/policy-host/proxy.ts";

const HOST = "mta-sts.example.com";

describe("the proxy for a host", () => {
  it.each<[string | undefined, Record<string, string>, string | undefined]>([
    [undefined, {}, undefined],
    [undefined, { https_proxy: "http://p:3128" }, "http://p:3128"],
    [undefined, { HTTPS_PROXY: "http://p:3128" }, "http://p:3128"],
    [undefined, { https_proxy: "http://a:1", HTTPS_PROXY: "http://b:2" }, "http://a:1"],
    [undefined, { https_proxy: "", HTTPS_PROXY: "http://b:2" }, undefined],
    [undefined, { https_proxy: "p:3128" }, "http://p:3128"],
    [undefined, { https_proxy: "https://p" }, "https://p"],
    [undefined, { http_proxy: "http://p:3128" }, undefined],
    ["none", { https_proxy: "http://p:3128" }, undefined],
    ["http://q:80", { https_proxy: "http://p:3128", no_proxy: "*" }, "http://q"],
    ["http://[2001:db8::1]:3128", {}, "http://[2001:db8::1]:3128"],
  ])("with the setting %j and the environment %j is %s", (setting, environment, origin) => {
    expect(proxySelector(setting, environment)(HOST, 443)?.origin).toBe(origin);
  });

  it.each<[string, boolean]>([
    ["", true],
    ["*", false],
    ["example.com", false],
    [".example.com", false],
    ["*.example.com", false],
    ["EXAMPLE.com", false],
    ["mta-sts.example.com", false],
    ["example.com:443", false],
    ["example.com:8443", true],
    ["ample.com", true],
    ["www.example.com", true],
    ["localhost, 10.0.0.0/8 , example.com", false],
    ["localhost,example.org", true],
    [",,", true],
    [".", true],
  ])("with no_proxy=%j is used: %s", (noProxy, used) => {
    const proxyFor = proxySelector(undefined, { https_proxy: "http://p:3128", no_proxy: noProxy });
    expect(proxyFor(HOST, 443) !== undefined).toBe(used);
  });

  it("gets the credentials of its URL, apart from its origin", () => {
    const proxy = proxySelector("http://us%40er:p%3Aw@p:3128", {})(HOST, 443);
    expect(proxy?.origin).toBe("http://p:3128");
    expect(proxy?.authorization).toBe(`Basic ${Buffer.from("us@er:p:w").toString("base64")}`);
  });

  it.each([
    "socks5://user:secret@p:1080",
    "http://",
    "http://user:secret@",
    "ftp://p",
    "http://user:secr%et@p",
    "p q",
  ])("cannot be %j, and the error quotes no secret", (url) => {
    for (const select of [
      () => proxySelector(url, {}),
      () => proxySelector(undefined, { https_proxy: url }),
    ]) {
      expect(select).toThrow(ProxyError);
      expect(select).not.toThrow(/secr/);
    }
  });
});
