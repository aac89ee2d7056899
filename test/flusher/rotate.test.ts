/** Rotation of a share's secret: whatever it is cut off at, one of the two secrets opens the share, and the stream goes on. */
import { describe, expect, test } from "bun:test"
import type { SturdyError } from "../../src/intent/error.ts"
import { ScopedDatabase } from "../scoped-database.ts"
import { type Box, fail, heardBlocks, hold, loseAnswer, openBox, record, status } from "./box.ts"
import { at_once, goesOn, opens, refusal, secrets, sending } from "./rotating.ts"

describe("rotate", () => {
  test("gives the share another secret: the old one and what was derived from it open nothing, ops go on", async () => {
    await using box = await openBox()
    const it = await sending(box)
    const child = box.attenuate({ scopes: ["read"] })
    const posts = box.sent.length
    expect(await box.run(it.stream.rotate())).toEqual({ epoch: 2 })
    expect(box.sent.slice(posts).map(({ calls }) => calls)).toEqual([["redeemShare", "rotateSecret", "redeemShare"]])
    const { secret } = it.stream.ref()
    expect(secret).not.toBe(box.ref.secret)
    expect([opens(box, secret), opens(box, box.ref.secret), opens(box, child)]).toEqual([
      "granted",
      "revoked",
      "revoked",
    ])
    expect(box.row()).toMatchObject({ secret, next_secret: null, epoch: 2 })
    await goesOn(box, it)
  })

  test("draws 256 bits, another each time", async () => {
    await using box = await openBox()
    const { stream } = await sending(box)
    const drawn = [box.ref.secret]
    for (let round = 0; round < 3; round++) {
      await box.run(stream.rotate())
      drawn.push(stream.ref().secret)
    }
    expect(new Set(drawn).size).toBe(4)
    expect(drawn.slice(1).map((secret) => Buffer.from(secret, "base64url").length)).toEqual([32, 32, 32])
  })

  test("the new secret is stored, and survives power loss, before it is sent", async () => {
    await using box = await openBox()
    // In a host's database a sync is a transaction of its own, which can be seen.
    using database = new ScopedDatabase(box.dir.file("host.db"))
    database.run("pragma journal_mode = wal")
    const outbox = box.open({}, { database })
    const stream = box.stream(outbox)
    record(stream, "1")
    await box.run(outbox.flush())
    const steps: string[] = []
    box.seams.crashPoint = (name) => steps.push(name)
    let stored: string | null = null
    box.fates.push(async (deliver, { body }) => {
      stored = box.row("s", box.dir.file("host.db")).next_secret
      expect(body).toContain(stored!)
      return deliver()
    })
    await box.run(stream.rotate())
    expect(steps.slice(0, steps.indexOf("rotate:before-post") + 1)).toEqual([
      "rotate:before-commit",
      "rotate:after-commit",
      "sync:before-commit",
      "sync:after-commit",
      "rotate:before-post",
    ])
    expect(stored!).toBe(stream.ref().secret)
    await box.close(outbox)
  })

  test("works while the outbox is paused, and sends nothing else", async () => {
    await using box = await openBox()
    const { outbox, stream } = await sending(box)
    outbox.pause()
    record(stream, "2")
    expect(await box.run(stream.rotate())).toEqual({ epoch: 2 })
    await box.turn(5_000)
    expect(box.effects).toEqual(["1"])
  })

  test("who passes the old ref from then on is told", async () => {
    await using box = await openBox()
    const { outbox, stream } = await sending(box)
    await box.run(stream.rotate())
    expect(() => outbox.stream("s", box.ref)).toThrow("another secret")
    expect(outbox.stream("s").ref()).toEqual(stream.ref())
  })
})

