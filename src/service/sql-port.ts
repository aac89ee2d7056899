/**
 * The small synchronous SQL port that the service's store is written against, once: bun:sqlite today, a Cloudflare
 * Durable Object later. What the engines treat differently is refused or converted here (a Durable Object binds
 * `true` as the text "true", refuses bigint, takes 100 parameters; every engine commits an async body at its first
 * await). Numbers go into INTEGER columns of STRICT tables only: a Durable Object binds them as REAL.
 */
import { isThenable } from "../intent/thenable.ts"

export type SqlParam = string | number | boolean | null | Uint8Array
export type SqlValue = string | number | null | Uint8Array
export type SqlRow = Record<string, SqlValue>

/** Makes a body that returns a promise a type error, with the reason in its text. */
type Synchronous<T> = [T] extends [never]
  ? unknown
  : [T] extends [PromiseLike<unknown>]
    ? "a transaction body must be synchronous"
    : unknown

export interface Sql {
  all<Row extends object = SqlRow>(query: string, ...params: SqlParam[]): Row[]
  get<Row extends object = SqlRow>(query: string, ...params: SqlParam[]): Row | undefined
  /** Rows changed. */
  run(query: string, ...params: SqlParam[]): number
  /** Commits when the body returns, rolls back when it throws. Nested: a savepoint. */
  transaction<T>(body: (() => T) & Synchronous<T>): T
}

/** What an engine brings; `sqlPort` adds the checks. */
export interface SqlEngine {
  all(query: string, params: SqlValue[]): unknown[]
  get(query: string, params: SqlValue[]): unknown
  run(query: string, params: SqlValue[]): number
  transaction<T>(body: () => T): T
}

/** Another process holds the write lock. Nothing was done. */
export class SqlBusyError extends Error {}

/** Fewest parameters per statement among the engines. */
const params_max = 100
/** Transactions are the port's own business, and user_version is not there on a Durable Object. */
const reserved = /^\s*(begin|commit|end|rollback|savepoint|release|pragma|attach|detach|vacuum)\b/i

export function sqlPort(engine: SqlEngine): Sql {
  const checked = new Set<string>()
  const check = (query: string) => {
    if (checked.has(query)) return
    if (reserved.test(query)) throw new TypeError(`not a statement for the port: ${query.trim().slice(0, 20)}`)
    if (checked.size < 1_000) checked.add(query)
  }
  return {
    all<Row extends object>(query: string, ...params: SqlParam[]) {
      check(query)
      return engine.all(query, params.map(bind)) as Row[]
    },
    get<Row extends object>(query: string, ...params: SqlParam[]) {
      check(query)
      return (engine.get(query, params.map(bind)) ?? undefined) as Row | undefined
    },
    run(query, ...params) {
      check(query)
      return engine.run(query, params.map(bind))
    },
    transaction<T>(body: () => T) {
      return engine.transaction(() => {
        const value = body()
        if (isThenable(value)) throw new TypeError("a transaction body must be synchronous")
        return value
      })
    },
  }
}

function bind(param: SqlParam, index: number): SqlValue {
  if (index >= params_max) throw new RangeError(`more than ${params_max} parameters`)
  if (typeof param === "boolean") return param ? 1 : 0
  if (param === null || typeof param === "string" || param instanceof Uint8Array) return param
  if (typeof param === "number" && Number.isFinite(param)) return param
  throw new TypeError(`parameter ${index + 1} is ${typeof param === "number" ? param : typeof param}, not an SQL value`)
}
