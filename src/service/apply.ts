/** One op that was never decided before: its dependencies, its args, its handler, in a savepoint of its own. */
import { serialize } from "capnweb"
import type { WireOp } from "../intent/op.ts"
import { isThenable } from "../intent/thenable.ts"
import type { Access } from "./capability.ts"
import type { Core } from "./core.ts"
import { Rejection } from "./handler.ts"
import { methodFor } from "./method.ts"
import { type Effect, type OpLog, undefinedResult } from "./op-log.ts"
import { resolveArgs } from "./resolve.ts"
import type { Sql } from "./sql-port.ts"

/** Applies the op or rejects it. Throws only what is unexpected: then the whole batch is rolled back. */
export function applyOp(core: Core, log: OpLog, access: Access, op: WireOp, time: number): Rejection | undefined {
  try {
    core.sql.transaction(() => log.apply(op, effectOf(core, log, access, op, time)))
    return
  } catch (error) {
    if (!(error instanceof Rejection)) throw error
    log.reject(op, error.code, error.message)
    return error
  }
}

function effectOf(core: Core, log: OpLog, access: Access, op: WireOp, time: number): Effect {
  for (const op_id of op.depends_on) demandDone(log, op_id)
  // Until calls on results are built.
  if (op.target) throw new Rejection("unknown_target", "this server takes no calls on results")
  const method = methodFor(core.methods, op)
  const args = resolveArgs(op, (op_id) => resultOf(log, op_id))
  const scoped = new ScopedSql(core.sql)
  const context = {
    share_id: access.share_id,
    session_id: access.session_id,
    share: access.share,
    position: log.next,
    op_id: op.op_id,
    actor_id: op.actor_id ?? null,
    schema_version: op.schema_version,
    time_created: op.time_created,
    time,
  }
  try {
    const values = method.lift(args.values, context)
    const result = method.handle({ ...context, sql: scoped }, ...values)
    if (isThenable(result)) throw new TypeError(`the handler of ${op.method} returned a promise`)
    const text = textOf(result, op.method)
    if (Buffer.byteLength(text) > core.limits.op_bytes_max)
      throw new Rejection("result_too_large", `the result has more than ${core.limits.op_bytes_max} bytes`)
    // As sent, of the version that the client said: what a later upcast makes of it is not what was recorded.
    return { args: args.text, result: text === undefinedResult ? null : text }
  } finally {
    scoped.end()
  }
}

/** capnweb says what it cannot send, not whose it is. */
function textOf(result: unknown, method: string): string {
  try {
    return serialize(result)
  } catch (cause) {
    throw new TypeError(`the result of the handler of ${method} cannot be serialized: ${messageOf(cause)}`, { cause })
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}

function demandDone(log: OpLog, op_id: string): void {
  const outcome = log.find(op_id)
  if (!outcome) throw new Rejection("dependency_missing", `depends on ${op_id}, which is not known here`)
  if (outcome.name === "rejected") throw new Rejection("dependency_rejected", `depends on ${op_id}, which was rejected`)
}

function resultOf(log: OpLog, op_id: string): string {
  const outcome = log.find(op_id)
  // A superseded op counts as done, but it has no result.
  if (outcome?.name !== "applied")
    throw new Rejection("dependency_rejected", `refers to the result of ${op_id}, which was never applied`)
  const result = log.result(outcome.position)
  if (result === undefined) throw new Rejection("result_expired", `the result of ${op_id} is no longer kept`)
  return result
}

/** What an async handler does after its first await would run outside of every transaction: here it fails instead. */
class ScopedSql implements Sql {
  #sql: Sql | undefined

  constructor(sql: Sql) {
    this.#sql = sql
  }

  end(): void {
    this.#sql = undefined
  }

  get #live(): Sql {
    if (!this.#sql) throw new Error("the handler has returned: its sql is closed")
    return this.#sql
  }

  all: Sql["all"] = (query, ...params) => this.#live.all(query, ...params)
  get: Sql["get"] = (query, ...params) => this.#live.get(query, ...params)
  run: Sql["run"] = (query, ...params) => this.#live.run(query, ...params)
  transaction: Sql["transaction"] = (body) => this.#live.transaction(body)
}
