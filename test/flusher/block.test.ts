/** Blocks of a stream: how each comes about, what it costs, and how it ends. Real service, turned clock. */
import { describe, expect, test } from "bun:test"
import { copyFileSync } from "node:fs"
import { blockTable, hintOf } from "../../src/flusher/block.ts"
import * as limit from "../../src/intent/limit.ts"
import type { Outbox } from "../../src/outbox.ts"
import type { Stream } from "../../src/stream.ts"
import { ScopedDatabase } from "../scoped-database.ts"
import { errorOf } from "../sturdy-error.ts"
import { by, type Box, fail, fixedRandom, heardBlocks, openBox, record, status } from "./box.ts"
import { Fake } from "./fake.ts"

const hour = 3_600_000
/** Probes come at their earliest. */
const early = { random: fixedRandom(0) }

interface Blocked {
  box: Box
  outbox: Outbox
  stream: Stream
  /** Something happens to what was recorded. */
  spoil?(): void
  /** What stood in the way is gone. */
  mend(): void | Promise<void>
}

/** Each blocks one op for a cause of its own. */
const causes: Record<string, (box: Box) => Promise<Omit<Blocked, "box">>> = {
  async revoked(box) {
    const secret = box.attenuate({ scopes: ["append"] })
    box.admin().revokeCapability({})
    const outbox = box.open()
    const stream = outbox.stream("s", { ...box.ref, secret })
    return { outbox, stream, mend: () => void stream.unblock({ secret: box.ref.secret }) }
  },
  async expired(box) {
    const secret = box.attenuate({ scopes: ["append"], expires_at: box.clock.now() + 1_000 })
    box.clock.turn(2_000)
    const outbox = box.open()
    const stream = outbox.stream("s", { ...box.ref, secret })
    return { outbox, stream, mend: () => void stream.unblock({ secret: box.ref.secret }) }
  },
  async scope_denied(box) {
    const secret = box.attenuate({ scopes: ["read"] })
    const outbox = box.open()
    const stream = outbox.stream("s", { ...box.ref, secret })
    return { outbox, stream, mend: () => void stream.unblock({ secret: box.ref.secret }) }
  },
  async share_unknown(box) {
    const outbox = box.open()
    const ref = box.freshRef()
    const stream = outbox.stream("s", ref)
    return { outbox, stream, mend: () => box.createShare(ref) }
  },
  async share_removed(box) {
    box.admin().removeShare()
    const outbox = box.open()
    return { outbox, stream: box.stream(outbox), mend: () => {} }
  },
  async other_server(box) {
    const outbox = box.open()
    const stream = box.stream(outbox)
    record(stream, "before")
    await box.run(outbox.flush())
    copyFileSync(box.dir.file("service.db"), box.dir.file("first.db"))
    box.replaceService(box.dir.file("other.db"))
    await box.createShare(box.ref)
    return { outbox, stream, mend: () => box.replaceService(box.dir.file("service.db")) }
  },
  async unsupported(box) {
    const outbox = box.open()
    box.always(status(404))
    return { outbox, stream: box.stream(outbox), mend: () => box.always(undefined) }
  },
  async too_large(box) {
    const outbox = box.open()
    box.always(status(413))
    return { outbox, stream: box.stream(outbox), mend: () => box.always(undefined) }
  },
  async service_fault(box) {
    const outbox = box.open()
    box.always(by(new Fake({ refuse: [7], service_id: box.service.service_id })))
    return { outbox, stream: box.stream(outbox), mend: () => box.always(undefined) }
  },
  async damaged(box) {
    const outbox = box.open()
    const stream = box.stream(outbox)
    const exec = (sql: string) => {
      using db = new ScopedDatabase(box.dir.file())
      db.run(sql)
    }
    // A bit of its arguments flips before it is sent.
    const spoil = () => exec(`update sturdy_op set args = replace(args, '"1"', '"q"')`)
    const mend = () => exec(`update sturdy_op set args = replace(args, '"q"', '"1"')`)
    return { outbox, stream, spoil, mend }
  },
  async server_reset(box) {
    const outbox = box.open()
    const stream = box.stream(outbox)
    const refusal = { refused: "server_reset", message: "lost", cursor: 0, head_op_id: null }
    box.always(by(new Fake({ refuse: [refusal], service_id: box.service.service_id })))
    return { outbox, stream, mend: () => box.always(undefined) }
  },
}

async function blockedBy(reason: string): Promise<Blocked & AsyncDisposable> {
  const box = await openBox(early)
  const made = await causes[reason]!(box)
  made.outbox.pause()
  record(made.stream, "1")
  made.spoil?.()
  made.outbox.resume()
  const report = await box.run(made.outbox.flush())
  expect(report).toMatchObject({ settled: false, blocked: [{ stream: "s", reason }] })
  return { box, ...made, [Symbol.asyncDispose]: () => box[Symbol.asyncDispose]() }
}

