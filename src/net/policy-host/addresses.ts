/** Where a policy host is, and whether we may go there. */
import type { AddressGuard } from "./address-guard.ts";
import { errorText, FetchFailure } from "./fetch-failure.ts";
import { connectionOrder } from "./happy-eyeballs.ts";
import type { Resolver } from "../dns/resolver.ts";

/**
 * The addresses to try for `host`, in order.
 * Throws {@link FetchFailure}: `dns-error` when DNS could not be asked, `no-address` when there is none, `address-refused`
 * when all there are lead into networks that are not public.
 */
export async function policyHostAddresses(
  host: string,
  resolver: Resolver,
  guard: AddressGuard,
  signal: AbortSignal,
): Promise<string[]> {
  const answers = await Promise.allSettled([
    resolver.resolve(host, "AAAA", signal),
    resolver.resolve(host, "A", signal),
  ]);
  const found = answers.flatMap((answer) => (answer.status === "fulfilled" ? answer.value.records : []));
  const failed = answers.find((answer) => answer.status === "rejected");
  if (found.length === 0 && failed !== undefined) {
    const cause: unknown = failed.reason;
    throw new FetchFailure("dns-error", `addresses cannot be looked up: ${errorText(cause)}`, { cause });
  }
  if (found.length === 0) throw new FetchFailure("no-address", "has no address in DNS");
  const allowed = connectionOrder(found.filter((address) => guard.allows(address)));
  if (allowed.length > 0) return allowed;
  const refused = connectionOrder(found).join(", ");
  throw new FetchFailure("address-refused", `has no globally routable address, only ${refused}`);
}
