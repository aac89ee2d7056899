/** The typed event stream, and the two examples that stand on it. */
import type { Meter } from "@opentelemetry/api"
import { expect, test } from "bun:test"
import { logTo } from "../../examples/observe/console.ts"
import { meterOutbox } from "../../examples/observe/opentelemetry.ts"
import { openOutbox, type OutboxEvent } from "../../src/index.ts"
import { by, fixedRandom, loseAnswer, openBox, record, status } from "../flusher/box.ts"
import { Fake } from "../flusher/fake.ts"
import { errorOf } from "../sturdy-error.ts"

const half = { random: fixedRandom(0.5) }

test("the life of ops is told in its order: recorded, superseded, sealed, sent, failed, sent again, acked, rejected, drained", async () => {
  await using box = await openBox(half)
  const outbox = box.open()
  const stream = box.stream(outbox)
  const seen: OutboxEvent[] = []
  outbox.onAny((event) => seen.push(event))
  const [old, poison] = [
    stream.record({ method: "put", args: ["old"], key: "k" }),
    stream.record({ method: "poison", args: [] }),
  ]
  const fresh = stream.record({ method: "put", args: ["new"], key: "k" })
  box.fates.push(loseAnswer)
  await box.run(outbox.flush())
  await box.turn(100)
  const ids = [old, poison, fresh].map((intent) => outbox.opId(intent))
  const bytes = expect.any(Number)
  const batch_id = expect.any(String)
  expect(seen).toEqual([
    { name: "recorded", stream: "s", op_ids: [ids[0]!] },
    { name: "recorded", stream: "s", op_ids: [ids[1]!] },
    { name: "recorded", stream: "s", op_ids: [ids[2]!] },
    { name: "superseded", stream: "s", op_id: ids[0]!, by_op_id: ids[2]! },
    { name: "lease", held: true, term: 1 },
    { name: "sealed", stream: "s", batch_id, ops: 2, bytes },
    { name: "sent", stream: "s", attempt: 1, batches: 1, ops: 2 },
    {
      name: "failed",
      stream: "s",
      code: "connection_lost",
      message: "the connection was lost",
      outcome: "unknown",
      attempts: 1,
      next_attempt_at: expect.any(Number),
    },
    { name: "sent", stream: "s", attempt: 2, batches: 1, ops: 2 },
    { name: "acked", stream: "s", batch_id, ops: 2, rejected: 1 },
    { name: "rejected", stream: "s", op_id: ids[1]!, code: "poison", message: "rejected for good" },
    { name: "drained", stream: "s" },
    { name: "lease", held: false, term: 1 },
  ])
})

test("who stops listening hears nothing more, and stopping twice is nothing", async () => {
  await using box = await openBox(half)
  const outbox = box.open()
  let heard = 0
  const stop = outbox.onAny(() => {
    heard += 1
  })
  stop()
  stop()
  record(box.stream(outbox), "1")
  await box.run(outbox.flush())
  expect(heard).toBe(0)
})

test("an observer that throws is told as fault, also to itself, and stops neither the flush nor the others", async () => {
  await using box = await openBox(half)
  const { seams } = box
  // Not by the box, whose own listener makes every fault an error.
  const outbox = openOutbox(box.dir.file("own.db"), { seams, transport: () => new Promise(() => {}) })
  const faults: string[] = []
  outbox.onAny(({ name }) => {
    throw new Error(`observer of ${name}`)
  })
  outbox.on("fault", ({ message }) => faults.push(message))
  record(outbox.stream("s", box.ref), "1")
  expect(faults).toEqual(['a listener of "recorded" threw: Error: observer of recorded'])
  await box.run(outbox.close({ flush_ms: 0 }))
})

test("a listener whose promise is rejected is told as fault, and the host lives on", async () => {
  await using box = await openBox(half)
  const outbox = box.open()
  outbox.on("recorded", async () => {
    await Promise.resolve()
    throw new Error("later")
  })
  // Of this one nobody hears: it would be told to itself.
  outbox.on("fault", async () => {
    throw new Error("never")
  })
  record(box.stream(outbox), "1")
  await box.run(outbox.flush())
  expect(box.takeFaults()).toEqual([new Error("later")])
})

