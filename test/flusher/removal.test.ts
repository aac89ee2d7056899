/** Unshare, blocks, lost shares and servers: what a stream does when there is nothing to write to any more. */
import { expect, test } from "bun:test"
import { by, fail, fixedRandom, hold, loseAnswer, openBox, record, status } from "./box.ts"
import { Fake } from "./fake.ts"

const created = { creates: true }

test("a removal overtakes what is pending: one POST, no batch, and what was pending is discarded", async () => {
  await using box = await openBox(created)
  const outbox = box.open()
  const stream = box.stream(outbox)
  const [intent] = record(stream, "1")
  const op_id = outbox.opId(intent!)
  stream.remove()
  expect(await box.run(outbox.flush())).toEqual({ settled: true, blocked: [] })
  // createShare too, so that a tombstone exists.
  expect(box.sent.map((post) => post.calls)).toEqual([["createShare", "redeemShare", "removeShare"]])
  expect(box.effects).toEqual([])
  expect(box.state(op_id)).toEqual(["discarded"])
  expect(stream.status()).toMatchObject({ pending: 0, removed: true })
})

test("after a Grant a removal is sent without createShare", async () => {
  await using box = await openBox(created)
  const outbox = box.open()
  const stream = box.stream(outbox)
  await box.run(outbox.flush())
  stream.remove()
  await box.run(outbox.flush())
  expect(box.sent.at(-1)!.calls).toEqual(["redeemShare", "removeShare"])
})

test("a removal whose answer was lost is repeated until it is answered, and nothing is sent after it", async () => {
  await using box = await openBox(created)
  const outbox = box.open()
  const stream = box.stream(outbox)
  stream.remove()
  box.fates.push(fail("refused"), loseAnswer)
  await box.run(outbox.flush())
  expect(box.sent.map((post) => post.calls.includes("removeShare"))).toEqual([true, true, true])
  await box.turn(300_000, 5_000)
  expect(box.sent).toHaveLength(3)
})

test("a removal does not wait for the backoff of the batches that it overtakes", async () => {
  await using box = await openBox({ ...created, random: fixedRandom(0.99) })
  const outbox = box.open()
  const stream = box.stream(outbox)
  record(stream, "1")
  box.always(fail("refused"))
  await box.turn(120_000, 1_000)
  const before = box.sent.length
  box.always(undefined)
  stream.remove()
  await box.turn(1)
  expect(box.sent.slice(before).map((post) => post.calls.includes("removeShare"))).toEqual([true])
})

test("a removal waits for a Retry-After", async () => {
  await using box = await openBox(created)
  const outbox = box.open()
  const stream = box.stream(outbox)
  record(stream, "1")
  box.fates.push(status(503, "30"))
  await box.turn(100)
  stream.remove()
  await box.turn(29_000, 1_000)
  expect(box.sent).toHaveLength(1)
  await box.run(outbox.flush())
  expect(box.sent.map((post) => post.calls.includes("removeShare"))).toEqual([false, true])
})

test("a removal does not wait for the next probe of the block that it lifts, whatever the last one met", async () => {
  await using box = await openBox({ ...created, random: fixedRandom(0) })
  const outbox = box.open()
  const stream = box.stream(outbox)
  box.fates.push(status(403), status(502))
  record(stream, "1")
  await box.turn(62_000, 1_000)
  expect(box.row()).toMatchObject({ block: "scope_denied", last_error: "http_502" })
  stream.remove()
  expect(box.row()).toMatchObject({ block: null, attempts: 0, next_attempt_at: null })
  await box.turn(100)
  expect(box.sent.slice(2).map((post) => post.calls.includes("removeShare"))).toEqual([true])
})

test("a batch frozen before the removal is not sent after it", async () => {
  await using box = await openBox({ ...created, random: fixedRandom(0.5) })
  const outbox = box.open()
  const stream = box.stream(outbox)
  record(stream, "1")
  box.fates.push(fail("refused"))
  await box.turn(100)
  stream.remove()
  expect(() => record(stream, "2")).toThrow(expect.objectContaining({ code: "stream_closed" }))
  await box.run(outbox.flush())
  expect(box.sent.slice(1).map((post) => post.batches)).toEqual([[]])
})

test("recording a removal twice sends one", async () => {
  await using box = await openBox(created)
  const outbox = box.open()
  const stream = box.stream(outbox)
  stream.remove()
  stream.remove()
  await box.run(outbox.flush())
  stream.remove()
  await box.run(outbox.flush())
  expect(box.sent).toHaveLength(1)
})

