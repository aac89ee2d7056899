/** Retry state: what is remembered of failures, and how polite it is. */
import { expect, test } from "bun:test"
import * as limit from "../../src/intent/limit.ts"
import type { Random } from "../../src/intent/seam.ts"
import { seeded } from "../torture/seeded.ts"
import { by, type Box, fail, fixedRandom, hold, openBox, record, status } from "./box.ts"
import { Fake } from "./fake.ts"

/** Every delay is half of what the jitter allows. */
const half: { random: Random } = { random: fixedRandom(0.5) }

/** ms between one attempt and the next. */
function waits(box: Box): number[] {
  return box.sent.slice(1).map((post, index) => post.at - box.sent[index]!.at)
}

test("delays double up to the cap and stay within the bounds, wherever the jitter falls", async () => {
  await using box = await openBox({ random: seeded(42) })
  const outbox = box.open()
  box.always(fail("refused"))
  record(box.stream(outbox), "1")
  await box.turn(1_800_000, 200)
  const found = waits(box)
  expect(found.length).toBeGreaterThan(20)
  for (const [index, wait] of found.entries())
    expect(wait).toBeLessThanOrEqual(Math.min(limit.retry_delay_ms_max, limit.retry_delay_ms_min * 2 ** index) + 200)
  // At the cap too every delay is another one.
  const capped = found.slice(8)
  expect(new Set(capped).size).toBeGreaterThan(capped.length / 2)
  expect(Math.min(...capped)).toBeLessThan(limit.retry_delay_ms_max / 2)
})

test("the bounds of the backoff are the host's to choose", async () => {
  await using box = await openBox(half)
  const outbox = box.open({ retryDelayMsMin: 10_000, retryDelayMsMax: 20_000 })
  box.always(fail("refused"))
  record(box.stream(outbox), "1")
  await box.turn(100_000, 1_000)
  expect(waits(box).slice(0, 4)).toEqual([5_000, 10_000, 10_000, 10_000])
})

test("attempts and the time of the next survive the process: a restart does not hammer", async () => {
  await using box = await openBox(half)
  const first = box.open()
  box.always(fail("refused"))
  record(box.stream(first), "1")
  await box.turn(1_900)
  // At 50, 300, 800 and 1,800 ms; the next is due 2 s later.
  expect(box.sent).toHaveLength(4)
  await box.close(first)
  for (let restart = 0; restart < 10; restart++) {
    const again = box.open()
    await box.turn(100)
    await box.close(again)
  }
  expect(box.sent).toHaveLength(4)
  expect(box.row()).toMatchObject({ attempts: 4, last_error: "refused" })

  const last = box.open()
  await box.turn(1_000)
  expect(box.sent).toHaveLength(5)
  expect(box.row()).toMatchObject({ attempts: 5 })
  await box.turn(4_000)
  expect(waits(box)).toEqual([250, 500, 1_000, 2_000, 4_000])
  await box.close(last)
})

test("a wall clock that was set back does not silence a stream for longer than the cap", async () => {
  await using box = await openBox(half)
  const first = box.open()
  box.fates.push(fail("refused"))
  record(box.stream(first), "1")
  await box.turn(100)
  await box.close(first)
  box.clock.jump(-365 * 24 * 3_600_000)
  box.open()
  await box.turn(limit.retry_after_ms_max + 1_000, 1_000)
  expect(box.effects).toEqual(["1"])
})

test("a wall clock set back after a refused connection costs no more than the longest backoff", async () => {
  await using box = await openBox(half)
  const first = box.open()
  box.fates.push(fail("refused"))
  record(box.stream(first), "1")
  await box.turn(100)
  await box.close(first)
  box.clock.jump(-10 * 3_600_000)
  box.open({ retryDelayMsMax: 20_000 })
  await box.turn(20_100)
  expect(box.effects).toEqual(["1"])
})

test("a wall clock set back after a Retry-After costs no more than the longest that a server may ask for", async () => {
  await using box = await openBox(half)
  const first = box.open()
  box.fates.push(status(503, "3600"))
  record(box.stream(first), "1")
  await box.turn(100)
  await box.close(first)
  box.clock.jump(-10 * 3_600_000)
  // A third of it is a whole number: the service takes no times with fractions.
  box.open({ leaseMs: 30_000 })
  await box.turn(limit.retry_after_ms_max - 60_000, 60_000)
  expect(box.effects).toEqual([])
  await box.turn(61_000, 1_000)
  expect(box.effects).toEqual(["1"])
})

test.each(["429", "503"])("%s with Retry-After: no attempt before it, also in the next process", async (code) => {
  await using box = await openBox()
  const first = box.open()
  box.fates.push(status(Number(code), "120"))
  record(box.stream(first), "1")
  await box.turn(60_000, 500)
  expect(box.sent).toHaveLength(1)
  await box.close(first)
  const second = box.open()
  await box.turn(59_000, 500)
  expect(box.sent).toHaveLength(1)
  await box.turn(2_000)
  expect(box.sent).toHaveLength(2)
  expect(box.effects).toEqual(["1"])
  await box.close(second)
})

test("Retry-After as a date counts from the wall clock", async () => {
  await using box = await openBox()
  const outbox = box.open()
  box.fates.push(status(503, new Date(box.clock.now() + 90_000).toUTCString()))
  record(box.stream(outbox), "1")
  await box.turn(88_000, 500)
  expect(box.sent).toHaveLength(1)
  await box.turn(3_000)
  expect(box.sent).toHaveLength(2)
})

