import { describe, expect, test } from "bun:test"
import * as limit from "../../src/intent/limit.ts"
import { Lease } from "../../src/store/lease.ts"
import { processIdentity, type ProcessIdentity } from "../../src/store/process-identity.ts"
import { tempDir } from "../temp-dir.ts"
import { openStore, settlementOf } from "./box.ts"

const elsewhere: ProcessIdentity = { host: "other", boot_id: "b", pid: 1, pid_started: "1", isDead: () => false }

async function twoHolders() {
  const dir = tempDir()
  const store = openStore(dir.file())
  return {
    store,
    clock: store.clock,
    a: new Lease(store.connection, "a", elsewhere, limit.lease_ms),
    b: new Lease(store.connection, "b", elsewhere, limit.lease_ms),
    async [Symbol.asyncDispose]() {
      store.close()
      await dir[Symbol.asyncDispose]()
    },
  }
}

describe("the lease", () => {
  test("is held by one, and the term grows by 1 per acquisition", async () => {
    await using box = await twoHolders()
    expect(box.a.acquire()).toEqual({ held: true, term: 1 })
    expect(box.b.acquire()).toMatchObject({ held: false, by: { owner: "a", term: 1 } })
    box.a.release(1)
    expect(box.b.acquire()).toEqual({ held: true, term: 2 })
  })

  test("is free when its time has passed, and the late holder is fenced", async () => {
    await using box = await twoHolders()
    box.a.acquire()
    box.clock.turn(limit.lease_ms)
    expect(box.b.acquire()).toEqual({ held: true, term: 2 })
    expect([box.a.isHeld(1), box.a.renew(1)]).toEqual([false, false])
  })

  test("stays with its holder as long as it is renewed", async () => {
    await using box = await twoHolders()
    box.a.acquire()
    for (let i = 0; i < 10; i++) {
      box.clock.turn(limit.lease_ms / 3)
      expect([box.a.renew(1), box.b.acquire().held]).toEqual([true, false])
    }
  })

  test("is taken over after being watched unchanged for its length, though the wall clock went back", async () => {
    await using box = await twoHolders()
    box.a.acquire()
    box.clock.jump(-86_400_000)
    expect(box.b.acquire().held).toBe(false)
    box.clock.turn(limit.lease_ms - 1)
    expect(box.b.acquire().held).toBe(false)
    box.clock.turn(1)
    expect(box.b.acquire()).toEqual({ held: true, term: 2 })
  })

  test("released late frees no newer lease", async () => {
    await using box = await twoHolders()
    box.a.acquire()
    box.clock.turn(limit.lease_ms)
    box.b.acquire()
    box.a.release(1)
    expect(box.b.isHeld(2)).toBe(true)
  })

  test("is its owner's to take again at once, with a new term, if giving it back failed", async () => {
    await using box = await twoHolders()
    box.a.acquire()
    expect(box.a.acquire()).toEqual({ held: true, term: 2 })
    expect([box.a.isHeld(1), box.a.isHeld(2), box.b.acquire().held]).toEqual([false, true, false])
  })

  test("is not taken from a holder that renews more rarely than the waiter would", async () => {
    await using box = await twoHolders()
    const hasty = new Lease(box.store.connection, "c", elsewhere, 200)
    box.a.acquire()
    for (let i = 0; i < 30; i++) {
      box.clock.turn(limit.lease_ms / 30)
      if (i % 10 === 9) box.a.renew(1)
      expect(hasty.acquire().held).toBe(false)
    }
  })

  test("of a process that died on this host is free at once", async () => {
    await using dir = tempDir()
    using store = openStore(dir.file())
    const fixture = `${import.meta.dir}/lease-fixture.ts`
    const child = Bun.spawn([process.execPath, fixture, dir.file()], { stdout: "pipe" })
    expect(await new Response(child.stdout).text()).toBe("held 1\n")
    child.kill("SIGKILL")
    await child.exited
    expect(store.lease.acquire()).toEqual({ held: true, term: 2 })
  })
})

describe("a holder that slept for an hour between two of its steps", () => {
  const window = { batches_max: 8, bytes_max: limit.post_bytes_max }

  test("freezes, settles and renews as if nothing had been, if nobody took the lease", async () => {
    await using dir = tempDir()
    using store = openStore(dir.file())
    store.record({}, {})
    const term = store.term()
    const batches = store.freezer.freeze(term, store.stream_id, () => window)!.batches
    store.clock.turn(3_600_000)
    expect(store.settler.settle(term, store.stream_id, settlementOf(batches))).toBeDefined()
    store.record({})
    store.clock.turn(3_600_000)
    expect(store.freezer.freeze(term, store.stream_id, () => window)?.batches).toHaveLength(1)
    expect([store.lease.renew(term), store.lease.read()!.term, store.pending()]).toEqual([true, term, 1])
  })

  test("changes nothing with any of them, if somebody did", async () => {
    await using dir = tempDir()
    using store = openStore(dir.file())
    store.record({}, {})
    const term = store.term()
    const batches = store.freezer.freeze(term, store.stream_id, () => window)!.batches
    store.record({})
    store.clock.turn(3_600_000)
    const other = new Lease(store.connection, "somebody else", elsewhere, limit.lease_ms)
    expect(other.acquire()).toEqual({ held: true, term: term + 1 })
    const before = [store.stream(), store.count("sturdy_batch"), store.lease.read()]
    expect(store.freezer.freeze(term, store.stream_id, () => window)).toBeUndefined()
    expect(store.settler.settle(term, store.stream_id, settlementOf(batches))).toBeUndefined()
    expect(store.lease.renew(term)).toBe(false)
    store.lease.release(term)
    expect([store.stream(), store.count("sturdy_batch"), store.lease.read()]).toEqual(before)
  })
})

describe.if(process.platform === "linux")("processIdentity", () => {
  const self = processIdentity()

  test("does not take itself or its parent for dead", () => {
    expect(self.isDead(self)).toBe(false)
  })

  test("takes a pid that began at another time for dead: it was given again", () => {
    expect(self.isDead({ ...self, pid_started: "1" })).toBe(true)
  })

  test("is not certain about another host or another boot", () => {
    expect([self.isDead({ ...self, host: "other", pid: 0 }), self.isDead({ ...self, boot_id: "x", pid: 0 })]).toEqual([
      false,
      false,
    ])
  })
})
