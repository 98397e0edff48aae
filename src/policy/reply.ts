/** One answer to Postfix, before it is put into the words of socketmap or tcp_table. */
export type Reply =
  | {
      readonly status: "OK";
      /** A TLS policy as postconf(5) smtp_tls_policy_maps defines it; at most {@link MAX_REPLY_TEXT} bytes. */
      readonly text: string;
      /** The same without the `policy_string` attributes, for a protocol that cannot carry `text` (equal to it without any). */
      readonly shortText: string;
      readonly isHeldBack?: true;
    }
  | {
      readonly status: "NOTFOUND";
      /** A policy would be enforced here, were the map's rollout further on. That is counted; Postfix is not told. */
      readonly isHeldBack?: true;
    }
  | {
      readonly status: "TEMP";
      /** Printable ASCII, at most 200 characters: all that Postfix's administrator sees. */
      readonly reason: string;
    };

export const NOT_FOUND: Reply = { status: "NOTFOUND" };

/** Postfix reads socketmap replies of up to 100,000 bytes; this leaves room for the status and to spare. */
export const MAX_REPLY_TEXT = 95_000;

const MAX_REASON = 200;

/** A temporary failure. Postfix defers the mail and logs the reason, cut to 200 printable ASCII characters. */
export function temporaryFailure(reason: string): Reply {
  const printable = reason.replace(/[^\x20-\x7e]+/g, "?");
  return { status: "TEMP", reason: printable.slice(0, MAX_REASON) };
}

/** `reply` as people are shown it, which is close to socketmap's words. */
export function replyText(reply: Reply): string {
  switch (reply.status) {
    case "OK":
      return `OK ${reply.text}`;
    case "NOTFOUND":
      return "NOTFOUND";
    case "TEMP":
      return `TEMP ${reply.reason}`;
  }
}
