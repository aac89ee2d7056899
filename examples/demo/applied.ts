/** The service's own log of what it applied, op by op, beside the outbox's record of what was to be applied. */
import { newHttpBatchRpcSession } from "capnweb"
import { readOps } from "../../src/inspect/ops.ts"
import { readStatus } from "../../src/inspect/status.ts"
import { openDatabaseForReading } from "../../src/store/database.ts"
import type { ShareService } from "../../src/index.ts"

export interface AppliedLog {
  ops: number
  superseded: number
  batches: number
  pending: number
  dead: number
  /** Settled in the outbox, and not in the service's log. */
  lost: number
  /** Effects beyond one per op that the outbox recorded. */
  doubled: number
  /** Effects that came after one of an op recorded later. */
  outOfOrder: number
  share_ids: Map<string, string>
}

export async function readAppliedLog(outbox: string, service: string): Promise<AppliedLog> {
  const db = openDatabaseForReading(outbox)
  const { streams, pending, dead } = readStatus(db)
  const { ops } = readOps(db, { limit: 1_000_000 })
  const secrets = db.prepare("select name, share_id, secret from sturdy_stream").all() as Ref[]
  db.close()
  const superseded = streams.reduce((sum, stream) => sum + stream.superseded, 0)
  const batches = streams.reduce((sum, stream) => sum + stream.batches, 0)
  const share_ids = new Map(streams.map((stream) => [stream.stream, stream.share_id]))
  const log = { ops: ops.length + superseded, superseded, batches, pending, dead, share_ids }
  const found = { lost: 0, doubled: 0, outOfOrder: 0 }
  for (const ref of secrets) {
    const own = ops.filter((op) => op.stream === ref.name)
    const applied = await appliedOps(service, ref)
    const places = new Map(own.map((op, place) => [op.op_id, place]))
    const once = new Set(applied)
    found.lost += own.filter((op) => op.state === "acked" && !once.has(op.op_id)).length
    found.doubled +=
      applied.length -
      places
        .keys()
        .filter((op_id) => once.has(op_id))
        .toArray().length
    found.outOfOrder += inversions(applied.map((op_id) => places.get(op_id) ?? -1))
  }
  return { ...log, ...found }
}

interface Ref {
  name: string
  share_id: string
  secret: string
}

/** op_ids in the order in which they were applied. */
async function appliedOps(service: string, { share_id, secret }: Ref): Promise<string[]> {
  const op_ids: string[] = []
  for (let after: number | null = 0; after !== null;) {
    using api = newHttpBatchRpcSession<ShareService>(`${service}/rpc/share`)
    const page: { ops: { op_id: string }[]; next: number | null } = await api
      .redeemShare({ share_id, secret, writer_id: crypto.randomUUID() })
      .share.readShare({ after })
    op_ids.push(...page.ops.map((op) => op.op_id))
    after = page.next
  }
  return op_ids
}

function inversions(places: number[]): number {
  let highest = -1
  return places.filter((place) => {
    const late = place < highest
    highest = Math.max(highest, place)
    return late && place >= 0
  }).length
}
