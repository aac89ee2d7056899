/** The conformance suite of the store, for any place where an outbox can lie. */
import { type Check, checkOf } from "./check.ts"
import { recordCases } from "./record-cases.ts"
import { retentionCases } from "./retention-cases.ts"
import { settleCases } from "./settle-cases.ts"
import type { StoreCase } from "./store-case.ts"
import { checkStorePlace, checkStoreSubject, type StoreSubject } from "./store-subject.ts"
import { StoreTrial } from "./store-trial.ts"

const cases: readonly StoreCase[] = [...recordCases, ...settleCases, ...retentionCases]

/**
 * What an outbox stands on, checked at a place: files, mounts, handles and pragmas of the host's. For any test runner, as
 * `eachServiceCheck`.
 *
 * @throws TypeError if the subject is none
 */
export function eachStoreCheck(subject: StoreSubject): Check[] {
  checkStoreSubject(subject)
  return cases.map(({ name, host, run }) =>
    checkOf(name, host && !subject.host ? "the place is no database of a host's" : undefined, async () => {
      const place = await subject.make()
      checkStorePlace(place)
      const trial = new StoreTrial(place)
      try {
        run(trial)
      } finally {
        trial.close()
        await place.close?.()
      }
    }),
  )
}
