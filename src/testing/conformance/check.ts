/** What every suite is made of, whatever runs it. */

export interface Check {
  /** A sentence; with the reason behind it if the check is skipped. */
  name: string
  /** Rejects with what was sent, what came back and what should have come. A check that is skipped always rejects. */
  run: () => Promise<void>
  /** Why it cannot be run here: what would unlock it. */
  skip?: string
}

/** What was asked of the implementation does not hold. */
export class ConformanceError extends Error {
  override readonly name = "ConformanceError"
}

export function checkOf(name: string, skip: string | undefined, run: () => Promise<void>): Check {
  if (skip === undefined) return { name, run }
  const told = `${name} (skipped: ${skip})`
  return { name: told, skip, run: () => Promise.reject(new ConformanceError(`${told}: it was not run`)) }
}
