/** Columns of a file that an older Sturdy made: nothing is migrated for a look. */
import type { Database } from "bun:sqlite"

export function columnsOf(db: Database, table: string): ReadonlySet<string> {
  const rows = db.prepare("select name from pragma_table_info(?)").all(table) as { name: string }[]
  return new Set(rows.map(({ name }) => name))
}
