/** The outbox in the host's database: our tables beside its own, its handle, its pragmas, its file. Closing stays with the host. */
import { Database } from "bun:sqlite"
import { SturdyError } from "../intent/error.ts"
import type { Seams } from "../intent/seam.ts"
import { Connection } from "./connection.ts"
import type { OpenDatabase } from "./database.ts"
import { storageError } from "./fault.ts"
import { migrate } from "./migrate.ts"

export interface HostDatabase {
  database: Database
  /**
   * Where the host notes its migrations, in columns `id` (unique) and `time_completed` (ms), as opencode does. Ours are
   * noted there too, as `sturdy_<name>`, so that whoever looks at it sees all that was done to the database.
   */
  migrationTable?: string
}

/** @throws SturdyError `invalid_argument`, `database_newer`, and by SQLite's code */
export function openInHost({ database, migrationTable }: HostDatabase, seams: Seams): OpenDatabase {
  if (!(database instanceof Database))
    throw new SturdyError(
      "invalid_argument",
      "{ database } is no Database of bun:sqlite",
      'For example openOutbox({ database: new Database("app.db") }).',
    )
  try {
    if (migrationTable !== undefined) refuseOtherTable(database, migrationTable)
    const connection = new Connection(database, seams, undefined)
    migrate(connection, migrationTable)
    return { connection, quarantined: undefined, close() {} }
  } catch (error) {
    throw storageError(error, "opening the host's database")
  }
}

/** @throws SturdyError `invalid_argument` */
function refuseOtherTable(database: Database, name: string): void {
  const columns = database
    .query<{ name: string }, [string]>("select name from pragma_table_info(?)")
    .all(String(name))
    .map((column) => column.name)
  // A table of this name is there, so the name is one that SQLite took; quoted, it needs no more than that.
  if (columns.includes("id") && columns.includes("time_completed") && !name.includes('"')) return
  throw new SturdyError(
    "invalid_argument",
    "migrationTable is no table of the database with columns id and time_completed; nothing was changed",
    "Run the host's own migrations first.",
  )
}
