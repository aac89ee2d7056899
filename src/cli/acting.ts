/** An outbox that a command does something with: opened like any process opens it, but never made, and paused. */
import { Database } from "bun:sqlite"
import { httpJson, openOutbox, type Outbox, type OutboxOptions, rpc } from "../index.ts"
import { legacyRest } from "../opencode/legacy-rest.ts"
import { readingOutbox } from "../store/database.ts"
import type { Input } from "./command.ts"
import { explained, notePlace, outboxPlace, type OutboxPlace } from "./outbox-place.ts"

/** All that a stream may remember to have been spoken to in. */
const protocols = [rpc, httpJson, legacyRest]

/** How long a lock in the host's own database is waited for, ms. */
const host_busy_ms = 2_000

/**
 * For as long as `act` runs. It sends nothing unless it resumes: whoever has the outbox open goes on by itself, within
 * the length of a lease.
 *
 * @throws SturdyError as `openOutbox`; `database_missing` if there is none yet.
 */
export async function actingOutbox<T>(
  input: Input,
  act: (outbox: Outbox, place: OutboxPlace) => T | Promise<T>,
  options: Pick<OutboxOptions, "headers"> = {},
): Promise<T> {
  const place = outboxPlace(input)
  try {
    using opened = open(place, options)
    const { outbox } = opened
    // Before its first look, which is a turn away.
    outbox.pause()
    notePlace(input, place)
    try {
      return await act(outbox, place)
    } finally {
      await outbox.close({ flush_ms: 0 })
    }
  } catch (error) {
    throw explained(error, place)
  }
}

function open({ file }: OutboxPlace, options: Pick<OutboxOptions, "headers">): Disposable & { outbox: Outbox } {
  const all = { ...options, protocols }
  if (!isOfHost(file)) return { outbox: openOutbox(file, all), [Symbol.dispose]() {} }
  // Its pragmas are the host's business, and stay as they are.
  const database = new Database(file, { create: false, readwrite: true })
  database.run(`pragma busy_timeout = ${host_busy_ms}`)
  try {
    return { outbox: openOutbox({ database }, all), [Symbol.dispose]: () => database.close() }
  } catch (error) {
    database.close()
    throw error
  }
}

/** Tables of others beside ours. Also says what is wrong with a file that is no outbox, before anything is opened for writing. */
function isOfHost(file: string): boolean {
  return readingOutbox(file, (db) => {
    const row = db
      .prepare(
        `select count(*) as others from sqlite_schema
         where type = 'table' and name not like 'sturdy\\_%' escape '\\' and name not like 'sqlite\\_%' escape '\\'`,
      )
      .get() as { others: number }
    return row.others > 0
  })
}
