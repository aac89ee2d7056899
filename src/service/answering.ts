/** What every call of the contract is run in, whatever carries it. */
import type { Core } from "./core.ts"
import { ShareError } from "./share-error.ts"
import { SqlBusyError } from "./sql-port.ts"

/**
 * Keeps what was meant for the client; anything else becomes `internal`, and its text stays here.
 *
 * @throws ShareError
 */
export function answering<T>(core: Core, body: () => T): T {
  try {
    return body()
  } catch (error) {
    if (error instanceof ShareError) throw error
    if (error instanceof SqlBusyError) throw new ShareError("busy", "the database is locked; nothing was done")
    core.observe({ name: "failure", error })
    throw new ShareError("internal", "the server failed; nothing was done")
  }
}
