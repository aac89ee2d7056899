/** Rotation of a share's secret: whatever it is cut off at, one of the two secrets opens the share, and the stream goes on. */
import { describe, expect, test } from "bun:test"
import { Database } from "bun:sqlite"
import { httpJson, rpc } from "../../src/index.ts"
import type { SturdyError } from "../../src/intent/error.ts"
import type { Stream } from "../../src/stream.ts"
import { ScopedDatabase } from "../scoped-database.ts"
import { type Box, fail, heardBlocks, hold, loseAnswer, openBox, record, status } from "./box.ts"

const at_once = {
  random: { fraction: () => 0, bytes: (count: number) => crypto.getRandomValues(new Uint8Array(count)) },
}

async function refusal(promise: Promise<unknown>): Promise<SturdyError> {
  try {
    await promise
  } catch (error) {
    return error as SturdyError
  }
  throw new Error("nothing was thrown")
}

/** Does this secret open the share, as the service says? */
function opens(box: Box, secret: string): string {
  try {
    box.api.redeemShare({ share_id: box.ref.share_id, secret, writer_id: "writer_of_the_test" })
    return "granted"
  } catch (error) {
    return (error as { code: string }).code
  }
}

const secrets = (box: Box) => {
  const { secret, next_secret } = box.row()
  return { secret, next_secret }
}

/** A stream that has sent an op, and all that was heard of it. */
async function sending(box: Box) {
  const outbox = box.open()
  const stream = box.stream(outbox)
  record(stream, "1")
  await box.run(outbox.flush())
  const blocks = heardBlocks(outbox)
  return { outbox, stream, blocks }
}

/** Records another op and says whether it arrived, once, without a block. */
async function goesOn(box: Box, { outbox, stream, blocks }: Awaited<ReturnType<typeof sending>>) {
  record(stream, "2")
  expect(await box.run(outbox.flush())).toEqual({ settled: true, blocked: [] })
  expect([box.effects, blocks]).toEqual([["1", "2"], []])
}

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
    using database = new Database(box.dir.file("host.db"))
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

describe("what has no root capability", () => {
  test("is refused, and what was drawn is forgotten", async () => {
    await using box = await openBox()
    const secret = box.attenuate({ scopes: ["read", "append", "admin"] })
    const outbox = box.open()
    const stream = outbox.stream("s", { ...box.ref, secret })
    record(stream, "1")
    await box.run(outbox.flush())
    const error = await refusal(box.run(stream.rotate()))
    expect([error.code, error.message]).toEqual(["rotation_refused", expect.stringContaining("only the root")])
    expect(secrets(box)).toEqual({ secret, next_secret: null })
    record(stream, "2")
    expect(await box.run(outbox.flush())).toEqual({ settled: true, blocked: [] })
    expect(box.effects).toEqual(["1", "2"])
  })

  test("is refused after a rotation whose answer was lost, and that one is kept: it may have been by another", async () => {
    await using box = await openBox(at_once)
    const { outbox, stream } = await sending(box)
    box.fates.push(fail("connection_lost"))
    await refusal(box.run(stream.rotate()))
    const { next_secret } = secrets(box)
    stream.unblock({ secret: box.attenuate({ scopes: ["append"] }) })
    expect((await refusal(box.run(stream.rotate()))).code).toBe("rotation_refused")
    expect(secrets(box).next_secret).toBe(next_secret)
    record(stream, "2")
    expect(await box.run(outbox.flush())).toEqual({ settled: true, blocked: [] })
  })
})

