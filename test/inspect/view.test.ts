/** What people are told of ops, batches and streams is what the view op_state says, at every step of random histories. */
import type { Database } from "bun:sqlite"
import { expect, test } from "bun:test"
import { planOf } from "../../src/testing/index.ts"
import { end } from "../../src/testing/simulator/ending.ts"
import { Simulation } from "../../src/testing/simulator/simulation.ts"
import { readBatches } from "../../src/inspect/batches.ts"
import { readOp } from "../../src/inspect/op.ts"
import type { OpState } from "../../src/inspect/op-state.ts"
import { readOps } from "../../src/inspect/ops.ts"
import { readStreams } from "../../src/inspect/status.ts"
import { firstSeq } from "../../src/store/stream.ts"

const seeds = Number(process.env.SEEDS ?? 40)

const limit = 100_000

/** A line for each that says something else. */
function differences(db: Database): string[] {
  const rows = db.prepare("select op_id, state from op_state").all() as { op_id: string; state: OpState }[]
  const states = new Map(rows.map(({ op_id, state }) => [op_id, state]))
  const { ops } = readOps(db, { limit })
  const ids = db.prepare("select name, stream_id from sturdy_stream").all() as { name: string; stream_id: number }[]
  const idOf = new Map(ids.map(({ name, stream_id }) => [name, stream_id]))
  const told = ops.flatMap(({ op_id, stream, seq, state }) => {
    const shown = readOp(db, op_id, firstSeq(idOf.get(stream)!) + seq).state
    const known = states.get(op_id)
    return state === known && shown === known ? [] : [`${op_id} is ${known}: listed as ${state}, shown as ${shown}`]
  })
  const ofStreams = readStreams(db).flatMap(({ stream, pending, in_flight }) => {
    const count = (state: OpState) => ops.filter((op) => op.stream === stream && states.get(op.op_id) === state).length
    const found = [count("pending") + count("in_flight"), count("in_flight")]
    return Bun.deepEquals(found, [pending, in_flight]) ? [] : [`${stream}: ${found}, told ${pending},${in_flight}`]
  })
  const ofBatches = readBatches(db, { limit }).batches.flatMap(
    ({ batch_id, stream, first_seq, last_seq, ...batch }) => {
      const members = ops.filter((op) => op.stream === stream && op.seq >= first_seq && op.seq <= last_seq)
      const kinds = new Set(members.map(({ op_id }) => batchStateOf(states.get(op_id)!)))
      const isTrue = kinds.size === 0 || (kinds.size === 1 && kinds.has(batch.state))
      const hasTime = (batch.time_settled !== null) === (batch.state === "settled")
      return isTrue && hasTime ? [] : [`batch ${batch_id} is ${[...kinds]}, told ${batch.state}, ${batch.time_settled}`]
    },
  )
  return [...told, ...ofStreams, ...ofBatches]
}

const batchStateOf = (state: OpState) => (state === "in_flight" || state === "discarded" ? state : "settled")

test(`of ${seeds} histories`, async () => {
  let resets = 0
  for (let seed = 1; seed <= seeds; seed++) {
    const plan = planOf(seed)
    const sim = new Simulation(plan)
    const compare = (at: string) => {
      for (const { db, name, streamRows } of sim.world.files) {
        expect({ seed, at, name, differences: differences(db) }).toEqual({ seed, at, name, differences: [] })
        resets += streamRows.filter(
          ({ reset_count, frozen_seq, cursor }) => reset_count > 0 && frozen_seq > cursor,
        ).length
      }
    }
    await sim.start()
    for (const [step, what] of plan.steps.entries()) {
      await sim.step(what)
      compare(`step ${step}`)
    }
    await end(sim)
    compare("end")
    sim.world.abandon()
  }
  // What is pending again after a server_reset was told wrong.
  expect(resets).toBeGreaterThan(0)
}, 60_000)