describe("a rotation whose answer is lost", () => {
  async function lost(box: Box) {
    const it = await sending(box)
    box.fates.push(loseAnswer)
    const error = await refusal(box.run(it.stream.rotate()))
    expect(error).toMatchObject({ code: "rotation_unfinished", retriable: true, indeterminate: true })
    const { secret, next_secret } = secrets(box)
    expect([secret, opens(box, secret), opens(box, next_secret!)]).toEqual([box.ref.secret, "revoked", "granted"])
    return { ...it, next_secret: next_secret! }
  }

  test("is gone on with by the stream: the next op is sent with the new secret, and no block is told", async () => {
    await using box = await openBox(at_once)
    const it = await lost(box)
    await goesOn(box, it)
    expect(secrets(box)).toEqual({ secret: it.next_secret, next_secret: null })
  })

  test("is ended by repeating it: no second rotation", async () => {
    await using box = await openBox()
    const it = await lost(box)
    expect(await box.run(it.stream.rotate())).toEqual({ epoch: 2 })
    expect(secrets(box)).toEqual({ secret: it.next_secret, next_secret: null })
    await goesOn(box, it)
  })

  test("is gone on with by the next process", async () => {
    await using box = await openBox(at_once)
    const { outbox, next_secret } = await lost(box)
    await box.close(outbox)
    const next = box.open()
    const stream = next.stream("s")
    await goesOn(box, { outbox: next, stream, blocks: heardBlocks(next) })
    expect(secrets(box)).toEqual({ secret: next_secret, next_secret: null })
  })

  test("stops no removal", async () => {
    await using box = await openBox(at_once)
    const { outbox, stream, next_secret, blocks } = await lost(box)
    stream.remove()
    expect(await box.run(outbox.flush())).toEqual({ settled: true, blocked: [] })
    expect([opens(box, next_secret), blocks]).toEqual(["share_removed", []])
  })

  test("and a network that fails again: tried with backoff, until one of the two opens the share", async () => {
    await using box = await openBox()
    const it = await lost(box)
    box.fates.push(fail("refused"), (deliver) => deliver(), fail("refused"), fail("deadline"), loseAnswer)
    await goesOn(box, it)
    expect(secrets(box)).toEqual({ secret: it.next_secret, next_secret: null })
  })

  test("of a stream that an older Sturdy has blocked: repeating it lifts the block", async () => {
    await using box = await openBox()
    const { outbox, stream, blocks } = await lost(box)
    outbox.pause()
    using db = new ScopedDatabase(box.dir.file())
    db.run("update sturdy_stream set block = 'revoked', block_message = 'replaced', time_blocked = 1")
    record(stream, "2")
    expect(await box.run(stream.rotate())).toEqual({ epoch: 2 })
    expect([stream.status().block, blocks]).toEqual([undefined, ["unblocked revoked"]])
    outbox.resume()
    await box.run(outbox.flush())
    expect(box.effects).toEqual(["1", "2"])
  })
})

describe("a rotation that never arrives", () => {
  test.each([
    ["refused", fail("refused"), { indeterminate: false }],
    ["HTTP 503", status(503), { indeterminate: true }],
    ["HTTP 404", status(404), { indeterminate: true }],
  ])(
    "(%s) changes nothing: the stream goes on with the old secret, and repeating it sends the same",
    async (_, fate, said) => {
      await using box = await openBox()
      const it = await sending(box)
      box.fates.push(fate)
      expect(await refusal(box.run(it.stream.rotate()))).toMatchObject({ code: "rotation_unfinished", ...said })
      const { secret, next_secret } = secrets(box)
      expect([secret, typeof next_secret]).toEqual([box.ref.secret, "string"])
      await goesOn(box, it)
      expect(await box.run(it.stream.rotate())).toEqual({ epoch: 2 })
      expect(secrets(box)).toEqual({ secret: next_secret!, next_secret: null })
    },
  )

  test("waits for no Retry-After that stands, and sends nothing meanwhile", async () => {
    await using box = await openBox()
    const { stream } = await sending(box)
    box.fates.push(status(503, "1800"))
    record(stream, "2")
    await box.turn(1_000)
    const posts = box.sent.length
    const error = await refusal(box.run(stream.rotate()))
    expect([error.code, error.retriable, error.message]).toEqual([
      "rotation_unfinished",
      true,
      expect.stringMatching(/silence, for 1[78]\d\d s more/),
    ])
    expect([box.sent.length, secrets(box).next_secret]).toEqual([posts, null])
  })
})

