/** The way from a POST that a service cannot take to the one unit that is to blame. */
import { describe, expect, test } from "bun:test"
import * as limit from "../../src/intent/limit.ts"
import { type HandlerContext, Rejection } from "../../src/service/index.ts"
import type { Ack } from "../../src/wire/contract.ts"
import { atMost, by, fixedRandom, openBox, record, status } from "./box.ts"
import { Fake } from "./fake.ts"
import { batch, fault, ids, lost, refusal, said, value, verdictOf, type Case } from "./verdict-case.ts"

const tooLarge = fault("http_status", "unknown", "HTTP 413", { status: 413 })
const failed = { kind: "failed", message: "boom" } as const
const faulty = (more: Case = {}): Case => ({ appended: [failed, lost], ...more })
const often = { service_fault_count: limit.service_faults_max - 1 }

describe("size", () => {
  test("413 to several batches: the first one alone", () =>
    expect(said({ grant: tooLarge })).toBe("alone; retry http_413 at once"))

  test("413 to one batch: cut between its units", () =>
    expect(said({ grant: tooLarge, batches: [batch(ids, [1, 2])] })).toBe("cut 1+2; retry http_413 at once"))

  test("413 to one unit: a block that names it", () => {
    const { next } = verdictOf({ grant: tooLarge, batches: [batch(ids, [3])] })
    expect(next).toMatchObject({ go: "block", block: { reason: "too_large" } })
    expect(next.go === "block" && next.block.message).toContain(ids[0])
  })

  test("413 to a POST without a batch is tried again with backoff: there is nothing to make smaller", () =>
    expect(said({ grant: tooLarge, stream: { probing: 1 }, batches: [], appended: [] })).toBe("retry http_413"))

  test("too_large of the second batch: the first is settled, the second cut", () => {
    const two = [batch(ids.slice(0, 1)), batch(ids.slice(1))]
    const ack = { batch_id: two[0]!.batch_id, cursor: 1, head_op_id: ids[0], epoch: 1, duplicates: [], rejected: [] }
    const appended = [value<Ack>({ ...ack, applied: [ids[0]] }), refusal("too_large")]
    expect(said({ batches: two, appended })).toBe("settled 1; cut 1+1; retry too_large at once")
  })
})

describe("content", () => {
  test("an unexpected fault is tried again, with backoff", () => expect(said(faulty())).toBe("retry service_fault"))

  test("after as many as the limit its batch is cut, and sent with backoff", () =>
    expect(said(faulty({ stream: often }))).toBe("cut 1+1; retry service_fault"))

  test("after as many as the limit a single unit blocks", () => {
    const { next } = verdictOf(faulty({ stream: often, batches: [batch(ids, [3])] }))
    expect(next).toMatchObject({ go: "block", block: { reason: "service_fault" } })
  })

  test("HTTP 500 to several batches: redeemShare alone, to see whether it is the batch; then the first batch alone", () => {
    const grant = fault("http_status", "unknown", "HTTP 500", { status: 500 })
    const first = verdictOf({ stream: often, grant })
    expect([first.alone, first.patch.probing]).toEqual([undefined, 1])
    const more = { service_fault_count: limit.service_faults_max }
    expect(said({ stream: more, grant })).toBe("alone; retry http_500")
  })

  test.each([
    ["an outage", { grant: lost }, limit.service_faults_max - 1],
    ["a gateway's 503", { grant: fault("http_status", "unknown", "", { status: 503 }) }, limit.service_faults_max - 1],
    ["busy", { appended: [refusal("busy")] }, limit.service_faults_max - 1],
    ["redeemShare that fails", { grant: failed }, limit.service_faults_max - 1],
    ["another fault", faulty(), limit.service_faults_max],
    ["an answer that is no Ack", { appended: [value(7)] }, limit.service_faults_max],
    ["malformed", { appended: [refusal("malformed")] }, limit.service_faults_max],
    ["an Ack", {}, 0],
  ] as [string, Case, number][])("after faults %s counts as it should", (_, given, count) =>
    expect(verdictOf({ ...given, stream: often }).patch.service_fault_count).toBe(count),
  )
})

const half = { random: fixedRandom(0.5) }

