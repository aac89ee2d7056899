/** What became of each op, read from the rows of an outbox file, not from its view: that is checked against this. */
import { opIdOf } from "./op-id.ts"
import type { OutboxFile, OpState } from "./outbox-file.ts"

/** The words of `op_state`, which has one more for what lies in a frozen batch, and one less for what was given up. */
export const viewWords: Record<string, OpState> = {
  pending: "pending",
  in_flight: "pending",
  acked: "applied",
  superseded: "superseded",
  failed: "dead",
  discarded: "discarded",
}

const statesSql = `
  select op.op_id, case
      when op.seq > stream.cursor and stream.time_closed is not null then 'discarded'
      when op.seq > stream.cursor then 'pending'
      when exists (select 1 from sturdy_dead_letter dead where dead.seq = op.seq) then 'dead'
      when exists (select 1 from sturdy_superseded superseded where superseded.seq = op.seq) then 'superseded'
      else 'applied' end
    from sturdy_op op join sturdy_stream stream on stream.stream_id = op.seq >> 32
  union all
  select op_id, 'superseded' from sturdy_superseded where seq not in (select seq from sturdy_op)
  union all
  select op_id, 'dead' from sturdy_dead_letter where seq not in (select seq from sturdy_op)`

/** By op_id. More than one word for an op is a fault of its own. */
export function statesIn(file: OutboxFile): Map<string, OpState[]> {
  const states = new Map<string, OpState[]>()
  for (const [blob, word] of file.rowsOf(statesSql)) {
    const op_id = opIdOf(blob)
    const known = states.get(op_id)
    if (known) known.push(word as OpState)
    else states.set(op_id, [word as OpState])
  }
  return states
}

/** The same by the view for people. */
export function viewedStates(file: OutboxFile): Map<string, OpState[]> {
  const rows = file.rowsOf("select op_id, state from op_state") as [string, string][]
  const grouped = Map.groupBy(rows, ([op_id]) => op_id)
  return new Map([...grouped].map(([op_id, found]) => [op_id, found.map(([, state]) => viewWords[state]!)]))
}

/** E.g. `applied 1 2, dead 3, block share_removed`, of the stream `s`. */
export function standsOf(file: OutboxFile, nameOf: (op_id: string) => string): string {
  const states = statesIn(file)
  const byState = Map.groupBy(file.recorded(), (op_id) => states.get(op_id)?.join("+") ?? "pruned")
  const parts = [...byState].map(([state, ids]) => `${state} ${ids.map(nameOf).join(" ")}`)
  const block = file.row("s")?.block
  return [...parts, ...(block ? [`block ${block}`] : [])].join(", ")
}
