/** What every part of the service stands on, and the one place where it is put together. */
import type { Seams } from "../intent/seam.ts"
import { systemSeams } from "../intent/system.ts"
import type { Ack, AppendBatch, GrantLimits, Refusal } from "../wire/contract.ts"
import type { Methods } from "./handler.ts"
import { grantLimits } from "./limit.ts"
import { checkMethods } from "./method.ts"
import { opencodeMethods } from "./opencode-methods.ts"
import { migrate } from "./schema.ts"
import type { Sql } from "./sql-port.ts"

/** What an observer sees, after it happened. No secrets are in it. */
export type ServiceEvent =
  | { name: "request"; method: string; path: string; status: number; bytes: number }
  /** Well-formed batches only. */
  | { name: "batch"; share_id: string; batch: AppendBatch; answer: Ack | Refusal }
  /** Unexpected: a bug of a handler or of ours, or the disk. The client was told `internal`. */
  | { name: "failure"; error: unknown }

export interface CoreOptions {
  sql: Sql
  /** @default those of an opencode share */
  methods?: Methods
  /** Inside the transaction that removes a share: delete what own methods wrote for it. */
  onRemove?: (sql: Sql, share: number) => void
  /** What grants promise; the floors of the contract hold. */
  limits?: Partial<GrantLimits>
  seams?: Seams
  /** Sees every request and every decided batch, after the fact. For tests, benches and logs. Must not throw. */
  observe?: (event: ServiceEvent) => void
}

export interface Core {
  sql: Sql
  seams: Seams
  methods: Methods
  limits: GrantLimits
  /** Identity of the history in this database. */
  service_id: string
  onRemove: (sql: Sql, share: number) => void
  observe: (event: ServiceEvent) => void
}

/**
 * On any engine of the port: nothing below this imports bun:sqlite.
 *
 * @throws TypeError if a method is none, or its table of versions is wrong
 */
export function openCore(options: CoreOptions): Core {
  const { methods = opencodeMethods } = options
  checkMethods(methods)
  const seams = options.seams ?? systemSeams
  return {
    sql: options.sql,
    seams,
    methods,
    limits: grantLimits(options.limits),
    service_id: migrate(options.sql, seams),
    onRemove: options.onRemove ?? (() => {}),
    observe: options.observe ?? (() => {}),
  }
}
