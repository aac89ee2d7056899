/** The real decision core on a database in memory, asked as the oracle is asked. Synchronous, no HTTP. */
import { type Core, openCore } from "../../src/service/core.ts"
import { type HandlerContext, Rejection } from "../../src/service/handler.ts"
import { openShareServiceFile } from "../../src/service/sql-bun.ts"
import { ShareServiceTarget } from "../../src/service/target.ts"
import { systemRandom } from "../../src/intent/system.ts"
import { ManualClock } from "../../src/testing/manual-clock.ts"
import type { Grant, WireOp } from "../../src/wire/contract.ts"
import type { Answer, OracleBatch, OracleOp } from "./oracle.ts"

class HandlerCrash extends Error {}

type Rows = Map<string, Record<string, string | number | null | Uint8Array>[]>

export class RealCore {
  readonly #file = openShareServiceFile(":memory:")
  readonly #core: Core
  readonly #target: ShareServiceTarget
  readonly #ref = { share_id: "share_of_the_model", secret: "secret_of_the_model" }

  /** What the handler is to do with an op: no part of the op's content. */
  readonly #does = new Map<string, OracleOp["does"]>()

  constructor() {
    this.#core = openCore({
      sql: this.#file,
      methods: { op: (context) => this.#handle(context) },
      seams: { clock: new ManualClock(), random: systemRandom, crashPoint: () => {} },
      observe: (event) => {
        if (event.name === "failure" && !(event.error instanceof HandlerCrash)) throw event.error
      },
    })
    this.#core.sql.run(`CREATE TABLE effect (id INTEGER PRIMARY KEY, op_id TEXT) STRICT`)
    this.#target = new ShareServiceTarget(this.#core, "https://share.example")
    this.#target.createShare({ ...this.#ref, session_id: "ses_1" })
  }

  get ops_max(): number {
    return this.#core.limits.batch_ops_max
  }

  redeem(writer_id: string): Grant {
    return this.#target.redeemShare({ ...this.#ref, writer_id })
  }

  append(grant: Grant, batch: OracleBatch): Answer | "crashed" {
    for (const op of batch.ops) this.#does.set(op.op_id, op.does)
    try {
      const answer = grant.share.appendOps({
        writer_id: batch.writer,
        batch_id: "01HF7YAT00000000000000BATCH".slice(0, 26),
        expected_cursor: batch.cursor,
        expected_head_op_id: batch.head,
        settled_op_id: batch.settled,
        ops: batch.ops.map(wireOp),
      })
      const { cursor, head_op_id } = answer
      const register = cursor === undefined ? {} : { register: { cursor, head: head_op_id ?? null } }
      if ("refused" in answer) return { refused: answer.refused, ...register }
      const rejected = answer.rejected.map(({ op_id, code }): [string, string] => [op_id, code])
      const { applied, duplicates } = answer
      return { register: { cursor: answer.cursor, head: answer.head_op_id }, applied, duplicates, rejected }
    } catch (error) {
      if ((error as { code?: unknown }).code === "internal") return "crashed"
      throw error
    }
  }

  raiseEpoch(): void {
    this.redeem("writer_of_the_owner").share.revokeCapability({})
  }

  remove(): void {
    this.redeem("writer_of_the_owner").share.removeShare()
  }

  get effects(): string[] {
    return this.#core.sql.all<{ op_id: string }>(`SELECT op_id FROM effect ORDER BY id`).map((row) => row.op_id)
  }

  /** Everything that is stored; `restore` puts it back, as an operator would a backup. */
  snapshot(): Rows {
    return new Map(this.#tables.map((table) => [table, this.#core.sql.all(`SELECT * FROM ${table}`)]))
  }

  restore(snapshot: Rows): void {
    this.#core.sql.transaction(() => {
      for (const table of this.#tables.toReversed()) this.#core.sql.run(`DELETE FROM ${table}`)
      for (const [table, rows] of snapshot)
        for (const row of rows) {
          const columns = Object.keys(row)
          const places = columns.map(() => "?").join(", ")
          this.#core.sql.run(`INSERT INTO ${table} (${columns.join(", ")}) VALUES (${places})`, ...Object.values(row))
        }
    })
  }

  close(): void {
    this.#file.close()
  }

  /** Writes first, so that what is undone can be seen. */
  #handle({ sql, op_id }: HandlerContext): void {
    sql.run(`INSERT INTO effect (op_id) VALUES (?)`, op_id)
    const does = this.#does.get(op_id)
    if (does === "poison") throw new Rejection("poison", "rejected for good")
    if (does === "crash") throw new HandlerCrash("unexpected")
  }

  get #tables(): string[] {
    return this.#core.sql
      .all<{ name: string }>(`SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY rowid`)
      .map((row) => row.name)
  }
}

function wireOp({ op_id, content, depends_on, supersedes }: OracleOp): WireOp {
  const args = `[${JSON.stringify(content)}]`
  const said = { op_id, method: "op", codec: "json" as const, args, depends_on, schema_version: 1, time_created: 0 }
  return supersedes.length ? { ...said, supersedes } : said
}