describe("a gateway that takes less than a window", () => {
  test("gets one batch per POST, then halves, until everything is there: each op once, in order", async () => {
    await using box = await openBox(half)
    const outbox = box.open()
    const stream = box.stream(outbox)
    const names = Array.from({ length: 400 }, (_, n) => `${n}`)
    outbox.pause()
    for (const name of names) stream.record({ method: "put", args: [name, "x".repeat(2_000)] })
    box.always(atMost(64 * 1024))
    outbox.resume()
    expect(await box.run(outbox.flush())).toEqual({ settled: true, blocked: [] })
    expect(box.effects).toEqual(names)
    // Each op's text was the same in every attempt, and no batch_id stood for two contents.
    const texts = new Map<string, string>()
    for (const sent of box.sent.flatMap((post) => post.batches)) {
      for (const op of sent.ops) {
        const text = JSON.stringify(op)
        expect(texts.get(op.op_id) ?? text).toBe(text)
        texts.set(op.op_id, text)
      }
      const content = sent.ops.map((op) => op.op_id).join()
      expect(texts.get(sent.batch_id) ?? content).toBe(content)
      texts.set(sent.batch_id, content)
    }
    expect(box.row()).toMatchObject({ block: null, attempts: 0, last_error: null })
  })

  test("is not tried again with what is sealed later: that is made as small at once", async () => {
    await using box = await openBox(half)
    const outbox = box.open()
    const stream = box.stream(outbox)
    outbox.pause()
    // More than one window holds: the last 400 are sealed after the first were cut.
    for (let n = 0; n < 1_200; n++) stream.record({ method: "put", args: [`${n}`, "x".repeat(700)] })
    box.always(atMost(40_000))
    outbox.resume()
    await box.run(outbox.flush())
    const attempts = Map.groupBy(
      box.sent.flatMap(({ batches }) => batches.flatMap(({ ops }) => ops)),
      (op) => JSON.parse(op.args)[0][0] as string,
    )
    expect(attempts.get("0")!.length).toBeGreaterThan(2)
    for (let n = 800; n < 1_200; n++) expect(attempts.get(`${n}`)).toHaveLength(1)
  })

  test("never gets a unit in parts", async () => {
    await using box = await openBox(half)
    const outbox = box.open()
    const stream = box.stream(outbox)
    outbox.pause()
    const put = (name: string) => stream.record({ method: "put", args: [name, "x".repeat(5_000)] })
    for (let unit = 0; unit < 12; unit++) outbox.unit(() => ["a", "b", "c"].map((name) => put(`${unit}${name}`)))
    box.always(atMost(40_000))
    outbox.resume()
    await box.run(outbox.flush())
    for (const { ops } of box.sent.flatMap((post) => post.batches)) expect(ops.length % 3).toBe(0)
    expect(box.effects).toHaveLength(36)
  })

  test("that takes not even one unit blocks at that unit, after everything before it, and goes on when it takes more", async () => {
    await using box = await openBox(half)
    const outbox = box.open()
    const stream = box.stream(outbox)
    outbox.pause()
    record(stream, "1 2 3")
    const big = stream.record({ method: "put", args: ["big", "x".repeat(100_000)] })
    record(stream, "5 6")
    box.always(atMost(50_000))
    outbox.resume()
    const report = await box.run(outbox.flush())
    expect(report).toMatchObject({ settled: false, blocked: [{ reason: "too_large" }] })
    expect(report.blocked[0]!.message).toContain(outbox.opId(big))
    expect(box.effects).toEqual(["1", "2", "3"])
    expect(stream.status()).toMatchObject({ pending: 3, dead: 0 })
    box.always(undefined)
    await box.turn(2 * limit.probe_delay_ms_min, 1_000)
    expect(box.effects).toEqual(["1", "2", "3", "big", "5", "6"])
  })

  test("is met again after a crash between any two steps, and loses nothing", async () => {
    const points = ["settle:before-commit", "settle:after-commit", "cut batch:before-commit", "cut batch:after-commit"]
    for (const point of points) {
      await using box = await openBox(half)
      let armed = true
      const crashPoint = (name: string) => {
        if (!armed || name !== point) return
        armed = false
        throw new Error("killed")
      }
      const first = box.open({ seams: { ...box.seams, crashPoint } })
      first.pause()
      const stream = box.stream(first)
      for (let n = 0; n < 8; n++) stream.record({ method: "put", args: [`${n}`, "x".repeat(10_000)] })
      box.always(atMost(30_000))
      first.resume()
      await box.turn(1_000)
      expect({ point, armed }).toEqual({ point, armed: false })
      await box.close(first)
      expect(box.takeFaults()).toEqual([new Error("killed")])
      const second = box.open()
      await box.run(second.flush())
      expect(box.effects).toEqual(["0", "1", "2", "3", "4", "5", "6", "7"])
    }
  })
})

