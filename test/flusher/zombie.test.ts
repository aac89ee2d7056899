/** A holder that wakes when another process has done its work: stopped for real, or suspended with its clocks. */
import { describe, expect, test } from "bun:test"
import * as limit from "../../src/intent/limit.ts"
import type { Clock, Timer } from "../../src/intent/seam.ts"
import { startChild, stateOf } from "../torture/child.ts"
import { ScopedDatabase } from "../scoped-database.ts"
import { fail, fixedRandom, hold, openBox, record, type Box } from "./box.ts"
import type { ZombieSaid } from "./zombie-fixture.ts"

const year_ms = 365 * 86_400_000

function lease(box: Box) {
  using db = new ScopedDatabase(box.dir.file(), { readonly: true })
  return db.query("select term, owner, time_expires from sturdy_lease").get() as {
    term: number
    owner: string
    time_expires: number
  }
}

/** All that a zombie could have changed. */
function everything(box: Box) {
  using db = new ScopedDatabase(box.dir.file(), { readonly: true })
  return ["sturdy_stream", "sturdy_batch", "sturdy_op", "sturdy_lease"].map((table) =>
    db.query(`select * from ${table}`).all(),
  )
}

/** The box's time as one process sees it: its wall clock may be wrong, and it may be suspended, so that no timer fires. */
function ownClock(box: Box) {
  const waiting: (() => void)[] = []
  const state = { off_ms: 0, suspended: false }
  const clock: Clock = {
    now: () => box.clock.now() + state.off_ms,
    monotonic: () => box.clock.monotonic(),
    timer(delay_ms, callback): Timer {
      let cancelled = false
      const due = () => cancelled || callback()
      const timer = box.clock.timer(delay_ms, () => (state.suspended ? waiting.push(due) : due()))
      return {
        cancel: () => {
          cancelled = true
          timer.cancel()
        },
      }
    },
    soon: (callback) => box.clock.soon(callback),
    block: (delay_ms) => box.clock.block(delay_ms),
  }
  return {
    seams: { ...box.seams, clock },
    jump: (ms: number) => (state.off_ms += ms),
    suspend: () => (state.suspended = true),
    resume() {
      state.suspended = false
      for (const due of waiting.splice(0)) due()
    },
  }
}

describe.if(process.platform === "linux")("a process stopped by SIGSTOP while its POST is out", () => {
  test.each(["before the service has it", "after the service decided it"])(
    "%s, and overtaken: continued, it freezes and settles nothing",
    async (when) => {
      await using box = await openBox()
      const [arrived, overtaken] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()]
      await using server = Bun.serve({
        port: 0,
        async fetch(request) {
          const body = await request.text()
          const answer = async () => box.service.fetch(new Request(box.ref.service, { method: "POST", body }))
          const early = when.startsWith("after") ? await answer() : undefined
          arrived.resolve()
          await overtaken.promise
          return early ?? answer()
        },
      })
      const ref = { ...box.ref, service: `${server.url.origin}/rpc/share` }
      await using zombie = startChild<ZombieSaid>(`${import.meta.dir}/zombie-fixture.ts`, { file: box.dir.file(), ref })
      await arrived.promise
      zombie.signal("SIGSTOP")
      while (stateOf(zombie.pid) !== "T") await new Promise((resolve) => setImmediate(resolve))
      expect(lease(box).term).toBe(1)

      const other = box.open()
      record(other.stream("s"), "2")
      await box.turn(limit.lease_ms - 200)
      expect(box.sent).toEqual([])
      expect(await box.run(other.flush())).toEqual({ settled: true, blocked: [] })
      await box.turn(1_000)
      expect(box.effects).toEqual(["1", "2"])
      const settled = everything(box)
      expect(lease(box)).toMatchObject({ term: 2, time_expires: 0 })

      overtaken.resolve()
      zombie.signal("SIGCONT")
      await zombie.heard((line): line is ZombieSaid => "lease" in line && !line.lease.held)
      zombie.finish()
      expect(await zombie.exited).toBe(0)
      expect(zombie.said).toEqual([
        { lease: { held: true, term: 1 } },
        { attempt: "sent" },
        { lease: { held: false, term: 1 } },
      ])
      expect(everything(box)).toEqual(settled)
      expect(box.effects).toEqual(["1", "2"])
    },
  )
})

