/** Which HTTP proxy, if any, a policy host is reached through. */

/** A proxy that is asked to CONNECT (RFC 9110 §9.3.6). */
export interface Proxy {
  /** `http://proxy.example:3128` or `https://…`, without credentials: fit for logs. */
  readonly origin: string;
  /** The value of Proxy-Authorization. */
  readonly authorization?: string;
}

/** The proxy's URL cannot be used: the administrator must mend the configuration or the environment. */
export class ProxyError extends Error {
  override readonly name = "ProxyError";
  readonly code = "bad-url";
}

/** The proxy for a host name and port, undefined for none. */
export type ProxySelector = (host: string, port: number) => Proxy | undefined;

/**
 * @param setting a URL: that proxy for every host; `none`: never one; undefined: as `environment` says
 * @param environment https_proxy, no_proxy and their upper-case forms, lower case first, as curl reads them
 * Throws {@link ProxyError}, which never quotes credentials.
 */
export function proxySelector(
  setting: string | undefined,
  environment: Readonly<Record<string, string | undefined>>,
): ProxySelector {
  if (setting === "none") return () => undefined;
  if (setting !== undefined) {
    const proxy = parseProxy(setting, "the configured proxy");
    return () => proxy;
  }
  const url = environment["https_proxy"] ?? environment["HTTPS_PROXY"] ?? "";
  if (url === "") return () => undefined;
  const proxy = parseProxy(url, "https_proxy");
  const exceptions = (environment["no_proxy"] ?? environment["NO_PROXY"] ?? "").toLowerCase().split(/[\s,]+/);
  return (host, port) => (exceptions.some((exception) => covers(exception, host, port)) ? undefined : proxy);
}

/** `*` covers all, `example.com` and `.example.com` that host and those below it, `example.com:443` only on that port. */
function covers(exception: string, host: string, port: number): boolean {
  if (exception === "*") return true;
  const [name = "", onlyPort] = exception.split(":");
  if (onlyPort !== undefined && Number(onlyPort) !== port) return false;
  const suffix = name.replace(/^\*?\./, "");
  return suffix !== "" && (host === suffix || host.endsWith(`.${suffix}`));
}

function parseProxy(text: string, source: string): Proxy {
  const url = URL.parse(text.includes("://") ? text : `http://${text}`);
  if (url === null || url.hostname === "") throw new ProxyError(`${source} is no URL`);
  if (url.protocol !== "http:" && url.protocol !== "https:") {
    throw new ProxyError(`${source} must be an http:// or https:// URL, not ${url.protocol}//`);
  }
  if (url.username === "") return { origin: url.origin };
  try {
    const credentials = `${decodeURIComponent(url.username)}:${decodeURIComponent(url.password)}`;
    return { origin: url.origin, authorization: `Basic ${Buffer.from(credentials).toString("base64")}` };
  } catch {
    throw new ProxyError(`${source} has credentials that are not percent-encoded`);
  }
}
