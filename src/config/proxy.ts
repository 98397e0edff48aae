import { BadValue } from "./bad-value.ts";
import { type Field, field } from "./fields.ts";

/** How policy hosts are reached: as `https_proxy` and `no_proxy` of the environment say, directly, or by the proxy at `url`. */
export type Proxy =
  | { readonly kind: "environment" }
  | { readonly kind: "none" }
  | { readonly kind: "url"; readonly url: string };

/** `environment`, `none`, or an http or https URL. */
export const proxyField: Field<Proxy> = field(readProxy, (proxy) =>
  proxy.kind === "url" ? proxy.url : proxy.kind,
);

/** `proxy` with `***` for user name and password. */
export function maskCredentials(proxy: Proxy): Proxy {
  if (proxy.kind !== "url") return proxy;
  const url = new URL(proxy.url);
  if (url.username) url.username = "***";
  if (url.password) url.password = "***";
  return { kind: "url", url: url.href };
}

function readProxy(value: unknown): Proxy {
  if (value === "environment" || value === "none") return { kind: value };
  const url = typeof value === "string" ? URL.parse(value) : null;
  if (url?.protocol === "http:" || url?.protocol === "https:") return { kind: "url", url: url.href };
  // The value may hold a password: it is not quoted.
  throw new BadValue("not a proxy (environment, none, or a URL such as http://proxy.example:3128)");
}
