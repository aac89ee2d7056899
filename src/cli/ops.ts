/** `sturdy ops`: what is in the outbox, op by op. */
import type { Database } from "bun:sqlite"
import { opStates, readOps } from "../inspect/ops.ts"
import { readStatus } from "../inspect/status.ts"
import { SturdyError } from "../intent/error.ts"
import { readingOutbox } from "../store/database.ts"
import { type Command, dbOption, note, numberOption, printJson, printLine, textOption, UsageError } from "./command.ts"

export const ops: Command = {
  name: "ops",
  summary: "list ops: place, state, method, key, size",
  usage: "[--db FILE] [--stream NAME] [--state STATE] [--limit N] [--after PLACE] [--json]",
  help: `
Lists the ops that the outbox holds: pending ones and settled ones that are still kept. Payloads are not shown. Only
reads.

  --db FILE       the outbox (default: STURDY_DB)
  --stream NAME   of this stream only
  --state STATE   ${opStates.join(", ")}
  --limit N       at most N ops (default 100)
  --after PLACE   the next page: the place that the page before ended with
  --json          one op per line`,
  options: {
    db: { type: "string" },
    stream: { type: "string" },
    state: { type: "string" },
    limit: { type: "string" },
    after: { type: "string" },
  },
  positionals: 0,
  async run(input) {
    const wanted = textOption(input, "state")
    const state = opStates.find((state) => state === wanted)
    if (wanted !== undefined && !state)
      throw new UsageError(`--state must be one of ${opStates.join(", ")}, got ${wanted}`, ops)
    const stream = textOption(input, "stream")
    const after = numberOption(ops, input, "after", { min: 0, max: Number.MAX_SAFE_INTEGER })
    const limit = numberOption(ops, input, "limit", { min: 1, max: 100_000 }) ?? 100
    const page = readingOutbox(dbOption(ops, input), (db) => {
      if (stream !== undefined) assertStream(db, stream)
      return readOps(db, {
        limit,
        ...(state !== undefined && { state }),
        ...(stream !== undefined && { stream }),
        ...(after !== undefined && { after }),
      })
    })
    for (const op of page.ops)
      if (input.options.json) printJson({ version: 1, ...op })
      else
        printLine([op.op_id, op.stream, `#${op.seq}`, op.state, op.method, op.key ?? "-", `${op.bytes} B`].join("  "))
    if (page.next !== null) note(`more: --after ${page.next}`)
    return 0
  },
}

function assertStream(db: Database, stream: string): void {
  if (readStatus(db).streams.some((known) => known.stream === stream)) return
  throw new SturdyError(
    "stream_unknown",
    `there is no stream ${stream} in this outbox`,
    "`sturdy status` lists its streams.",
  )
}
