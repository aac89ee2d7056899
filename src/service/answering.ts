/** What every call of the contract is run in, whatever carries it. */
import type { Core } from "./core.ts"
import { ShareError } from "./share-error.ts"
import { SqlBusyError } from "./sql-port.ts"

/**
 * Keeps what was meant for the client, and says whose word it is, since to a stream that of another service means
 * nothing; anything else becomes `internal`, and its text stays here.
 *
 * @throws ShareError
 */
export function answering<T>(core: Core, body: () => T): T {
  try {
    return body()
  } catch (error) {
    const refusal = refusalOf(core, error)
    refusal.service_id = core.service_id
    throw refusal
  }
}

function refusalOf(core: Core, error: unknown): ShareError {
  if (error instanceof ShareError) return error
  if (error instanceof SqlBusyError) return new ShareError("busy", "the database is locked; nothing was done")
  core.observe({ name: "failure", error })
  return new ShareError("internal", "the server failed; nothing was done")
}
