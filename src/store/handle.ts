import { Database, type SQLQueryBindings, type Statement } from "bun:sqlite"

/** Its close really closes: with a statement left, SQLite keeps the locks and the -wal until the garbage is collected. */
export class Handle extends Database {
  readonly #statements: Statement[] = []

  override prepare<Row, Params extends SQLQueryBindings | SQLQueryBindings[]>(sql: string, params?: Params) {
    const statement = super.prepare<Row, Params>(sql, params)
    this.#statements.push(statement)
    return statement
  }

  override close(): void {
    for (const statement of this.#statements.splice(0)) statement.finalize()
    super.close()
  }
}