test("a Retry-After shorter than the backoff does not shorten it", async () => {
  await using box = await openBox(half)
  const outbox = box.open()
  box.always(status(503, "1"))
  record(box.stream(outbox), "1")
  await box.turn(60_000, 500)
  const found = waits(box)
  expect(found.slice(0, 5)).toEqual([1_000, 1_000, 1_000, 2_000, 4_000])
})

test("busy with retry_after_ms: nothing is sent before", async () => {
  await using box = await openBox()
  const outbox = box.open()
  box.fates.push(by(new Fake({ refuse: [{ refused: "busy", message: "later", retry_after_ms: 45_000 }] })))
  record(box.stream(outbox), "1")
  await box.turn(44_000, 500)
  expect(box.sent).toHaveLength(1)
})

test("what was asked for is written down until an answer asks for nothing", async () => {
  await using box = await openBox(half)
  const outbox = box.open()
  box.fates.push(status(503, "30"), status(502), by(new Fake({ refuse: [{ refused: "busy", retry_after_ms: 9_000 }] })))
  const began = box.clock.now()
  record(box.stream(outbox), "1")
  const seen: unknown[] = []
  outbox.on("failed", ({ code }) => seen.push([code, box.row().retry_after_at]))
  await box.run(outbox.flush())
  const busy_at = box.sent[2]!.at - box.sent[0]!.at
  expect(seen).toEqual([
    ["http_503", began + 30_000],
    ["http_502", null],
    ["busy", began + busy_at + 9_000],
  ])
  expect(box.row().retry_after_at).toBeNull()
})

test("a wall clock set back after an HTTP error that asked for nothing costs no more than the longest backoff", async () => {
  await using box = await openBox(half)
  const first = box.open()
  box.fates.push(status(502))
  record(box.stream(first), "1")
  await box.turn(100)
  await box.close(first)
  box.clock.jump(-10 * 3_600_000)
  box.open({ retryDelayMsMax: 20_000 })
  await box.turn(20_100)
  expect(box.effects).toEqual(["1"])
})

test("a failure is told: the code, how often, and when the next attempt is due", async () => {
  await using box = await openBox(half)
  const outbox = box.open()
  const seen: unknown[] = []
  outbox.on("failed", (event) => seen.push(event))
  box.fates.push(status(502))
  record(box.stream(outbox), "1")
  const now = box.clock.now()
  await box.turn(50)
  expect(seen).toEqual([
    { stream: "s", code: "http_502", message: "HTTP 502", outcome: "unknown", attempts: 1, next_attempt_at: now + 250 },
  ])
})

test("success forgets the failures before it", async () => {
  await using box = await openBox(half)
  const outbox = box.open()
  const stream = box.stream(outbox)
  box.fates.push(fail("refused"), fail("refused"))
  record(stream, "1")
  await box.run(outbox.flush())
  expect(box.row()).toMatchObject({ attempts: 0, next_attempt_at: null, last_error: null })
})

test("the headers are asked for at every attempt", async () => {
  await using box = await openBox()
  let calls = 0
  const outbox = box.open({ headers: () => ({ "x-attempt": String(++calls) }) })
  box.fates.push(fail("refused"))
  record(box.stream(outbox), "1")
  await box.run(outbox.flush())
  expect(box.sent.map((post) => post.headers["x-attempt"])).toEqual(["1", "2"])
})

test("headers that throw are a failed attempt like another, and end nothing", async () => {
  await using box = await openBox()
  let calls = 0
  const outbox = box.open({
    headers: () => {
      if (++calls === 1) throw new Error("no token yet")
      return {}
    },
  })
  const seen: string[] = []
  outbox.on("failed", ({ code, message }) => seen.push(`${code}: ${message}`))
  record(box.stream(outbox), "1")
  await box.run(outbox.flush())
  expect(seen).toEqual(["headers_fault: no token yet"])
  expect(box.effects).toEqual(["1"])
})

test("streams are independent: one that fails holds up none of the others, however many fail", async () => {
  await using box = await openBox(half)
  const outbox = box.open()
  box.always(async (deliver, { url }) => (url.includes("dead") ? fail("refused")(deliver, never) : deliver()))
  for (let n = 0; n < 12; n++) record(box.stream(outbox, `dead ${n}`, box.freshRef("dead.example")), "x")
  await box.turn(30_000, 500)
  record(box.stream(outbox), "1")
  await box.turn(1_000)
  expect(box.effects).toEqual(["1"])
})

test("a thousand streams do not make a thousand requests at a time", async () => {
  await using box = await openBox()
  const outbox = box.open()
  let now = 0
  let most = 0
  box.always(async (deliver) => {
    most = Math.max(most, ++now)
    await new Promise((resolve) => setImmediate(resolve))
    now -= 1
    return deliver()
  })
  for (let n = 0; n < 50; n++) {
    const ref = box.freshRef()
    await box.createShare(ref)
    record(box.stream(outbox, `s${n}`, ref), `${n}`)
  }
  await box.run(outbox.flush())
  expect(box.effects).toHaveLength(50)
  expect(most).toBe(8)
})

test("a service that does not answer holds up no stream of another service, however many wait for it", async () => {
  await using box = await openBox(half)
  const outbox = box.open()
  const silent = hold()
  box.always((deliver, request) => (request.url.includes("silent") ? silent.fate(deliver, request) : deliver()))
  for (let n = 0; n < 20; n++) record(box.stream(outbox, `silent ${n}`, box.freshRef("silent.example")), "x")
  await box.turn(200)
  expect(box.sent).toHaveLength(8)
  record(box.stream(outbox), "1")
  await box.turn(100)
  expect(box.effects).toEqual(["1"])
})

const never = undefined as never