test("results that do not fit one answer: the service's own too_large cuts the batch, and every result arrives", async () => {
  const big = () => "x".repeat(300_000)
  await using box = await openBox({ ...half, service: { methods: { big }, limits: { batch_bytes_max: 1 } } })
  const outbox = box.open()
  const stream = box.stream(outbox)
  outbox.pause()
  const intents = Array.from({ length: 8 }, () => stream.record({ method: "big", args: [], wantResult: true }))
  outbox.resume()
  const results = await box.run(Promise.all(intents.map((intent) => outbox.result(intent))))
  expect(results.map((result) => (result as string).length)).toEqual(Array(8).fill(300_000))
  expect(box.answers.filter((answer) => "refused" in answer && answer.refused === "too_large")).not.toBeEmpty()
})

describe("a handler with a bug at one op", () => {
  async function buggyBox(bug: { on: boolean }) {
    const failures: unknown[] = []
    const box = await openBox({
      ...half,
      service: {
        methods: {
          put: ({ sql, op_id }: HandlerContext, name: unknown) => {
            if (name === "bad" && bug.on) throw new TypeError("a bug of the handler")
            if (name === "poison") throw new Rejection("poison", "no")
            sql.run(`INSERT INTO effect (op_id, name) VALUES (?, ?)`, op_id, String(name))
          },
        },
        observe: (event) => event.name === "failure" && failures.push(event.error),
      },
    })
    return Object.assign(box, { failures })
  }

  test("is narrowed to that op: what was before it is applied, it blocks, no dead letter is made; mended, all goes on", async () => {
    const bug = { on: true }
    await using box = await buggyBox(bug)
    const outbox = box.open()
    const stream = box.stream(outbox)
    outbox.pause()
    const before = Array.from({ length: 70 }, (_, n) => `${n}`)
    record(stream, before.join(" "))
    const bad = stream.record({ method: "put", args: ["bad"] })
    record(stream, "after")
    outbox.resume()
    const report = await box.run(outbox.flush(), 24 * 3_600_000)
    expect(report).toMatchObject({ blocked: [{ reason: "service_fault" }] })
    expect(report.blocked[0]!.message).toContain(outbox.opId(bad))
    expect(box.effects).toEqual(before)
    expect(stream.status()).toMatchObject({ pending: 2, dead: 0 })
    bug.on = false
    await box.turn(4 * limit.probe_delay_ms_min, 1_000)
    expect(box.effects).toEqual([...before, "bad", "after"])
    expect(stream.status()).toMatchObject({ pending: 0, block: undefined })
  })

  test("is found although processes come and go: the count is on disk", async () => {
    const bug = { on: true }
    await using box = await buggyBox(bug)
    for (let life = 0; life < 30; life++) {
      const outbox = box.open()
      const stream = box.stream(outbox)
      if (life === 0) record(stream, "1 bad 2")
      await box.turn(70_000, 5_000)
      await box.close(outbox)
    }
    expect(box.row()).toMatchObject({ block: "service_fault", dead_count: 0 })
    expect(box.effects).toEqual(["1"])
  })
})

test("a whole service that answers 500 for a while blocks nothing, and is taken up again within the longest backoff", async () => {
  await using box = await openBox(half)
  const outbox = box.open()
  box.always(status(500))
  record(box.stream(outbox), "1 2 3")
  await box.turn(1_800_000, 5_000)
  // It fails at redeemShare alone too: no op is to blame.
  expect(box.row()).toMatchObject({ block: null, last_error: "http_500" })
  expect(box.sent.at(-1)!.calls).toEqual(["redeemShare"])
  box.always(undefined)
  await box.turn(limit.retry_delay_ms_max, 1_000)
  expect(box.effects).toEqual(["1", "2", "3"])
})

test("a server that answers nonsense for ever is asked ever less often", async () => {
  await using box = await openBox(half)
  const outbox = box.open()
  box.always(by(new Fake({ refuse: [7], service_id: box.service.service_id })))
  record(box.stream(outbox), "1 2")
  await box.turn(24 * 3_600_000, 60_000)
  expect(box.row()).toMatchObject({ block: "service_fault" })
  expect(box.sent.length).toBeLessThan(60)
})
