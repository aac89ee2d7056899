/** One case of the suite of the store. */
import type { StoreTrial } from "./store-trial.ts"

export interface StoreCase {
  name: string
  /** Only where the place is a database of the host's. */
  host?: true
  run: (trial: StoreTrial) => void
}
