/** One case of the suite, before it is known at which service it runs. */
import type { OptionalMethod } from "./service-subject.ts"
import type { Trial } from "./trial.ts"

/** What a case cannot do without: a method of the contract, a method of the service's own, a hook. */
export type Need =
  | OptionalMethod
  /** Several calls in one POST. */
  | "rpc"
  | "echo"
  | "failing"
  | "restart"
  | "backUp"
  /** In the service's own data. */
  | "effects"
  /** There, or by readShare. */
  | "effects or readShare"

export interface ServiceCase {
  name: string
  needs?: readonly Need[]
  run: (trial: Trial) => Promise<void>
}
