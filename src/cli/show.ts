/** `sturdy show`: one op or one batch, with all that is known of it. */
import type { Database } from "bun:sqlite"
import { type BatchSummary, readBatch } from "../inspect/batches.ts"
import { type OpDetail, readOp } from "../inspect/op.ts"
import { type OpSummary, readOps } from "../inspect/ops.ts"
import type { KnownId } from "../inspect/id-search.ts"
import { type Command } from "./input/command.ts"
import { batchLines } from "./text/batch-text.ts"
import { findId } from "./input/op-id.ts"
import { opLines } from "./text/op-text.ts"
import { readOutbox } from "./outbox/looking.ts"
import { dbHelp, dbOption, dbUsage } from "./outbox/outbox-place.ts"
import { opJson } from "./output/payload.ts"
import { print, printJson } from "./output/terminal.ts"

export const show: Command = {
  name: "show",
  summary: "one op or batch: its state, why, what it hangs on and what hangs on it",
  usage: `ID [--payload] ${dbUsage} [--json]`,
  help: `
Shows an op: where it stands, its call, its batch and unit, what it depends on and what depends on it, why it was rejected.
Or a batch, its ops drawn as a graph of what depends on what. ID is an op_id or batch_id, or the beginning of one. Only
reads.

Of a batch: ○ depends on no other op of it, ● on those from whose lanes its line comes; ┌│└ are one unit, ← names what lies
outside.

${dbHelp}
  --payload  the arguments and the result in full, instead of their first line; secrets of the outbox are left out
  --json     one object; with the payload only if asked for`,
  options: { ...dbOption, payload: { type: "boolean" } },
  positionals: 1,
  async run(input) {
    const full = input.options.payload === true
    const now = Date.now()
    const shown = readOutbox(input, (db, place) => {
      const id = findId(db, input.positionals[0]!)
      return { place, ...shownOf(db, id) }
    })
    const { json } = input.options
    if (shown.kind === "op" && json) printJson({ version: 1, kind: "op", ...opJson(shown.op, full) })
    else if (shown.kind === "batch" && json)
      printJson({ version: 1, kind: "batch", ...shown.batch, members: shown.ops })
    else if (shown.kind === "op") for (const line of opLines(shown.op, { now, full, place: shown.place })) print(line)
    else for (const line of batchLines(shown.batch, shown.ops, now)) print(line)
    return 0
  },
}

type Shown = { kind: "op"; op: OpDetail } | { kind: "batch"; batch: BatchSummary; ops: OpSummary[] }

function shownOf(db: Database, id: KnownId): Shown {
  if (id.kind === "op") return { kind: "op", op: readOp(db, id.id, id.seq) }
  const { batch, first, last } = readBatch(db, id.id)!
  const { ops } = readOps(db, { after: first - 1, to: last, limit: batch.ops })
  return { kind: "batch", batch, ops }
}
