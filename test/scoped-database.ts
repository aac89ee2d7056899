import { Database } from "bun:sqlite"

/**
 * A database for `using`. Bun 1.3.14's own disposer throws "database is locked" while a statement is not finalized,
 * which is what a statement is until it is collected.
 */
export class ScopedDatabase extends Database {
  override [Symbol.dispose](): void {
    this.close()
  }
}
