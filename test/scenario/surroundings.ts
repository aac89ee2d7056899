/** What the parts of a test world know of it. */
import { Database } from "bun:sqlite"
import type { Random } from "../../src/intent/seam.ts"
import type { SturdyRef } from "../../src/store/stream.ts"
import type { ManualClock } from "../../src/testing/manual-clock.ts"

export interface Surroundings {
  readonly clock: ManualClock
  /** What the server answered and what the network did, in order. */
  readonly trace: string[]
  readonly ref: SturdyRef
  /** The outbox creates the share in its first POST; else it is there. */
  readonly creates: boolean
  random(): Random
  /** A path that nothing has. */
  file(name: string): string
  name(op_id: string): string
  rename(op_id: string, name: string): void
  calm(): Promise<void>
  until(what: string, done: () => boolean): Promise<void>
}

/** The committed state of a database that may be open, in a new file. */
export function copyDatabase(from: string, to: string): void {
  const db = new Database(from, { readonly: true })
  try {
    db.run(`vacuum into '${to}'`)
  } finally {
    db.close()
  }
}
