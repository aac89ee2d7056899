import { Database } from "bun:sqlite"

/** The committed state of a database that may be open, in a new file. */
export function copyDatabase(from: string, to: string): void {
  const db = new Database(from, { readonly: true })
  try {
    db.run(`vacuum into '${to}'`)
  } finally {
    db.close()
  }
}
