/** Each situation is what it says it is, so that what the CLI shows of it means something. */
import { expect, test } from "bun:test"
import { readStatus } from "../../../src/inspect/status.ts"
import { ScopedDatabase } from "../../scoped-database.ts"
import { tempDir } from "../../temp-dir.ts"
import { stateOf } from "../../torture/child.ts"
import { type SituationName, situations, type Situation } from "./situations.ts"

async function facts(name: SituationName) {
  await using dir = tempDir()
  const stack = new AsyncDisposableStack()
  const situation = stack.use(await situations[name](dir.path))
  const { hosts, services } = situation
  const found = { ...seenIn(situation), alive: hosts.length }
  for (const pid of hosts) expect(stateOf(pid)).toBeOneOf(["R", "S", "D"])
  await stack.disposeAsync()
  expect(hosts.filter((pid) => stateOf(pid) !== undefined)).toEqual([])
  for (const { url } of services) await expect(fetch(url)).rejects.toThrow()
  return found
}

function seenIn({ db, names }: Situation) {
  using file = new ScopedDatabase(db, { readonly: true })
  const { pending, dead, streams } = readStatus(file)
  const rows = file.query("select state, count(*) as ops from op_state group by state").all() as {
    state: string
    ops: number
  }[]
  const { pid, time_expires } = file.query("select pid, time_expires from sturdy_lease").get() as {
    pid: number
    time_expires: number
  }
  const stateOfOp = (name: string) =>
    (file.query("select state from op_state where op_id = ?").get(names[name]!) as { state: string } | null)?.state
  return {
    pending,
    dead,
    ops: Object.fromEntries(rows.map(({ state, ops }) => [state, ops])),
    blocks: streams.filter(({ block }) => block !== null).map(({ stream, block }) => [stream === names.stream, block]),
    states: [...new Set(streams.map(({ state }) => state))].toSorted(),
    twins: streams.reduce((sum, stream) => sum + stream.twins, 0),
    frozen: (file.query("select count(*) as n from sturdy_batch where time_settled is null").get() as { n: number }).n,
    lease: time_expires === 0 ? "free" : stateOf(pid) === undefined ? "of a dead process" : "held",
    stateOfOp: { dead: stateOfOp("dead"), retried: stateOfOp("retried"), again: stateOfOp("again") },
  }
}

test("idle: all is settled, some superseded, one share removed, and nobody is there", async () => {
  const found = await facts("idle")
  expect(found).toMatchObject({ pending: 0, dead: 0, blocks: [], states: ["idle", "removed"], lease: "free", alive: 0 })
  expect(found.ops.superseded).toBeGreaterThan(10)
})

test("offline: thousands wait, some of them frozen, with a live host that has the lease", async () => {
  const found = await facts("offline")
  expect(found).toMatchObject({ dead: 0, blocks: [], states: ["idle", "waiting"], lease: "held", alive: 1 })
  expect(found.pending).toBeGreaterThan(3_000)
  expect(found.frozen).toBeGreaterThan(8)
  expect(found.ops.pending).toBeGreaterThan(1_000)
})

test("revoked: one stream is blocked with pending ops, the others have gone on, with a live host", async () => {
  const found = await facts("revoked")
  expect(found).toMatchObject({ dead: 0, blocks: [[true, "revoked"]], states: ["blocked", "idle"], alive: 1 })
  expect(found.pending).toBeGreaterThan(10)
})

test("dead: dead letters with dependents, one retried and applied, beside a host that was killed while it sent", async () => {
  expect(await facts("dead")).toMatchObject({
    pending: 3,
    dead: 10,
    ops: { in_flight: 3 },
    stateOfOp: { dead: "failed", retried: "failed", again: "acked" },
    lease: "of a dead process",
    alive: 0,
  })
})

test("two: one host has the lease and sends, another one is alive too", async () => {
  const found = await facts("two")
  expect(found).toMatchObject({ dead: 0, blocks: [], lease: "held", alive: 2 })
  expect(found.pending).toBeGreaterThan(30_000)
})

test("twins: one is counted", async () => {
  expect(await facts("twins")).toMatchObject({ pending: 0, dead: 0, twins: 1, lease: "free", alive: 0 })
})
