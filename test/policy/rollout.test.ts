import { describe, expect, it } from "vitest";
import { isHeldBack, rolloutPlace } from "../../src/policy/rollout.ts";

/** Ten thousand names as they are seen: some long, some short, most alike. */
const DOMAINS = Array.from(
  { length: 10_000 },
  (_, index) => `${index % 2 === 0 ? "mail" : "customer-"}${index}.example`,
);

const enforcedAt = (percent: number) => DOMAINS.filter((domain) => !isHeldBack(domain, percent));

describe("the place of a domain", () => {
  // Never to be changed: a domain that changed its place would lose its protection, or get it too early. The number is what
  // `printf %s <domain> | sha256sum | cut -c1-8` says.
  it.each([
    ["example.com", 0xa379a6f6],
    ["example.net", 0x3daab7cf],
    ["example.org", 0xbfabc374],
    ["mail.example.co.uk", 0x33a12cb6],
    ["xn--bcher-kva.example", 0x970ca6b7],
    ["gmail.com", 0x591bfe88],
  ])("%s is the same for ever", (domain, number) => {
    expect(rolloutPlace(domain)).toBe((number / 2 ** 32) * 100);
  });
});

describe("a rollout", () => {
  it.each([
    ["gmail.com", 34, true],
    ["gmail.com", 34.81, false],
    ["gmail.com", 35, false],
    ["gmail.com", 100, false],
    ["gmail.com", 0, true],
  ])("of %s at %f%% holds back: %s", (domain, percent, heldBack) => {
    expect(isHeldBack(domain, percent)).toBe(heldBack);
  });

  it("of 0% holds back all, of 100% none", () => {
    expect(enforcedAt(0)).toEqual([]);
    expect(enforcedAt(100)).toEqual(DOMAINS);
  });

  it("only adds domains as it goes on", () => {
    let before = new Set<string>();
    for (let percent = 0; percent <= 100; percent += 12.5) {
      const enforced = new Set(enforcedAt(percent));
      expect([...before].every((domain) => enforced.has(domain))).toBe(true);
      before = enforced;
    }
  });

  it.each([1, 5, 10, 25, 50, 75, 90, 99])("of %i%% is close to that part of all", (percent) => {
    // Five standard deviations of a fair draw.
    const spread = 5 * Math.sqrt(DOMAINS.length * (percent / 100) * (1 - percent / 100));
    const wanted = (DOMAINS.length * percent) / 100;
    expect(Math.abs(enforcedAt(percent).length - wanted)).toBeLessThan(spread);
  });
});