describe("while a POST with the old secret is out", () => {
  test("its refusal is no block: the same ops go with the new one", async () => {
    await using box = await openBox()
    const it = await sending(box)
    const held = hold()
    box.fates.push(held.fate)
    record(it.stream, "2")
    await box.turn(100)
    await held.arrived
    expect(await box.run(it.stream.rotate())).toEqual({ epoch: 2 })
    held.release()
    expect(await box.run(it.outbox.flush())).toEqual({ settled: true, blocked: [] })
    expect([box.effects, it.blocks]).toEqual([["1", "2"], []])
  })

  test("and is refused before the rotation has its answer: the new one is tried, and the answer changes nothing", async () => {
    await using box = await openBox(at_once)
    const it = await sending(box)
    const gate = Promise.withResolvers<void>()
    const taken = Promise.withResolvers<void>()
    box.fates.push(async (deliver) => {
      const answer = await deliver()
      taken.resolve()
      await gate.promise
      return answer
    })
    const rotated = it.stream.rotate()
    await box.run(taken.promise)
    await goesOn(box, it)
    const after = secrets(box)
    gate.resolve()
    expect(await box.run(rotated)).toEqual({ epoch: 2 })
    expect([secrets(box), opens(box, after.secret), after.next_secret]).toEqual([after, "granted", null])
  })

  test("of another process on the file: it goes on by itself", async () => {
    await using box = await openBox(at_once)
    const it = await sending(box)
    const other = box.openBeside()
    other.pause()
    const held = hold()
    box.fates.push(held.fate)
    record(it.stream, "2")
    await box.turn(100)
    await held.arrived
    await box.run(other.stream("s").rotate())
    held.release()
    await box.turn(2_000)
    expect([box.effects, it.blocks, it.stream.status().pending]).toEqual([["1", "2"], [], 0])
    await box.close(other)
  })
})

test("a secret that a person gives meanwhile stays, and the new one is kept beside it", async () => {
  await using box = await openBox(at_once)
  const it = await sending(box)
  const held = hold()
  box.fates.push(held.fate)
  const rotated = it.stream.rotate()
  await box.run(held.arrived)
  const given = box.attenuate({ scopes: ["append"] })
  it.stream.unblock({ secret: given })
  held.release()
  expect(await box.run(rotated)).toEqual({ epoch: 2 })
  const { secret, next_secret } = secrets(box)
  expect([secret, opens(box, given), opens(box, next_secret!)]).toEqual([given, "revoked", "granted"])
  await goesOn(box, it)
  expect(secrets(box)).toEqual({ secret: next_secret!, next_secret: null })
})

test("two processes that rotate at once end with one secret, in one epoch", async () => {
  await using box = await openBox()
  const { stream } = await sending(box)
  const other = box.openBeside().stream("s")
  expect(await box.run(Promise.all([stream.rotate(), other.rotate()]))).toEqual([{ epoch: 2 }, { epoch: 2 }])
  expect([stream.ref(), secrets(box).next_secret]).toEqual([other.ref(), null])
  expect(opens(box, stream.ref().secret)).toBe("granted")
})

test("close gives it up on its way; the next process goes on", async () => {
  await using box = await openBox(at_once)
  const { outbox, stream } = await sending(box)
  const held = hold()
  box.fates.push(held.fate)
  const said = refusal(stream.rotate())
  await box.run(held.arrived)
  await box.close(outbox)
  expect([await said, held.state.aborted]).toMatchObject([{ code: "rotation_unfinished" }, true])
  expect((await refusal(stream.rotate())).code).toBe("closed")
  const next = box.open().stream("s")
  expect(await box.run(next.rotate())).toEqual({ epoch: 2 })
})

test("neither secret is in an error, an event or a block, whatever the service repeats", async () => {
  await using box = await openBox(at_once)
  const outbox = box.open()
  const stream = box.stream(outbox)
  record(stream, "1")
  await box.run(outbox.flush())
  const told: string[] = []
  outbox.onAny((event) => told.push(JSON.stringify(event)))
  const errors: SturdyError[] = []
  box.fates.push(async (_, { body }) => {
    const { secret, next_secret } = secrets(box)
    expect(body).toContain(next_secret!)
    const [count] = [body.split("\n").filter((line) => line.startsWith('["push"')).length]
    const error = ["error", "Error", `you sent ${secret} and ${next_secret}`]
    const lines = Array.from({ length: count! }, (__, at) => JSON.stringify(["reject", at + 1, error]))
    return { status: 200, retry_after: null, content_type: "text/plain", body: lines.join("\n") }
  }, loseAnswer)
  errors.push(await refusal(box.run(stream.rotate())), await refusal(box.run(stream.rotate())))
  const { next_secret } = secrets(box)
  record(stream, "2")
  await box.run(outbox.flush())
  expect(stream.ref().secret).toBe(next_secret!)
  const everything = JSON.stringify([told, errors.map(({ message, hint, cause }) => [message, hint, String(cause)])])
  expect([everything.includes(box.ref.secret), everything.includes(next_secret!)]).toEqual([false, false])
})