test("a block does not stop a removal", async () => {
  await using box = await openBox()
  const outbox = box.open()
  const stream = box.stream(outbox)
  box.fates.push(
    by(new Fake({ refuse: [{ refused: "too_large", message: "no" }], service_id: box.service.service_id })),
  )
  record(stream, "1")
  expect(await box.run(outbox.flush())).toMatchObject({ blocked: [{ reason: "too_large" }] })
  stream.remove()
  expect(await box.run(outbox.flush())).toEqual({ settled: true, blocked: [] })
  expect(box.sent.at(-1)!.calls).toEqual(["redeemShare", "removeShare"])
})

test("a block that answers a POST under way does not stop a removal that was recorded meanwhile", async () => {
  await using box = await openBox()
  const outbox = box.open()
  const stream = box.stream(outbox)
  const refusing = by(
    new Fake({ refuse: [{ refused: "too_large", message: "no" }], service_id: box.service.service_id }),
  )
  const held = hold()
  box.fates.push(async (deliver, request) => {
    await held.fate(deliver, request)
    return refusing(deliver, request)
  })
  record(stream, "1")
  await box.turn(50)
  stream.remove()
  held.release()
  expect(await box.run(outbox.flush())).toEqual({ settled: true, blocked: [] })
  expect(box.sent.at(-1)!.calls).toEqual(["redeemShare", "removeShare"])
})

test("a removal of a share that somebody removed before is settled", async () => {
  await using box = await openBox(created)
  const first = box.open()
  box.stream(first).remove()
  await box.run(first.flush())
  const second = box.open({}, box.dir.file("other.db"))
  box.stream(second).remove()
  expect(await box.run(second.flush())).toEqual({ settled: true, blocked: [] })
})

test("a share that somebody else removed blocks its stream, and nothing more is sent", async () => {
  await using box = await openBox(created)
  const first = box.open()
  const second = box.open({}, box.dir.file("other.db"))
  const stream = box.stream(second)
  await box.run(second.flush())
  box.stream(first).remove()
  await box.run(first.flush())
  const before = box.sent.length
  record(stream, "1")
  const blocked: unknown[] = []
  second.on("blocked", ({ reason, hint }) => blocked.push([reason, hint.length > 0]))
  expect(await box.run(second.flush())).toMatchObject({ settled: false, blocked: [{ reason: "share_removed" }] })
  record(stream, "2")
  await box.turn(120_000, 5_000)
  expect(box.sent).toHaveLength(before + 1)
  expect(blocked).toEqual([["share_removed", true]])
  expect(stream.status()).toMatchObject({ block: { reason: "share_removed" }, pending: 2 })
})

test("a share that this outbox cannot create blocks as unknown", async () => {
  await using box = await openBox()
  const outbox = box.open()
  record(box.stream(outbox, "other", box.freshRef()), "1")
  expect(await box.run(outbox.flush())).toMatchObject({ blocked: [{ stream: "other", reason: "share_unknown" }] })
})

test("one blocked stream leaves the others alone", async () => {
  await using box = await openBox()
  const outbox = box.open()
  record(box.stream(outbox, "other", box.freshRef()), "x")
  record(box.stream(outbox), "1")
  expect(await box.run(outbox.flush())).toMatchObject({ settled: false, blocked: [{ stream: "other" }] })
  expect(box.effects).toEqual(["1"])
})

test("a block outlives the process", async () => {
  await using box = await openBox()
  const first = box.open()
  record(box.stream(first, "other", box.freshRef()), "x")
  await box.run(first.flush())
  await box.close(first)
  const second = box.open()
  const before = box.sent.length
  await box.turn(10_000, 1_000)
  expect(await second.flush()).toMatchObject({ blocked: [{ stream: "other", reason: "share_unknown" }] })
  expect(box.sent).toHaveLength(before)
})

test("another service at the same address gets no batch, and blocks the stream", async () => {
  await using box = await openBox(created)
  const outbox = box.open()
  const stream = box.stream(outbox)
  record(stream, "1")
  await box.run(outbox.flush())
  const before = box.sent.length
  box.replaceService(box.dir.file("another-service.db"))
  record(stream, "2")
  expect(await box.run(outbox.flush())).toMatchObject({ blocked: [{ reason: "other_server" }] })
  expect(box.effects).toEqual([])
  // The share is not known there: created and redeemed alone, and then its identity is seen.
  expect(box.sent.slice(before).map((post) => post.calls)).toEqual([
    ["redeemShare", "appendOps"],
    ["createShare", "redeemShare"],
  ])
})

