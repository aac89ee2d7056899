/** Ops as people look at them: pages of what is in the outbox, oldest first. Read-only. */
import type { Database } from "bun:sqlite"
import { and, asc, eq, gt, gte, lte, sql, type SQL } from "drizzle-orm"
import { drizzle } from "drizzle-orm/bun-sqlite"
import { OpTable, StreamTable } from "../store/schema.sql.ts"
import { idsFromBlob } from "../store/id-blob.ts"
import { localSeq } from "../store/stream.ts"
import { ulidText } from "../store/ulid-text.ts"
import { globOf, hasWildcard } from "./name-pattern.ts"
import type { OpState } from "./op-state.ts"

export interface OpSummary {
  op_id: string
  stream: string
  /** Place in the stream, from 1. */
  seq: number
  state: OpState
  method: string
  key: string | null
  depends_on: string[]
  bytes: number
  time_created: number
  /** It belongs to the unit of the op before it. */
  continues: boolean
}

export interface OpsPage {
  ops: OpSummary[]
  /** Pass as `after` for the next page; null at the end. */
  next: number | null
}

export interface OpsFilter {
  /** `*` stands for any text, in these three. */
  stream?: string | undefined
  method?: string | undefined
  key?: string | undefined
  state?: OpState | undefined
  /** Recorded at that time or later, ms since the epoch. */
  since?: number | undefined
  /** Global place after which to begin: `next` of the page before. */
  after?: number | undefined
  /** Global place of the last one. */
  to?: number | undefined
  limit: number
}

/** The rule of op-state.ts, for ops that are kept. */
const state = sql<OpState>`case
  when ${OpTable.seq} > ${StreamTable.cursor} and ${StreamTable.time_closed} is not null then 'discarded'
  when ${OpTable.seq} > ${StreamTable.frozen_seq} then 'pending'
  when ${OpTable.seq} > ${StreamTable.cursor} then 'in_flight'
  when exists (select 1 from sturdy_dead_letter dead where dead.seq = ${OpTable.seq}) then 'failed'
  when exists (select 1 from sturdy_superseded superseded where superseded.seq = ${OpTable.seq}) then 'superseded'
  else 'acked' end`

export function readOps(db: Database, filter: OpsFilter): OpsPage {
  const rows = drizzle({ client: db })
    .select({
      place: OpTable.seq,
      op_id: sql<string>`${sql.raw(ulidText("sturdy_op.op_id"))}`,
      stream: StreamTable.name,
      state,
      method: OpTable.method,
      key: OpTable.key,
      depends_on: OpTable.depends_on,
      bytes: sql<number>`length(cast(${OpTable.args} as blob))`,
      time_created: OpTable.time_created,
      continues: OpTable.continues,
    })
    .from(OpTable)
    .innerJoin(StreamTable, eq(StreamTable.stream_id, sql`${OpTable.seq} >> 32`))
    .where(
      and(
        gt(OpTable.seq, filter.after ?? 0),
        filter.to === undefined ? undefined : lte(OpTable.seq, filter.to),
        like(StreamTable.name, filter.stream),
        like(OpTable.method, filter.method),
        like(OpTable.key, filter.key),
        filter.since === undefined ? undefined : gte(OpTable.time_created, filter.since),
        filter.state === undefined ? undefined : eq(state, filter.state),
      ),
    )
    .orderBy(asc(OpTable.seq))
    .limit(filter.limit)
    .all()
  const ops = rows.map(({ place, depends_on, continues, ...row }) => ({
    ...row,
    seq: localSeq(place),
    depends_on: depends_on ? idsFromBlob(depends_on) : [],
    continues: continues !== null,
  }))
  return { ops, next: rows.length === filter.limit ? rows.at(-1)!.place : null }
}

function like(
  column: typeof StreamTable.name | typeof OpTable.method | typeof OpTable.key,
  pattern?: string,
): SQL | undefined {
  if (pattern === undefined) return
  return hasWildcard(pattern) ? sql`${column} glob ${globOf(pattern)}` : sql`${column} = ${pattern}`
}
