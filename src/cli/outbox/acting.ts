/** An outbox that a command does something with: opened like any process opens it, but never made, and paused. */
import { Database } from "bun:sqlite"
import { httpJson, openOutbox, type Outbox, type OutboxOptions, rpc } from "../../index.ts"
import { hostTables, readSchema, type SchemaSummary } from "../../inspect/outbox-file.ts"
import { SturdyError } from "../../intent/error.ts"
import { legacyRest } from "../../opencode/legacy-rest.ts"
import { readingOutbox } from "../../store/reading.ts"
import { version as schema_version } from "../../store/migrate.ts"
import type { Input } from "../input/command.ts"
import { neverShowThoseOf } from "./secrets.ts"
import { explained } from "./looking.ts"
import { notePlace, outboxPlace, type OutboxPlace } from "./outbox-place.ts"

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
  const { isHosts, schema } = lookBefore(file)
  if (!isHosts) return { outbox: openOutbox(file, all), [Symbol.dispose]() {} }
  refuseOlder(file, schema)
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

/** Also says what is wrong with a file that is no outbox, before anything is opened for writing. */
function lookBefore(file: string): { isHosts: boolean; schema: SchemaSummary } {
  return readingOutbox(file, (db) => {
    neverShowThoseOf(db)
    return { isHosts: hostTables(db).length > 0, schema: readSchema(db) }
  })
}

/** How its migrations are noted is known to the host alone. */
function refuseOlder(file: string, { version }: SchemaSummary): void {
  if (version >= schema_version) return
  throw new SturdyError(
    "database_unsafe",
    `${file} is the database of a program whose Sturdy has schema ${version}, and this one has ${schema_version}; nothing was changed`,
    "Start that program with this Sturdy first, or use the command of its own.",
  )
}