/** A share of the box's service, whose removal another one answers: it stands. */
async function removalAnsweredByAnother(box: Awaited<ReturnType<typeof openBox>>) {
  const outbox = box.open()
  const stream = box.stream(outbox)
  record(stream, "1")
  await box.run(outbox.flush())
  box.replaceService(box.dir.file("another-service.db"))
  stream.remove()
  expect(await box.run(outbox.flush())).toMatchObject({ blocked: [{ reason: "other_server" }] })
  return { outbox, stream }
}

test("a removal that another service answers stands, and goes on at the service to which the share belongs", async () => {
  await using box = await openBox()
  const { outbox } = await removalAnsweredByAnother(box)
  box.replaceService(box.dir.file("service.db"))
  await box.turn(120_000, 1_000)
  expect(await box.run(outbox.flush())).toEqual({ settled: true, blocked: [] })
  expect(() => box.admin()).toThrow("the share was removed")
})

test("a removal that another service answers is done with it once a person accepts that one", async () => {
  await using box = await openBox()
  const { outbox, stream } = await removalAnsweredByAnother(box)
  stream.unblock({ acceptServer: true })
  expect(await box.run(outbox.flush())).toEqual({ settled: true, blocked: [] })
})

test("a server that lost acknowledged data gets the retained ops again, and it is told and counted", async () => {
  await using box = await openBox()
  const outbox = box.open()
  const stream = box.stream(outbox)
  const told: string[] = []
  outbox.on("server_reset", ({ stream }) => told.push(stream))
  record(stream, "1 2")
  await box.run(outbox.flush())
  // What was acknowledged is gone, the share and the service are not.
  for (const table of ["applied", "op", "writer", "effect"]) box.service.sql.run(`DELETE FROM ${table}`)
  record(stream, "3")
  expect(await box.run(outbox.flush())).toEqual({ settled: true, blocked: [] })
  expect(box.effects).toEqual(["1", "2", "3"])
  expect(told).toEqual(["s"])
  expect(box.row()).toMatchObject({ reset_count: 1, block: null })
})

test("server_reset with nothing retained blocks, and says that the host must resync", async () => {
  await using box = await openBox()
  const outbox = box.open()
  const refusal = { refused: "server_reset", message: "lost", cursor: 0, head_op_id: null }
  box.always(by(new Fake({ refuse: [refusal] })))
  record(box.stream(outbox), "1")
  expect(await box.run(outbox.flush())).toMatchObject({ blocked: [{ reason: "server_reset" }] })
  expect(box.sent).toHaveLength(1)
})

test("a server that throws errors which look like ours is never taken for the network", async () => {
  await using box = await openBox()
  const outbox = box.open()
  const seen: string[] = []
  outbox.on("failed", ({ code }) => seen.push(code))
  const throwing = (error: () => unknown) => by(new Fake({ throws: error }))
  box.fates.push(
    throwing(() => new Error("HTTP 503")),
    throwing(() => Object.assign(new Error("no"), { name: "TransportFault", delivery: "not_sent", details: {} })),
    throwing(() => new TypeError("ECONNREFUSED")),
  )
  record(box.stream(outbox), "1")
  await box.run(outbox.flush())
  expect(seen).toEqual(["service_fault", "service_fault", "service_fault"])
})

test.each<[string, object]>([
  ["nothing", { refuse: [undefined] }],
  ["null", { refuse: [null] }],
  ["a grant of null", { grant: { limits: null } }],
  ["a grant with other types", { grant: { epoch: "x", service_id: 5 } }],
  [
    "a refusal with a message that is an object",
    { refuse: [{ refused: "busy", message: {}, retry_after_ms: "soon" }] },
  ],
])("a server that answers %s ends nothing: the next attempt goes through", async (_, told) => {
  await using box = await openBox()
  const outbox = box.open()
  box.fates.push(by(new Fake({ service_id: box.service.service_id, ...told })))
  record(box.stream(outbox), "1")
  expect(await box.run(outbox.flush())).toEqual({ settled: true, blocked: [] })
  expect(box.effects).toEqual(["1"])
})