describe("a secret that somebody else has revoked", () => {
  async function taken(box: Box): Promise<{ stream: Stream } & Awaited<ReturnType<typeof sending>>> {
    const it = await sending(box)
    box.fates.push(fail("connection_lost"))
    await refusal(box.run(it.stream.rotate()))
    const secret = box.freshRef().secret
    box.admin().rotateSecret({ secret })
    box.ref.secret = secret
    return it
  }

  test("blocks as ever if that of our rotation opens nothing, and says so; another one lifts it", async () => {
    await using box = await openBox(at_once)
    const { outbox, stream, blocks } = await taken(box)
    record(stream, "2")
    expect(await box.run(outbox.flush())).toMatchObject({ blocked: [{ reason: "revoked" }] })
    expect(stream.status().block!.message).toContain("the one that a rotation has stored opens nothing")
    expect((await refusal(box.run(stream.rotate()))).code).toBe("rotation_refused")
    stream.unblock({ secret: box.ref.secret })
    expect(await box.run(outbox.flush())).toEqual({ settled: true, blocked: [] })
    expect([box.effects, blocks]).toEqual([
      ["1", "2"],
      ["blocked revoked", "unblocked revoked"],
    ])
  })

  test("another one that a person gives is tried before that of the rotation", async () => {
    await using box = await openBox(at_once)
    const { outbox, stream, blocks } = await taken(box)
    const gate = hold()
    // The old one is refused; the one of the rotation meets a person on its way.
    box.fates.push((deliver) => deliver(), gate.fate)
    record(stream, "2")
    await box.turn(1_000)
    await gate.arrived
    stream.unblock({ secret: box.ref.secret })
    gate.release()
    expect(await box.run(outbox.flush())).toEqual({ settled: true, blocked: [] })
    expect([box.effects, blocks, secrets(box).secret]).toEqual([["1", "2"], [], box.ref.secret])
  })
})

describe("is refused, with nothing stored and nothing sent,", () => {
  const refused = async (box: Box, stream: Stream, code: string, says: string) => {
    const posts = box.sent.length
    const error = await refusal(box.run(stream.rotate()))
    expect([String(error.code), error.message]).toEqual([code, expect.stringContaining(says)])
    expect([box.row(stream.name).next_secret, box.sent.length]).toEqual([null, posts])
  }

  test("of a share that was not created yet", async () => {
    await using box = await openBox({ creates: true })
    const outbox = box.open()
    outbox.pause()
    await refused(box, box.stream(outbox), "rotation_refused", "not said yet that it has the share")
  })

  test("of a share whose secret the service made", async () => {
    await using box = await openBox()
    const adopt = { remote: { id: "shr1", secret: "of the service" }, url: "http://share.example/s/shr1" }
    const stream = box.open().stream("adopted", box.freshRef(), { adopt })
    await refused(box, stream, "rotation_refused", "made by the service")
  })

  test("of a share at a service that was never heard: whoever answers there might not have it", async () => {
    await using box = await openBox()
    await refused(box, box.stream(box.open()), "rotation_refused", "not said yet that it has the share")
  })

  test("by a protocol that has no call for it", async () => {
    await using box = await openBox()
    await refused(box, box.stream(box.open({ protocols: [httpJson] })), "rotation_refused", "has no call")
  })

  test("at a service that speaks such a protocol", async () => {
    await using box = await openBox()
    const outbox = box.open({ protocols: [rpc, httpJson] })
    await refused(box, outbox.stream("s", box.ref, { protocol: "http" }), "rotation_refused", "the protocol http")
  })

  test.each([
    ["is to be removed", 0],
    ["was removed", 5_000],
  ])("of a share that %s", async (_, ms) => {
    await using box = await openBox()
    const { outbox, stream } = await sending(box)
    outbox.pause()
    stream.remove()
    if (ms > 0) outbox.resume()
    await box.turn(ms)
    await refused(box, stream, "stream_closed", "was removed")
  })
})

test("another service that answers at the address takes no secret's place", async () => {
  await using box = await openBox()
  const it = await sending(box)
  box.replaceService(box.dir.file("other.db"))
  await box.createShare(box.ref)
  const error = await refusal(box.run(it.stream.rotate()))
  expect([error.code, error.message]).toEqual(["rotation_refused", expect.stringContaining("another service")])
  expect(secrets(box).secret).toBe(box.ref.secret)
  box.replaceService(box.dir.file("service.db"))
  await goesOn(box, it)
})

test("headers of the host go with it, and what they throw sends nothing", async () => {
  await using box = await openBox()
  let key: string | undefined = "a"
  const headers = () => {
    if (key === undefined) throw new Error("no key yet")
    return { "x-key": key }
  }
  const outbox = box.open({ headers })
  const stream = box.stream(outbox)
  record(stream, "1")
  await box.run(outbox.flush())
  key = undefined
  expect((await refusal(box.run(stream.rotate()))).message).toContain("no key yet")
  expect(box.sent).toHaveLength(1)
  key = "b"
  await box.run(stream.rotate())
  expect(box.sent[1]).toMatchObject({
    calls: ["redeemShare", "rotateSecret", "redeemShare"],
    headers: { "x-key": "b" },
  })
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