const ofStreams = Object.keys(causes)
const reasonsWith = (...probes: string[]) =>
  ofStreams.filter((reason) => probes.includes(blockTable[reason as keyof typeof blockTable].probe))

test("every reason but those of the disk has a cause here", () => {
  const others = Object.entries(blockTable).filter(([, { probe }]) => probe === "disk")
  expect([...ofStreams, ...others.map(([reason]) => reason)].toSorted()).toEqual(Object.keys(blockTable).toSorted())
})

describe.each(ofStreams)("%s", (reason) => {
  test("says why, since when and what to do, to the host and on disk, without a secret", async () => {
    await using it = await blockedBy(reason)
    const { block } = it.stream.status()
    expect(block).toMatchObject({ reason, hint: hintOf(reason), since: expect.any(Number) })
    expect(block!.message).not.toBe("")
    expect(JSON.stringify(block)).not.toContain(it.box.ref.secret)
    expect(it.box.row()).toMatchObject({ block: reason, time_blocked: block!.since })
  })

  test("drops nothing, takes new ops, and stops no other stream", async () => {
    await using it = await blockedBy(reason)
    await it.mend()
    // Whatever the cause: the block is what stops it, until it is looked at again.
    const other = it.box.freshRef()
    await it.box.createShare(other)
    const free = it.outbox.stream("free", other)
    record(free, "free")
    if (it.stream.status().block) record(it.stream, "2")
    await it.box.turn(1_000)
    expect(it.box.effects).toContain("free")
    expect(it.stream.status().pending).toBe(it.stream.status().block ? 2 : 0)
  })

  test("outlives the process", async () => {
    await using it = await blockedBy(reason)
    const seen = it.box.sent.length
    await it.box.close(it.outbox)
    const again = it.box.open()
    expect(await it.box.run(again.flush())).toMatchObject({ blocked: [{ reason }] })
    await it.box.turn(10_000, 1_000)
    expect(it.box.sent).toHaveLength(seen)
  })

  test("ends by unblock() without a restart, and what was pending is sent", async () => {
    await using it = await blockedBy(reason)
    const seen = heardBlocks(it.outbox)
    await it.mend()
    // A cause that is mended by unblock itself has been.
    if (it.stream.status().block) expect(it.stream.unblock()).toBeTrue()
    expect(it.stream.unblock()).toBeFalse()
    expect(seen).toEqual([`unblocked ${reason}`])
    const report = await it.box.run(it.outbox.flush())
    if (reason === "share_removed") return expect(report).toMatchObject({ blocked: [{ reason }] })
    expect(report).toEqual({ settled: true, blocked: [] })
    expect(it.box.effects).toContain("1")
  })
})

// A damaged op is looked at again too, but nothing is sent for that.
describe.each(reasonsWith("redeem", "batch").filter((reason) => reason !== "damaged"))(
  "%s ends by itself:",
  (reason) => {
    test("one probe after a minute, twice as long after each, never more than one an hour", async () => {
      await using it = await blockedBy(reason)
      const before = it.box.sent.length
      const { since } = it.stream.status().block!
      const began = it.box.clock.monotonic()
      await it.box.turn(5 * hour, 10_000)
      const at = it.box.sent.slice(before).map((post) => Math.round((post.at - began) / 60_000))
      expect(at.slice(0, 8)).toEqual([1, 3, 7, 15, 31, 63, 123, 183])
      // Since when is when it began, not when it was last found.
      expect(it.stream.status()).toMatchObject({ block: { reason, since }, pending: 1 })
    })

    test("a probe that meets an outage leaves the block, and says what it met", async () => {
      await using it = await blockedBy(reason)
      const failed: string[] = []
      it.outbox.on("failed", ({ code, outcome }) => failed.push(`${code} ${outcome}`))
      const seen = heardBlocks(it.outbox)
      it.box.fates.push(fail("refused"))
      await it.box.turn(61_000, 1_000)
      expect([failed, seen]).toEqual([["refused not_sent"], []])
      expect(it.box.row()).toMatchObject({ block: reason, attempts: 1, last_error: "refused" })
    })

    test("the next process goes on probing where the last one was", async () => {
      await using it = await blockedBy(reason)
      await it.box.turn(30_000, 1_000)
      await it.box.close(it.outbox)
      const before = it.box.sent.length
      it.box.open()
      await it.box.turn(29_000, 1_000)
      expect(it.box.sent).toHaveLength(before)
      await it.box.turn(3_000, 1_000)
      expect(it.box.sent).toHaveLength(before + 1)
    })
  },
)

// The cause of scope_denied here is mended by unblock alone; its own probe has a test below.
const mendable = reasonsWith("redeem", "batch").filter((reason) => reason !== "scope_denied")

