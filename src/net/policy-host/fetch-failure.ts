/** What the steps of a fetch tell the fetcher, which makes a FetchError or a FetchedPolicy of it. */
import type { FetchFailureClass, FetchFailureReason, FetchTrace } from "./policy-fetcher.ts";

/** The trace while it is written: each step fills in what it sees, so that a failure shows how far the fetch got. */
export type FetchTraceDraft = { -readonly [Key in keyof UntimedTrace]: UntimedTrace[Key] };

type UntimedTrace = Omit<FetchTrace, "durationMs">;

/** One step failed. The message names no host and begins in lower case: it follows `policy host …: `. */
export class FetchFailure extends Error {
  override readonly name = "FetchFailure";
  readonly reason: FetchFailureReason;

  constructor(reason: FetchFailureReason, message: string, options?: ErrorOptions) {
    super(message, options);
    this.reason = reason;
  }
}

/** The result type of RFC 8460 §4.3.2 that a reason falls under. */
export function failureClassOf(reason: FetchFailureReason): FetchFailureClass {
  if (reason === "policy-syntax") return "sts-policy-invalid";
  return reason.startsWith("certificate-") ? "sts-webpki-invalid" : "sts-policy-fetch-error";
}

/** The `code` that Node gives its errors, or nothing. */
export function errorCode(error: unknown): string {
  return error instanceof Error && "code" in error ? String(error.code) : "";
}

/** The message of whatever was thrown. */
export function errorText(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
