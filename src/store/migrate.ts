/**
 * Schema of the outbox: embedded migrations, each applied once, all under one immediate transaction that looks again
 * after it has the lock, because processes start at once.
 *
 * Fleets: migrations only add. `version` counts those applied, `compatible_version` is the oldest code that may still
 * use the file, so an older process goes on recording beside a newer one until a release raises it.
 */
import type { Database } from "bun:sqlite"
import { SturdyError } from "../intent/error.ts"
import { randomId } from "../intent/ulid.ts"
import type { Connection } from "./connection.ts"
import { migrations } from "./migration.gen.ts"

/** Schema version that this code writes, and the oldest code that can still use what it writes. */
export const version = migrations.length
export const compatible_version = 1

interface Meta {
  version: number
  compatible_version: number
}

/**
 * `migrationTable`: of the host, where each migration is noted as `sturdy_<name>`.
 *
 * @throws SturdyError `database_newer`; nothing was changed.
 */
export function migrate(connection: Connection, migrationTable?: string): void {
  if (upToDate(connection)) return
  connection.transact("migrate", () => {
    if (upToDate(connection)) return
    const { db, seams } = connection
    const from = readMeta(connection)?.version ?? 0
    for (const migration of migrations.slice(from)) {
      applyMigration(db, migration)
      if (migrationTable !== undefined)
        db.prepare(`insert or ignore into "${migrationTable}" (id, time_completed) values (?, ?)`).run(
          `sturdy_${migration.name}`,
          seams.clock.now(),
        )
    }
    db.prepare(
      `insert into sturdy_meta (id, outbox_id, version, compatible_version, time_created) values (1, ?, ?, ?, ?)
       on conflict (id) do update set version = excluded.version,
         compatible_version = max(compatible_version, excluded.compatible_version)`,
    ).run(randomId(seams.random, 128), version, compatible_version, seams.clock.now())
  })
}

/** Its statements alone, in whatever transaction is open. */
export function applyMigration(db: Database, { sql }: { sql: string }): void {
  // Trimmed: Bun 1.3.14 swallows the error of a statement that is followed by anything, a newline too.
  for (const statement of sql.split("--> statement-breakpoint")) db.run(statement.trim())
}

export function readMeta(connection: Connection): Meta | undefined {
  const known = connection.db.prepare("select 1 from sqlite_schema where name = 'sturdy_meta'").get()
  if (!known) return
  return (
    (connection.db.prepare("select version, compatible_version from sturdy_meta").get() as Meta | null) ?? undefined
  )
}

/** True if there is nothing to migrate. @throws SturdyError `database_newer`. */
export function upToDate(connection: Connection): boolean {
  const meta = readMeta(connection)
  if (!meta) return false
  if (meta.compatible_version > version)
    throw new SturdyError(
      "database_newer",
      `the outbox has schema ${meta.version} and needs Sturdy with schema ${meta.compatible_version} or newer; this one has ${version}`,
      "Upgrade Sturdy in this program; the file was not changed.",
    )
  return meta.version >= version
}
