/** The SturdyError that a call throws; anything else fails the test. */
import { SturdyError } from "../src/intent/error.ts"

export function errorOf(call: () => unknown): SturdyError {
  let value: unknown
  try {
    value = call()
  } catch (error) {
    if (error instanceof SturdyError) return error
    throw new Error(`threw something that is no SturdyError: ${error}`, { cause: error })
  }
  throw new Error(`did not throw, returned ${String(value)}`)
}

export async function rejectionOf(promise: Promise<unknown>): Promise<SturdyError> {
  const [outcome] = await Promise.allSettled([promise])
  return errorOf(() => {
    if (outcome.status === "rejected") throw outcome.reason
  })
}