describe("a laptop suspended for an hour while a POST is out", () => {
  test("its lease not taken by anybody: the holder goes on where it was", async () => {
    await using box = await openBox()
    const holder = ownClock(box)
    const held = hold()
    box.fates.push(held.fate)
    const outbox = box.open({ seams: holder.seams })
    record(box.stream(outbox), "1")
    await box.turn(100)
    holder.suspend()
    await box.turn(3_600_000, 600_000)
    holder.resume()
    record(box.stream(outbox), "2")
    held.release()
    expect(await box.run(outbox.flush())).toEqual({ settled: true, blocked: [] })
    expect([box.effects, lease(box).term]).toEqual([["1", "2"], 1])
  })

  test("its lease taken meanwhile: the holder freezes and settles nothing, and has its turn later", async () => {
    await using box = await openBox()
    const holder = ownClock(box)
    const held = hold()
    box.fates.push(held.fate)
    const outbox = box.open({ seams: holder.seams })
    record(box.stream(outbox), "1")
    await box.turn(100)
    holder.suspend()
    const other = box.openBeside()
    record(box.stream(other), "2")
    expect(await box.run(other.flush())).toEqual({ settled: true, blocked: [] })
    await box.turn(1_000)
    const settled = everything(box)
    const lost: number[] = []
    outbox.on("lease", ({ held, term }) => held || lost.push(term))
    // The answer is there before the first timer: it is settling, not the renewal, that finds out.
    held.release()
    await box.calm()
    expect(lost).toEqual([1])
    holder.resume()
    await box.turn(limit.poll_ms * 3)
    expect([lost, everything(box)]).toEqual([[1], settled])
    record(box.stream(outbox), "3")
    expect(await box.run(outbox.flush())).toEqual({ settled: true, blocked: [] })
    expect([box.effects, lease(box).term]).toEqual([["1", "2", "3"], 3])
  })
})

describe("a wall clock that jumps by a year", () => {
  /** A holds the lease through an outage, B has an op to send. */
  async function holderAndWaiter() {
    const box = await openBox({ random: fixedRandom(0.5) })
    const [a, b] = [ownClock(box), ownClock(box)]
    const holder = box.open({ seams: a.seams })
    const up = { is: false }
    box.always(async (deliver, request) => (up.is ? deliver() : fail("refused")(deliver, request)))
    record(box.stream(holder), "1")
    await box.turn(1_000)
    const waiter = box.openBeside({ seams: b.seams })
    record(box.stream(waiter), "2")
    await box.turn(1_000)
    return { box, a, b, holder, waiter, up, [Symbol.asyncDispose]: () => box[Symbol.asyncDispose]() }
  }

  test.each([
    ["the holder's, forwards", "a", year_ms],
    ["the holder's, backwards", "a", -year_ms],
    ["the waiter's, forwards", "b", year_ms],
    ["the waiter's, backwards", "b", -year_ms],
  ] as const)("%s: all is sent once and in order", async (_, whose, ms) => {
    await using it = await holderAndWaiter()
    it[whose].jump(ms)
    await it.box.turn(3 * limit.lease_ms, 500)
    it.up.is = true
    const both = Promise.all([it.holder.flush(), it.waiter.flush()])
    expect(await it.box.run(both, 300_000)).toEqual([
      { settled: true, blocked: [] },
      { settled: true, blocked: [] },
    ])
    expect(it.box.effects).toEqual(["1", "2"])
  })

  test.each([
    ["the holder's, forwards", "a", year_ms],
    ["the waiter's, backwards", "b", -year_ms],
  ] as const)("%s: a holder that renews keeps its lease", async (_, whose, ms) => {
    await using it = await holderAndWaiter()
    it[whose].jump(ms)
    await it.box.turn(5 * limit.lease_ms, 500)
    expect(lease(it.box).term).toBe(1)
  })

  test.each([
    ["the holder's, forwards", "a", year_ms],
    ["the waiter's, backwards", "b", -year_ms],
  ] as const)(
    "%s, and then the holder stops: it is replaced after the lease's length, not after a year",
    async (_, whose, ms) => {
      await using it = await holderAndWaiter()
      it[whose].jump(ms)
      await it.box.turn(limit.lease_ms, 500)
      it.a.suspend()
      it.up.is = true
      await it.box.turn(limit.lease_ms + 2 * limit.poll_ms, 100)
      expect(lease(it.box).term).toBe(2)
      // The backoff of the stream is another matter: its due time was written by a clock a year away, and is capped.
      expect(await it.box.run(it.waiter.flush(), 2 * limit.retry_delay_ms_max)).toEqual({ settled: true, blocked: [] })
      expect(it.box.effects).toEqual(["1", "2"])
    },
  )
})
