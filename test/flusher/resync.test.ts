/** The `resync` hook: when a host must record its state again, and that it is told until it has. */
import { expect, test } from "bun:test"
import * as limit from "../../src/intent/limit.ts"
import type { Outbox } from "../../src/outbox.ts"
import type { Stream } from "../../src/stream.ts"
import { copyDatabase } from "../copy-database.ts"
import { by, type Box, fixedRandom, openBox, record, status } from "./box.ts"
import { Fake } from "./fake.ts"

const half = { random: fixedRandom(0.5) }

/** The service says that it lost what this outbox has settled; nothing is retained here. */
function lose(box: Box): void {
  const refusal = { refused: "server_reset", message: "lost", cursor: 0, head_op_id: null }
  box.fates.push(by(new Fake({ refuse: [refusal], service_id: box.service.service_id })))
}

/** A hook that notes its calls, and records the state that the host has now. */
function hookOf(state: string[] = []) {
  const calls: string[] = []
  const hook = (stream: Stream, reason: string) => {
    calls.push(`${stream.name} ${reason}`)
    for (const name of state) put(stream, name)
  }
  return { calls, hook }
}

function put(stream: Stream, name: string): void {
  stream.record({ method: "put", args: [name], key: name, onlyIfChanged: true, captureId: `event of ${name}` })
}

test("a service that lost what is no longer kept: the host records its state again, and the stream goes on", async () => {
  const { calls, hook } = hookOf(["a", "b"])
  await using box = await openBox(half)
  const outbox = box.open({ resync: hook, outboxBytesMax: 4 * 1024 * 1024 })
  const stream = box.stream(outbox)
  put(stream, "a")
  put(stream, "b")
  const fill = (count: number) => {
    for (let n = 0; n < count; n++) stream.record({ method: "put", args: ["filler", "x".repeat(200_000)] })
  }
  fill(8)
  await box.run(outbox.flush())
  outbox.pause()
  // Beyond the quota what is settled is given up for what is pending.
  fill(16)
  expect(box.row().retained_ops).toBe(0)
  for (const table of ["applied", "op", "writer", "effect"]) box.service.sql.run(`DELETE FROM ${table}`)
  const heard: string[] = []
  outbox.onAny(({ name }) => /block|resync|reset/.test(name) && heard.push(name))
  outbox.resume()
  await box.turn(2_000)
  expect(await box.run(outbox.flush())).toEqual({ settled: true, blocked: [] })
  expect(calls).toEqual(["s server_reset"])
  expect(heard).toEqual(["blocked", "resynced", "unblocked"])
  // What was pending comes first, then the state as it is now, although the same was recorded before.
  expect(box.effects.filter((name) => name !== "filler")).toEqual(["a", "b"])
  expect(box.row()).toMatchObject({ resync_owed: null, block: null })
})

test("a block that the hook lifts while a Retry-After stands: what it recorded waits for it", async () => {
  const gate = Promise.withResolvers<void>()
  await using box = await openBox(half)
  const outbox = box.open({ resync: () => gate.promise })
  lose(box)
  box.fates.push(status(503, "300"))
  record(box.stream(outbox), "1")
  await box.turn(80_000, 1_000)
  const told_at = box.sent[1]!.at
  gate.resolve()
  await box.calm()
  expect(box.row()).toMatchObject({ block: null, resync_owed: null })
  await box.run(outbox.flush())
  expect(box.sent[2]!.at - told_at).toBeWithin(300_000, 301_000)
})

test("the stream stands until the hook has resolved", async () => {
  const gate = Promise.withResolvers<void>()
  await using box = await openBox(half)
  const outbox = box.open({ resync: () => gate.promise })
  lose(box)
  record(box.stream(outbox), "1")
  await box.turn(5_000)
  expect([box.effects, box.row().block]).toEqual([[], "server_reset"])
  gate.resolve()
  await box.turn(1_000)
  expect([box.effects, box.row().block]).toEqual([["1"], null])
})

test("a hook that throws is told as fault, and called again later", async () => {
  let broken = true
  const calls: string[] = []
  await using box = await openBox(half)
  const outbox = box.open({
    async resync(stream) {
      calls.push(stream.name)
      if (broken) throw new Error("the host's own")
    },
  })
  const faults: string[] = []
  outbox.on("fault", ({ message }) => faults.push(message))
  lose(box)
  record(box.stream(outbox), "1")
  await box.turn(5_000)
  expect(calls).toHaveLength(1)
  expect(faults.some((message) => message.includes("stream s"))).toBeTrue()
  expect(box.takeFaults()).toEqual([new Error("the host's own")])
  broken = false
  box.always(by(new Fake({ refuse: [{ refused: "busy", message: "" }], service_id: box.service.service_id })))
  await box.turn(limit.retry_delay_ms_max, 1_000)
  expect(calls).toHaveLength(2)
  box.always(undefined)
  await box.run(outbox.flush())
  expect(box.effects).toEqual(["1"])
})

