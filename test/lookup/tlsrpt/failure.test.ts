/** What the outside is told of failures, and what stays inside. */
import { afterAll, describe, expect, it } from "vitest";
import { reportableFailure, reportableFetchFailure } from "../../../src/lookup/tlsrpt/failure.ts";
import { FetchError, type FetchFailureReason } from "../../../src/net/policy-host/policy-fetcher.ts";
import { proxySelector } from "../../../src/net/policy-host/proxy.ts";
import { createCa } from "../../helpers/certificates.ts";
import { startHttpProxy } from "../../helpers/http-proxy.ts";
import { startPolicyHost } from "../../helpers/policy-host.ts";
import { failureOf, resolverOf, testFetcher } from "../../helpers/test-fetcher.ts";

const D = "d.example";
const ca = createCa();
const hosts = await startPolicyHost({ ca });
afterAll(() => hosts.stop());

/** The FetchError of a fetch through a proxy at `port` of 127.0.0.1. */
function failureThrough(port: number) {
  const proxyFor = proxySelector(`http://user:secret@127.0.0.1:${port}`, {});
  return failureOf(testFetcher({ ca, port: hosts.port, proxyFor }).fetch(D));
}

describe("our own proxy", () => {
  it("is not named", async () => {
    hosts.respond(D, { status: 404 });
    await using proxy = await startHttpProxy({ target: hosts });
    const error = await failureThrough(proxy.port);
    expect(error.message).toContain(`:${proxy.port}`);
    expect(reportableFetchFailure(D, error)).toEqual({
      failureClass: "sts-policy-fetch-error",
      reason: "status-404",
      information: `policy host mta-sts.${D}: answered with status 404`,
    });
  });

  it("is not the fault of the domain", async () => {
    await using proxy = await startHttpProxy({ target: hosts, refuse: 403 });
    const error = await failureThrough(proxy.port);
    expect(error.reason).toBe("proxy-failed");
    expect(reportableFetchFailure(D, error)).toBeUndefined();
  });
});

it("what our name servers said is told by its kind only", async () => {
  const resolver = resolverOf({ A: "refused", AAAA: "refused" });
  const error = await failureOf(testFetcher({ ca, port: hosts.port, resolver }).fetch(D));
  expect(reportableFailure(D, { kind: "fetch-failure", recordId: "1", error })).toEqual({
    failureClass: "sts-policy-fetch-error",
    reason: "dns-error",
    information: `policy host mta-sts.${D}: addresses cannot be looked up (refused)`,
  });
});

it("a fetch that we gave up is none", async () => {
  const error = await failureOf(testFetcher({ ca, port: hosts.port }).fetch(D, AbortSignal.abort()));
  expect(reportableFailure(D, { kind: "fetch-failure", recordId: "1", error })).toBeUndefined();
});

it("only a record that is there and not valid is reported without a fetch", () => {
  const reason = "id is missing";
  expect(reportableFailure(D, { kind: "no-record", reason, isInvalid: true })).toEqual({
    failureClass: "sts-policy-invalid",
    reason: "record-invalid",
    information: `TXT record _mta-sts.${D}: id is missing`,
  });
  expect(reportableFailure(D, { kind: "no-record", reason, isInvalid: false })).toBeUndefined();
  expect(reportableFailure(D, { kind: "back-off", recordId: "1" })).toBeUndefined();
  expect(reportableFailure(D, { kind: "current", recordId: "1" })).toBeUndefined();
});

it.each<FetchFailureReason>(["aborted", "overloaded", "local-error"])(
  "that it ended by a fault of ours (%s) is not told",
  (reason) => {
    const trace = { url: "https://mta-sts.d.example/", durationMs: 0 };
    const error = new FetchError("sts-policy-fetch-error", reason, reason, trace);
    expect(reportableFetchFailure(D, error)).toBeUndefined();
  },
);
