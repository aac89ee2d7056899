/** The parts of the client store on a real file, with a clock that is turned by hand. */
import type { Database } from "bun:sqlite"
import { systemRandom } from "../../src/intent/system.ts"
import type { OutboxOptions } from "../../src/options.ts"
import { openOutbox } from "../../src/outbox.ts"
import { openStoreParts, type PlainOp, type StorePartsOptions } from "../../src/testing/conformance/store-parts.ts"
import { ManualClock } from "../../src/testing/manual-clock.ts"

export { settlementOf } from "../../src/testing/conformance/store-parts.ts"

export const ref = {
  service: "https://notes.example.com/rpc/share",
  share_id: "share_of_the_test_0",
  secret: "secret_of_the_test_0123456789abcdef",
}

export function seamsOf(clock: ManualClock) {
  return { clock, random: systemRandom, crashPoint: () => {} }
}

export type Op = PlainOp

export type StoreOptions = StorePartsOptions

export type Box = ReturnType<typeof openStore>

export function openStore(where: string | Database, options: StoreOptions = {}) {
  const parts = openStoreParts(typeof where === "string" ? where : { database: where }, ref, options)
  const { db } = parts
  return {
    ...parts,
    state: (op_id: string) =>
      db
        .query<{ state: string; attempts: number; next_retry_at: number | null; last_error: string | null }, [string]>(
          "select state, attempts, next_retry_at, last_error from op_state where op_id = ?",
        )
        .all(op_id),
    count: (table: string) => db.query<{ n: number }, []>(`select count(*) as n from ${table}`).get()!.n,
    [Symbol.dispose]() {
      parts.close()
    },
  }
}

/** The outbox as a host has it: nothing is sent, and time stands still unless the clock is turned. */
export function openQuietOutbox(where: string | Database, options: OutboxOptions & { clock?: ManualClock } = {}) {
  const { clock = new ManualClock(), ...rest } = options
  const outbox = openOutbox(typeof where === "string" ? where : { database: where }, { seams: seamsOf(clock), ...rest })
  outbox.pause()
  return {
    outbox,
    clock,
    notes: outbox.stream("notes", ref),
    async [Symbol.asyncDispose]() {
      await outbox.close({ flush_ms: 0 })
    },
  }
}