describe.each(mendable)("%s", (reason) => {
  test("the first probe after it was mended lifts it, and everything pending goes", async () => {
    await using it = await blockedBy(reason)
    const seen = heardBlocks(it.outbox)
    await it.mend()
    record(it.stream, "2 3")
    await it.box.turn(59_000, 1_000)
    expect(it.stream.status().block).toBeDefined()
    await it.box.turn(3_000)
    expect(seen).toEqual([`unblocked ${reason}`])
    expect(it.box.effects.slice(-3)).toEqual(["1", "2", "3"])
  })
})

describe.each(reasonsWith("redeem"))("%s", (reason) => {
  test("a probe carries no batch: nothing is published before it is known to whom", async () => {
    await using it = await blockedBy(reason)
    const before = it.box.sent.length
    await it.box.turn(61_000, 1_000)
    expect(it.box.sent.slice(before).map(({ calls }) => calls)).toEqual([["redeemShare"]])
  })
})

describe.each(reasonsWith("nothing"))("%s is final:", (reason) => {
  test("the service is not asked again", async () => {
    await using it = await blockedBy(reason)
    const before = it.box.sent.length
    await it.box.turn(5 * hour, 60_000)
    expect(it.box.sent).toHaveLength(before)
    expect(it.stream.status().block).toMatchObject({ reason, next_probe_at: undefined })
  })
})

test("a damaged op: nothing is sent as long as it is, other waiters are left alone", async () => {
  await using it = await blockedBy("damaged")
  const before = it.box.sent.length
  const other = it.box.freshRef()
  await it.box.createShare(other)
  const free = it.outbox.stream("free", other).record({ method: "put", args: ["free"], wantResult: true })
  expect(await it.box.run(it.outbox.result(free))).toMatchObject({ name: "free" })
  await it.box.turn(hour, 10_000)
  expect(it.box.sent).toHaveLength(before + 1)
  expect(it.stream.status().block!.message).toContain("checksum")
})

test("probes of many clients spread: by up to half of their delay", async () => {
  await using box = await openBox({ random: fixedRandom(0.999) })
  const outbox = box.open()
  box.always(status(404))
  record(box.stream(outbox), "1")
  await box.turn(1_000)
  expect(box.sent).toHaveLength(1)
  await box.turn(88_000, 1_000)
  expect(box.sent).toHaveLength(1)
  await box.turn(3_000, 1_000)
  expect(box.sent).toHaveLength(2)
})

test("a probe is not postponed for ever by a wall clock that was ahead when its time was written", async () => {
  await using box = await openBox(early)
  const outbox = box.open()
  box.clock.jump(365 * 24 * hour)
  box.fates.push(status(404))
  record(box.stream(outbox), "1")
  await box.turn(1_000)
  box.clock.jump(-365 * 24 * hour)
  await box.turn(2 * limit.probe_delay_ms_min, 1_000)
  expect(box.effects).toEqual(["1"])
})

test("a probe honours a Retry-After that is longer than its own delay", async () => {
  await using box = await openBox(early)
  const outbox = box.open()
  box.fates.push(status(404), status(503, "1800"))
  record(box.stream(outbox), "1")
  await box.turn(62_000, 1_000)
  expect(box.sent).toHaveLength(2)
  await box.turn(1_790_000, 10_000)
  expect(box.sent).toHaveLength(2)
  await box.turn(20_000, 1_000)
  expect(box.effects).toEqual(["1"])
})

test("of two processes one probes", async () => {
  await using box = await openBox(early)
  const first = box.open()
  box.always(status(404))
  record(box.stream(first), "1")
  await box.turn(1_000)
  box.openBeside()
  const before = box.sent.length
  await box.turn(70_000, 500)
  expect(box.sent).toHaveLength(before + 1)
})

test("a paused outbox does not probe", async () => {
  await using box = await openBox(early)
  const outbox = box.open()
  box.always(status(404))
  record(box.stream(outbox), "1")
  await box.turn(1_000)
  outbox.pause()
  await box.turn(hour, 10_000)
  expect(box.sent).toHaveLength(1)
  outbox.resume()
  await box.turn(1_000)
  expect(box.sent).toHaveLength(2)
})

test("a probe that finds another reason blocks for that one from now on", async () => {
  await using box = await openBox(early)
  const outbox = box.open()
  const seen = heardBlocks(outbox)
  box.fates.push(status(404), status(403))
  record(box.stream(outbox), "1")
  await box.turn(62_000, 1_000)
  expect(seen).toEqual(["blocked unsupported", "blocked scope_denied"])
  expect(box.row()).toMatchObject({ block: "scope_denied", attempts: 0 })
})

