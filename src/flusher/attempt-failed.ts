/** What p-retry sees of an attempt that settled not everything: the next is due after the delay. */
import type { AttemptFault } from "./classify.ts"

export class AttemptFailed extends Error {
  constructor(
    readonly fault: AttemptFault,
    readonly delay_ms: number,
  ) {
    super(fault.message)
  }
}
