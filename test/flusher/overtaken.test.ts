/** What a person, the hook, a lock or another process does while something is under way, and what must come of it. */
import { expect, test } from "bun:test"
import { renameSync } from "node:fs"
import * as limit from "../../src/intent/limit.ts"
import type { Outbox } from "../../src/outbox.ts"
import { ScopedDatabase } from "../scoped-database.ts"
import { copyDatabase } from "../copy-database.ts"
import { atMost, by, type Box, fail, fixedRandom, heardBlocks, hold, openBox, record, status } from "./box.ts"
import { Fake } from "./fake.ts"

const half = { random: fixedRandom(0.5) }

function losing(box: Box) {
  const refusal = { refused: "server_reset", message: "lost", cursor: 0, head_op_id: null }
  return by(new Fake({ refuse: [refusal], service_id: box.service.service_id }))
}

test("unblock({ acceptServer }) while a probe is out stands, whatever the probe finds", async () => {
  await using box = await openBox({ creates: true, ...half })
  const outbox = box.open()
  const stream = box.stream(outbox)
  record(stream, "1")
  await box.run(outbox.flush())
  box.replaceService(box.dir.file("other.db"))
  record(stream, "2")
  await box.run(outbox.flush())
  expect(box.row().block).toBe("other_server")
  const held = hold()
  box.fates.push(held.fate)
  await box.turn(2 * limit.probe_delay_ms_min, 1_000)
  await held.arrived
  const seen = heardBlocks(outbox)
  stream.unblock({ acceptServer: true })
  held.release()
  expect(await box.run(outbox.flush())).toEqual({ settled: true, blocked: [] })
  expect([seen, box.effects]).toEqual([["unblocked other_server"], ["1", "2"]])
})

test("unblock() of server_reset while a probe is out stands", async () => {
  await using box = await openBox(half)
  const outbox = box.open()
  const stream = box.stream(outbox)
  box.fates.push(losing(box))
  record(stream, "1")
  await box.run(outbox.flush())
  const held = hold()
  box.fates.push(async (deliver, request) => {
    await held.fate(async () => ({ status: 200, retry_after: null, content_type: null, body: "" }), request)
    return losing(box)(deliver, request)
  })
  await box.turn(2 * limit.probe_delay_ms_min, 1_000)
  await held.arrived
  stream.unblock()
  held.release()
  await box.turn(10_000)
  expect([box.row().block, box.effects]).toEqual([null, ["1"]])
})

test("a good answer of the old service does not bind a stream that was pointed at another one meanwhile", async () => {
  await using box = await openBox({ creates: true, ...half })
  const outbox = box.open()
  const stream = box.stream(outbox)
  record(stream, "1")
  await box.run(outbox.flush())
  const held = hold()
  box.fates.push(held.fate, hold().fate)
  record(stream, "2")
  await box.turn(100)
  await held.arrived
  stream.unblock({ service: "http://new.example/rpc/share", acceptServer: true })
  held.release()
  await box.turn(1_000)
  // What it acknowledged counts; what it is does not.
  expect(box.row()).toMatchObject({ service_id: null, granted: 0 })
  expect(stream.status().pending).toBe(0)
})

test("server_reset that a probe lifts, since the service found its history, owes the host nothing, and a later twin is told", async () => {
  const calls: string[] = []
  await using box = await openBox(half)
  const first = box.open()
  box.fates.push(losing(box))
  record(box.stream(first), "1")
  await box.turn(3 * limit.probe_delay_ms_min, 1_000)
  expect(box.row()).toMatchObject({ block: null, resync_owed: null })
  await box.close(first)
  copyDatabase(box.dir.file(), box.dir.file("copy.db"))
  const copy = box.open({}, box.dir.file("copy.db"))
  record(box.stream(copy), "theirs")
  await box.run(copy.flush())
  const second = box.open({ resync: (_, reason) => void calls.push(reason) })
  record(box.stream(second), "2")
  await box.run(second.flush())
  await box.turn(5_000)
  expect(calls).toEqual(["twin"])
})

test("a second twin that is met while the hook runs is told again", async () => {
  const calls: string[] = []
  const gate = Promise.withResolvers<void>()
  await using box = await openBox(half)
  const outbox = box.open({ resync: (_, reason) => (calls.push(reason) === 1 ? gate.promise : undefined) })
  record(box.stream(outbox), "0")
  await box.run(outbox.flush())
  copyDatabase(box.dir.file(), box.dir.file("copy.db"))
  const copy = box.open({}, box.dir.file("copy.db"))
  const write = async (to: Outbox, name: string) => {
    record(box.stream(to), name)
    await box.run(to.flush())
  }
  await write(copy, "theirs")
  await write(outbox, "mine")
  await box.turn(1_000)
  await write(copy, "theirs again")
  await write(outbox, "mine again")
  expect([calls, box.row().twin_count]).toEqual([["twin"], 2])
  gate.resolve()
  await box.turn(5_000)
  expect(calls).toEqual(["twin", "twin"])
})

test("a service that was rolled back to what was pruned here makes no twin", async () => {
  await using box = await openBox(half)
  const outbox = box.open({ outboxBytesMax: 4 * 1024 * 1024 })
  const stream = box.stream(outbox)
  const fill = (count: number) => {
    for (let n = 0; n < count; n++) stream.record({ method: "put", args: ["filler", "x".repeat(200_000)] })
  }
  fill(1)
  await box.run(outbox.flush())
  copyDatabase(box.dir.file("service.db"), box.dir.file("backup.db"))
  fill(9)
  await box.run(outbox.flush())
  outbox.pause()
  // What is settled is given up for what is pending.
  fill(16)
  box.replaceService(box.dir.file("backup.db"))
  outbox.resume()
  expect(await box.run(outbox.flush())).toMatchObject({ blocked: [{ reason: "server_reset" }] })
  expect(box.row()).toMatchObject({ twin_count: 0, resync_owed: "server_reset" })
})