test("a process without the hook leaves it to one that has it", async () => {
  await using box = await openBox(half)
  const first = box.open()
  lose(box)
  record(box.stream(first), "1")
  await box.turn(5_000)
  await box.close(first)
  expect(box.row()).toMatchObject({ block: "server_reset", resync_owed: "server_reset" })
  const { calls, hook } = hookOf()
  const second = box.open({ resync: hook })
  await box.turn(1_000)
  expect([calls, box.effects]).toEqual([["s server_reset"], ["1"]])
  await box.close(second)
})

test("a process that ends while the hook runs owes it still: the next one is told again", async () => {
  await using box = await openBox(half)
  const gate = Promise.withResolvers<void>()
  const first = box.open({ resync: () => gate.promise })
  lose(box)
  record(box.stream(first), "1")
  await box.turn(5_000)
  await box.close(first)
  gate.resolve()
  await box.calm()
  expect(box.row().resync_owed).toBe("server_reset")
  const { calls, hook } = hookOf()
  box.open({ resync: hook })
  await box.turn(1_000)
  expect(calls).toEqual(["s server_reset"])
})

test("a person who goes on without what was lost owes the host nothing more", async () => {
  await using box = await openBox(half)
  const outbox = box.open()
  lose(box)
  const stream = box.stream(outbox)
  record(stream, "1")
  await box.turn(5_000)
  stream.unblock()
  await box.run(outbox.flush())
  expect([box.effects, box.row().resync_owed]).toEqual([["1"], null])
})

test("after a resync the service is not blamed again for the same loss, and the next loss is noticed", async () => {
  const { calls, hook } = hookOf()
  await using box = await openBox(half)
  const outbox = box.open({ resync: hook })
  lose(box)
  const stream = box.stream(outbox)
  record(stream, "1")
  await box.turn(5_000)
  record(stream, "2")
  await box.run(outbox.flush())
  expect(calls).toHaveLength(1)
  for (const table of ["applied", "op", "writer", "effect"]) box.service.sql.run(`DELETE FROM ${table}`)
  record(stream, "3")
  await box.run(outbox.flush())
  expect(box.effects).toEqual(["1", "2", "3"])
  expect(box.row()).toMatchObject({ reset_count: 1, block: null })
})

/** Two copies of one outbox, of which the second has written something of its own. */
async function twins(box: Box, options: Parameters<Box["open"]>[0]): Promise<Outbox> {
  const first = box.open()
  put(box.stream(first), "a")
  await box.run(first.flush())
  await box.close(first)
  copyDatabase(box.dir.file(), box.dir.file("copy.db"))
  const copy = box.open({}, box.dir.file("copy.db"))
  record(box.stream(copy), "theirs")
  await box.run(copy.flush())
  await box.close(copy)
  return box.open(options)
}

test("a twin: the host is told once everything pending is settled, and what it records is written again", async () => {
  await using box = await openBox(half)
  const { calls, hook } = hookOf(["a"])
  const outbox = await twins(box, { resync: hook })
  const told: number[] = []
  outbox.on("twin", () => told.push(calls.length))
  record(box.stream(outbox), "mine")
  await box.run(outbox.flush())
  await box.turn(2_000)
  expect([told, calls]).toEqual([[0], ["s twin"]])
  // The captureId was captured, so the event is not recorded twice; state recorded without one is.
  expect(box.effects).toEqual(["a", "theirs", "mine"])
  box.stream(outbox).record({ method: "put", args: ["a"], key: "a", onlyIfChanged: true })
  await box.run(outbox.flush())
  expect(box.effects).toEqual(["a", "theirs", "mine", "a"])
})

test("a twin whose stream is being removed is told to nobody", async () => {
  await using box = await openBox(half)
  const { calls, hook } = hookOf()
  const outbox = await twins(box, { resync: hook })
  const stream = box.stream(outbox)
  record(stream, "mine")
  await box.run(outbox.flush())
  const before = calls.length
  stream.remove()
  await box.run(outbox.flush())
  await box.turn(2_000)
  expect(calls).toHaveLength(before)
})

test("a hook that records nothing and a host without one lose nothing", async () => {
  await using box = await openBox(half)
  const outbox = await twins(box, {})
  record(box.stream(outbox), "mine")
  await box.run(outbox.flush())
  await box.turn(2_000)
  expect(box.row()).toMatchObject({ twin_count: 1, resync_owed: "twin", block: null })
  expect(box.effects).toEqual(["a", "theirs", "mine"])
})