test("a share created later under the ref that was handed out lifts share_unknown", async () => {
  await using it = await blockedBy("share_unknown")
  await it.mend()
  await it.box.turn(61_000, 1_000)
  expect(it.box.effects).toEqual(["1"])
})

test("scope_denied ends when the same capability gets a key that the gateway takes", async () => {
  await using box = await openBox(early)
  let key = "wrong"
  const outbox = box.open({ headers: () => ({ "x-key": key }) })
  box.always(async (deliver, { headers }) =>
    headers["x-key"] === "right" ? deliver() : { status: 401, retry_after: null, content_type: null, body: "" },
  )
  record(box.stream(outbox), "1")
  await box.turn(1_000)
  key = "right"
  await box.turn(61_000, 1_000)
  expect(box.effects).toEqual(["1"])
})

test("another server that is meant is accepted by a person, and gets what is kept here, in order", async () => {
  await using box = await openBox({ ...early, creates: true })
  const outbox = box.open()
  const stream = box.stream(outbox)
  record(stream, "1 2")
  await box.run(outbox.flush())
  box.replaceService(box.dir.file("empty.db"))
  record(stream, "3")
  // An empty service knows no such share: it is created there before its identity is seen, and nothing else is.
  expect(await box.run(outbox.flush())).toMatchObject({ blocked: [{ reason: "other_server" }] })
  expect(box.effects).toEqual([])
  expect(stream.unblock({ acceptServer: true })).toBeTrue()
  expect(await box.run(outbox.flush())).toEqual({ settled: true, blocked: [] })
  expect(box.effects).toEqual(["1", "2", "3"])
})

test("a service that moved is followed by a person, and its identity is still checked", async () => {
  await using box = await openBox(early)
  const outbox = box.open()
  const stream = box.stream(outbox)
  record(stream, "1")
  await box.run(outbox.flush())
  expect(stream.unblock({ service: "http://moved.example/rpc/share" })).toBeFalse()
  record(stream, "2")
  await box.run(outbox.flush())
  expect([box.sent.at(-1)!.host, box.effects]).toEqual(["moved.example", ["1", "2"]])
  box.replaceService(box.dir.file("other.db"))
  await box.createShare(box.ref)
  record(stream, "3")
  expect(await box.run(outbox.flush())).toMatchObject({ blocked: [{ reason: "other_server" }] })
})

describe("unblock", () => {
  test.each([
    ["a secret that is none", { secret: "short" }],
    ["a secret that is no text", { secret: 7 as unknown as string }],
    ["a service that is no URL", { service: "example" }],
    ["a service with a password", { service: "http://u:p4ss@example.com/rpc" }],
    ["acceptServer that is no boolean", { acceptServer: "yes" as unknown as boolean }],
  ])("refuses %s, without repeating it, and changes nothing", async (_, change) => {
    await using it = await blockedBy("share_unknown")
    const error = errorOf(() => it.stream.unblock(change))
    expect(error.code).toBe("invalid_argument")
    expect(error.message).not.toMatch(/short|p4ss/)
    expect(it.box.row().block).toBe("share_unknown")
  })

  test("of a closed stream is refused", async () => {
    await using box = await openBox()
    const outbox = box.open()
    const stream = box.stream(outbox)
    stream.remove()
    await box.run(outbox.flush())
    expect(errorOf(() => stream.unblock()).code).toBe("stream_closed")
  })

  test("of a closed outbox is refused", async () => {
    await using box = await openBox()
    const outbox = box.open()
    const stream = box.stream(outbox)
    await box.close(outbox)
    expect(errorOf(() => stream.unblock()).code).toBe("closed")
  })

  test("while a POST with the old secret is out: its refusal does not block the stream that has a new one", async () => {
    await using box = await openBox()
    const secret = box.attenuate({ scopes: ["append"] })
    box.admin().revokeCapability({})
    const outbox = box.open()
    const stream = outbox.stream("s", { ...box.ref, secret })
    const arrived = Promise.withResolvers<void>()
    box.fates.push(async (deliver) => {
      const answer = await deliver()
      stream.unblock({ secret: box.ref.secret })
      arrived.resolve()
      return answer
    })
    record(stream, "1")
    await box.run(arrived.promise)
    expect(await box.run(outbox.flush())).toEqual({ settled: true, blocked: [] })
    expect(box.effects).toEqual(["1"])
  })

  test("after server_reset goes on without what the service lost, and is never asked for it again", async () => {
    await using it = await blockedBy("server_reset")
    await it.mend()
    it.stream.unblock()
    expect(it.box.row()).toMatchObject({ settled_op_id: null, pruned_op_id: null, block: null })
    record(it.stream, "2")
    expect(await it.box.run(it.outbox.flush())).toEqual({ settled: true, blocked: [] })
    expect(it.box.effects).toEqual(["1", "2"])
  })
})