test("a listener may throw what has no text", async () => {
  await using box = await openBox(half)
  const outbox = box.open()
  const thrown = [Symbol("x"), Object.create(null), undefined]
  for (const what of thrown)
    outbox.on("recorded", () => {
      throw what
    })
  record(box.stream(outbox), "1")
  expect(box.takeFaults()).toEqual(thrown)
})

test("an event that is none and a listener that is no function are refused, and what was passed is not repeated", async () => {
  await using box = await openBox(half)
  const outbox = box.open()
  const anything = (value: unknown) => value as never
  const calls = [
    () => outbox.on(anything("s3cr3t"), () => {}),
    () => outbox.on(anything("toString"), () => {}),
    () => outbox.on(anything(undefined), () => {}),
    () => outbox.on("blocked", anything("s3cr3t")),
    () => outbox.on("blocked", anything(undefined)),
    () => outbox.onAny(anything({})),
  ]
  const errors = calls.map((call) => errorOf(call))
  expect(errors.map(({ code }) => code)).toEqual(calls.map(() => "invalid_argument" as const))
  for (const { message, hint } of errors) expect(message + hint).not.toContain("s3cr3t")
  expect(errors[0]!.hint).toContain("blocked, unblocked")
})

test("the console example writes one line of JSON per event, without a secret", async () => {
  await using box = await openBox(half)
  const outbox = box.open()
  const lines: string[] = []
  logTo((line) => lines.push(line), outbox)
  box.fates.push(status(503), by(new Fake({ service_id: box.service.service_id, refuse: [7] })))
  record(box.stream(outbox), "1")
  await box.run(outbox.flush())
  const names = lines.map((line) => (JSON.parse(line) as { name: string }).name)
  expect(names).toContain("failed")
  expect(names.at(-1)).toBe("lease")
  expect(lines.join()).not.toContain(box.ref.secret)
})

test("a peer that echoes the secret in its errors, refusals and rejections does not bring it into an event", async () => {
  await using box = await openBox(half)
  const outbox = box.open()
  const stream = box.stream(outbox)
  const { secret } = box.ref
  const seen: string[] = []
  outbox.onAny((event) => seen.push(JSON.stringify(event)))
  const { service_id } = box.service
  const echo = () => Object.assign(new Error(`bad secret ${secret}`), { code: `code ${secret}` })
  box.fates.push(
    by(new Fake({ service_id, throws: () => new Error(`bad secret ${secret}`) })),
    by(new Fake({ service_id, throws: echo })),
    by(new Fake({ service_id, refuse: [{ refused: "revoked", message: `revoked ${secret}` }] })),
  )
  record(stream, "1")
  await box.turn(60_000, 1_000)
  expect(stream.status().block).toMatchObject({ reason: "revoked", message: "revoked [secret]" })
  expect(seen.join()).not.toContain(secret)
  expect(seen.join()).toContain("[secret]")
})

test("the OpenTelemetry example counts events and ops, and a block that ended is none", async () => {
  await using box = await openBox(half)
  const outbox = box.open()
  const counts = new Map<string, number>()
  const instrument = (name: string) => ({
    add(value: number, attributes: object = {}) {
      const key = `${name} ${Object.values(attributes).join(" ")}`
      counts.set(key, (counts.get(key) ?? 0) + value)
    },
  })
  const meter = { createCounter: instrument, createUpDownCounter: instrument } as unknown as Meter
  meterOutbox(meter, outbox)
  box.fates.push(status(404))
  const stream = box.stream(outbox)
  record(stream, "1 2 3")
  await box.turn(1_000)
  expect(counts.get("sturdy.blocks unsupported")).toBe(1)
  stream.unblock()
  await box.run(outbox.flush())
  expect(Object.fromEntries(counts)).toMatchObject({
    "sturdy.ops recorded": 3,
    "sturdy.ops decided": 3,
    "sturdy.blocks unsupported": 0,
    "sturdy.events blocked": 1,
  })
})
