/** How long, and how, a lock that another process holds is waited for. */
import { expect, test } from "bun:test"
import * as limit from "../../src/intent/limit.ts"
import { ManualClock } from "../../src/testing/manual-clock.ts"
import { ScopedDatabase } from "../scoped-database.ts"
import { errorOf } from "../sturdy-error.ts"
import { tempDir } from "../temp-dir.ts"
import { openStore, ref } from "./box.ts"

/** Remembers the pauses, and tells of each. */
class PausingClock extends ManualClock {
  readonly pauses: number[] = []
  paused: (count: number) => void = () => {}

  override block(delay_ms: number): void {
    super.block(delay_ms)
    this.pauses.push(delay_ms)
    this.paused(this.pauses.length)
  }

  get sum(): number {
    return this.pauses.reduce((sum, pause) => sum + pause, 0)
  }
}

async function lockedStore() {
  const dir = tempDir()
  const clock = new PausingClock()
  const store = openStore(dir.file(), { clock })
  const other = new ScopedDatabase(dir.file())
  const term = store.term()
  other.run("begin immediate")
  return {
    store,
    clock,
    other,
    term,
    async [Symbol.asyncDispose]() {
      other.close()
      store.close()
      await dir[Symbol.asyncDispose]()
    },
  }
}

test("record looks again at least every millisecond, for 2 s in all, and then says busy and how long it waited", async () => {
  await using it = await lockedStore()
  const error = errorOf(() => it.store.record({}))
  expect(error).toMatchObject({ code: "busy", indeterminate: false })
  // The last pause may reach beyond the limit.
  expect(error.message).toMatch(/^record, after 200[01] ms: /)
  expect(Math.max(...it.clock.pauses)).toBeLessThanOrEqual(limit.lock_pause_ms_max)
  expect(it.clock.sum).toBeGreaterThanOrEqual(limit.record_busy_ms_max)
  expect(it.clock.sum).toBeLessThan(limit.record_busy_ms_max + limit.lock_pause_ms_max)
})

test("two who wait do not look in step: each pause is drawn", async () => {
  await using it = await lockedStore()
  errorOf(() => it.store.record({}))
  expect(new Set(it.clock.pauses).size).toBeGreaterThan(100)
})

test("what a host asks for and nobody repeats, a new stream or a removal, waits as long as record does", async () => {
  await using it = await lockedStore()
  for (const ask of [
    () => it.store.streams.open("another", { ...ref, share_id: "another_share_0" }, undefined),
    () => it.store.streams.recordRemoval(it.store.stream_id),
  ]) {
    const before = it.clock.sum
    expect(errorOf(ask).code).toBe("busy")
    expect(it.clock.sum - before).toBeGreaterThanOrEqual(limit.record_busy_ms_max)
  }
})

test("every other step holds the thread for 100 ms at most", async () => {
  await using it = await lockedStore()
  for (const step of [
    () => it.store.lease.renew(it.term),
    () => it.store.lease.release(it.term),
    () => it.store.freezer.freeze(it.term, it.store.stream_id, () => ({ batches_max: 8, bytes_max: 1_000_000 })),
    () => it.store.settler.settle(it.term, it.store.stream_id, { acked: [], patch: {}, posts: 1 }),
  ]) {
    const before = it.clock.sum
    expect(errorOf(step).code).toBe("busy")
    expect(it.clock.sum - before).toBeLessThan(limit.busy_timeout_ms + limit.lock_pause_ms_max)
  }
})

test("a lock that becomes free is taken at the next look", async () => {
  await using it = await lockedStore()
  it.clock.paused = (count) => {
    if (count === 30) it.other.run("rollback")
  }
  it.store.record({})
  expect([it.clock.pauses.length, it.store.pending()]).toEqual([30, 1])
})

test("who was stopped or suspended while it waited looks once more before it gives up", async () => {
  await using it = await lockedStore()
  it.clock.paused = () => {
    it.clock.turn(3_600_000)
    it.other.run("rollback")
  }
  it.store.record({})
  expect([it.clock.pauses.length, it.store.pending()]).toEqual([1, 1])
})
