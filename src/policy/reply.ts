/** One answer to Postfix, before it is put into the words of socketmap or tcp_table. */
export type Reply =
  | {
      readonly status: "OK";
      /** A TLS policy as postconf(5) smtp_tls_policy_maps defines it. */
      readonly text: string;
      /** The same without the `policy_string` attributes, for a protocol that cannot carry `text` (equal to it without any). */
      readonly shortText: string;
    }
  | { readonly status: "NOTFOUND" }
  | {
      readonly status: "TEMP";
      /** Printable ASCII, at most 200 characters: all that Postfix's administrator sees. */
      readonly reason: string;
    };

export const NOT_FOUND: Reply = { status: "NOTFOUND" };