test("a service that loses its data between any two POSTs is not asked without end in one instant", async () => {
  await using box = await openBox(half)
  const outbox = box.open()
  const stream = box.stream(outbox)
  outbox.pause()
  for (let n = 0; n < 1_700; n++) stream.record({ method: "put", args: [`${n}`] })
  box.always((deliver) => {
    for (const table of ["applied", "op", "writer", "effect"]) box.service.sql.run(`DELETE FROM ${table}`)
    return deliver()
  })
  outbox.resume()
  await box.turn(600_000, 5_000)
  expect(box.sent.length).toBeGreaterThan(10)
  expect(box.sent.length).toBeLessThan(120)
})

test("a removal does not wait for the probe of the block that it lifts, and says that it lifts it", async () => {
  await using box = await openBox({ creates: true, ...half })
  const outbox = box.open()
  const stream = box.stream(outbox)
  const seen = heardBlocks(outbox)
  box.fates.push(status(403))
  record(stream, "1")
  await box.turn(200)
  stream.remove()
  await box.turn(1_000)
  expect(box.sent).toHaveLength(2)
  expect(seen).toEqual(["blocked scope_denied", "unblocked scope_denied"])
  expect(box.row()).toMatchObject({ block: null, block_message: null, time_blocked: null })
})

test("a removal after a restart does not wait for a backoff of before", async () => {
  await using box = await openBox({ creates: true, random: fixedRandom(0.99) })
  const first = box.open()
  record(box.stream(first), "1")
  box.always(fail("refused"))
  await box.turn(120_000, 1_000)
  await box.close(first)
  box.always(undefined)
  const second = box.open()
  await box.turn(100)
  const before = box.sent.length
  box.stream(second).remove()
  await box.turn(2_000)
  expect(box.sent.length - before).toBe(1)
})

test("unblock({ service }) does not wait for what the old service asked for", async () => {
  await using box = await openBox({ creates: true, ...half })
  const outbox = box.open()
  const stream = box.stream(outbox)
  record(stream, "1")
  box.fates.push(status(503, "3000"))
  await box.turn(200)
  stream.unblock({ service: "http://new.example/rpc/share" })
  await box.turn(1_000)
  expect(box.sent.at(-1)!.host).toBe("new.example")
})

test("unblock() of a stream that is not blocked forgets no Retry-After", async () => {
  await using box = await openBox(half)
  const first = box.open()
  box.fates.push(status(503, "120"))
  record(box.stream(first), "1")
  await box.turn(200)
  expect(box.stream(first).unblock()).toBeFalse()
  await box.turn(10_000, 500)
  await box.close(first)
  box.open()
  await box.turn(100_000, 1_000)
  expect(box.sent).toHaveLength(1)
})

test("the file put back while nothing is pending ends database_moved", async () => {
  await using box = await openBox(half)
  const outbox = box.open()
  const stream = box.stream(outbox)
  record(stream, "1")
  await box.run(outbox.flush())
  renameSync(box.dir.file(), box.dir.file("away.db"))
  await box.turn(20_000, 500)
  expect(stream.status().block).toMatchObject({ reason: "database_moved" })
  renameSync(box.dir.file("away.db"), box.dir.file())
  await box.turn(5_000, 500)
  expect(stream.status().block).toBeUndefined()
})

test("a gateway that takes redeemShare and refuses each batch is asked ever less often", async () => {
  await using box = await openBox(half)
  const outbox = box.open()
  const seen = heardBlocks(outbox)
  const refusing = status(403)
  box.always((deliver, request) => (request.body.includes("appendOps") ? refusing(deliver, request) : deliver()))
  record(box.stream(outbox), "1")
  await box.turn(6 * 3_600_000, 10_000)
  expect(box.sent.length).toBeLessThan(20)
  expect(seen).toEqual(["blocked scope_denied"])
})

test("a probe that is answered by 413 lifts the block, and the batch is cut at the pace of any other", async () => {
  await using box = await openBox(half)
  const outbox = box.open()
  const stream = box.stream(outbox)
  outbox.pause()
  for (let n = 0; n < 40; n++) stream.record({ method: "put", args: [`${n}`, "x".repeat(10_000)] })
  box.fates.push(status(404))
  box.always(atMost(30_000))
  outbox.resume()
  await box.turn(100_000, 1_000)
  expect(box.effects).toHaveLength(40)
})

test("a lock held elsewhere at the end of a run, with the outbox full, ends nothing", async () => {
  await using box = await openBox(half)
  const outbox = box.open({ outboxBytesMax: 1024 * 1024 })
  const stream = box.stream(outbox)
  outbox.pause()
  expect(() => {
    for (;;) stream.record({ method: "put", args: ["x".repeat(100_000)] })
  }).toThrow("quota")
  const held = hold()
  box.fates.push(held.fate)
  outbox.resume()
  await box.turn(100)
  using other = new ScopedDatabase(box.dir.file())
  other.run("begin immediate")
  held.release()
  await box.turn(3_000, 500)
  other.run("rollback")
  await box.turn(60_000, 1_000)
  expect(stream.status()).toMatchObject({ pending: 0, block: undefined })
})

test("what an earlier process left blocked is told to a host that begins to listen", async () => {
  await using box = await openBox(half)
  const first = box.open()
  box.fates.push(status(404))
  record(box.stream(first), "1")
  await box.turn(200)
  await box.close(first)
  const second = box.open()
  const seen = heardBlocks(second)
  await box.turn(100)
  expect(seen).toEqual(["blocked unsupported"])
})
