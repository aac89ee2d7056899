/** Rotations that the service, the share or the protocol does not allow, and secrets that somebody else has changed. */
import { describe, expect, test } from "bun:test"
import { httpJson, rpc } from "../../src/index.ts"
import type { Stream } from "../../src/stream.ts"
import { type Box, fail, hold, openBox, record } from "./box.ts"
import { at_once, goesOn, refusal, secrets, sending } from "./rotating.ts"

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
