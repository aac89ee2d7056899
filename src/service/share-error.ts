/**
 * The error that crosses the wire. Error names do not cross capnweb, own properties do: hence `code`. Messages hold
 * no secret, no SQL and nothing of a handler's.
 */
import type { ShareErrorCode } from "../wire/contract.ts"

export class ShareError extends Error {
  readonly code: ShareErrorCode | "internal"
  /** Whose word it is, as in a grant. */
  declare service_id?: string

  constructor(code: ShareErrorCode | "internal", message: string) {
    super(message)
    this.code = code
  }
}
