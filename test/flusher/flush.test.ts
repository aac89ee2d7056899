/** The loop of a stream against the real service: what is sent when, what is settled, what stays. */
import { expect, test } from "bun:test"
import type { OutboxEvents } from "../../src/inspect/event.ts"
import type { Outbox } from "../../src/outbox.ts"
import type { Stream } from "../../src/stream.ts"
import { by, fail, fixedRandom, hold, loseAnswer, openBox, record } from "./box.ts"
import { Fake } from "./fake.ts"

/** Each name a batch of its own: as many ops as a batch takes. */
function recordBatches(outbox: Outbox, stream: Stream, names: string) {
  for (const name of names.split(" "))
    outbox.unit(() => {
      for (let n = 0; n < 100; n++) stream.record({ method: "put", args: [`${name}${n}`] })
    })
}

function failures(outbox: Outbox): OutboxEvents["failed"][] {
  const seen: OutboxEvents["failed"][] = []
  outbox.on("failed", (event) => void seen.push(event))
  return seen
}

const half = { random: fixedRandom(0.5) }

test("createShare, redeemShare and eight batches go in one POST, in order, and are committed in order", async () => {
  await using box = await openBox({ creates: true })
  const outbox = box.open()
  recordBatches(outbox, box.stream(outbox), "a b c d e f g h")
  await box.run(outbox.flush())
  expect(box.sent.map((post) => post.calls)).toEqual([["createShare", "redeemShare", ...Array(8).fill("appendOps")]])
  const names = [..."abcdefgh"].flatMap((name) => Array.from({ length: 100 }, (_, n) => `${name}${n}`))
  expect(box.effects).toEqual(names)
  // Each says what it was made for: the register after the one before it.
  const heads = box.sent[0]!.batches.map((batch) => batch.ops.at(-1)!.op_id)
  expect(box.sent[0]!.batches.map((batch) => [batch.expected_cursor, batch.expected_head_op_id])).toEqual(
    [null, ...heads.slice(0, -1)].map((head, index) => [index * 100, head]),
  )
})

test("a ninth batch goes in the next POST", async () => {
  await using box = await openBox()
  const outbox = box.open()
  recordBatches(outbox, box.stream(outbox), "a b c d e f g h i")
  await box.run(outbox.flush())
  expect(box.sent.map((post) => post.batches.length)).toEqual([8, 1])
})

test("createShare is not sent again after the first Grant", async () => {
  await using box = await openBox({ creates: true })
  const outbox = box.open()
  const stream = box.stream(outbox)
  await box.run(outbox.flush())
  record(stream, "1")
  await box.run(outbox.flush())
  expect(box.sent.map((post) => post.calls)).toEqual([
    ["createShare", "redeemShare"],
    ["redeemShare", "appendOps"],
  ])
})

test("createShare is repeated until a Grant is received, and the share is created once", async () => {
  await using box = await openBox({ creates: true })
  const outbox = box.open()
  box.fates.push(loseAnswer, loseAnswer)
  record(box.stream(outbox), "1")
  await box.run(outbox.flush())
  expect(box.sent.map((post) => post.calls[0])).toEqual(["createShare", "createShare", "createShare"])
  expect(box.effects).toEqual(["1"])
})

test("ops recorded within the linger go together", async () => {
  await using box = await openBox()
  const outbox = box.open()
  const stream = box.stream(outbox)
  await box.calm()
  record(stream, "1")
  await box.turn(49, 7)
  record(stream, "2")
  expect(box.sent).toHaveLength(0)
  await box.turn(1)
  expect(box.sent.map((post) => post.batches[0]!.ops.length)).toEqual([2])
})

test("an attempt that failed is made again with the same batch and the same text", async () => {
  await using box = await openBox()
  const outbox = box.open()
  box.fates.push(fail("refused"), fail("connection_lost"), loseAnswer)
  record(box.stream(outbox), "1 2")
  await box.run(outbox.flush())
  expect(box.sent).toHaveLength(4)
  for (const post of box.sent) expect(post.batches).toEqual(box.sent[0]!.batches)
  expect(box.effects).toEqual(["1", "2"])
})

test("while an answer is awaited nothing else is sent on the stream", async () => {
  await using box = await openBox()
  const outbox = box.open()
  const stream = box.stream(outbox)
  const held = hold()
  box.fates.push(held.fate)
  record(stream, "1")
  await box.turn(100)
  record(stream, "2 3")
  void outbox.flush()
  await box.turn(20_000, 1_000)
  expect(box.sent).toHaveLength(1)
  held.release()
  await box.run(outbox.flush())
  expect(box.sent.map((post) => post.batches.map((batch) => batch.ops.length))).toEqual([[1], [2]])
})

test("what is recorded while a batch fails does not join it: a frozen batch keeps its ops", async () => {
  // The delay before the retry is drawn: late enough for the second op to be recorded before it.
  await using box = await openBox({ random: fixedRandom(0.9) })
  const outbox = box.open()
  const stream = box.stream(outbox)
  box.fates.push(fail("refused"))
  record(stream, "1")
  await box.turn(100)
  record(stream, "2")
  await box.run(outbox.flush())
  expect(box.sent.map((post) => post.batches.map((batch) => batch.ops.length))).toEqual([[1], [1, 1]])
  expect(box.sent[1]!.batches[0]).toEqual(box.sent[0]!.batches[0]!)
})

test("gap: the register is the base, and the same batches go again at once", async () => {
  await using box = await openBox()
  const outbox = box.open()
  recordBatches(outbox, box.stream(outbox), "a b")
  box.fates.push(by(new Fake({ refuse: [{ refused: "gap", message: "moved", cursor: 5, head_op_id: null }] })))
  await box.turn(50)
  // No time has passed between the two.
  expect(box.sent.map((post) => post.batches.map((batch) => batch.expected_cursor))).toEqual([
    [0, 100],
    [5, 105],
  ])
  expect(box.sent[0]!.at).toBe(box.sent[1]!.at)
  const shape = (index: number) => box.sent[index]!.batches.map(({ batch_id, ops }) => ({ batch_id, ops }))
  expect(shape(1)).toEqual(shape(0))
})

test("gap after gap: the second waits, within the bounds of the backoff", async () => {
  await using box = await openBox(half)
  const outbox = box.open()
  const seen = failures(outbox)
  const moved = (cursor: number) =>
    by(new Fake({ refuse: [{ refused: "gap", message: "moved", cursor, head_op_id: null }] }))
  box.fates.push(moved(1), moved(2), moved(3))
  record(box.stream(outbox), "1")
  await box.run(outbox.flush())
  const at = box.sent.map((post) => post.at)
  // At once; then half of 1,000 and of 2,000 ms; then the service refuses the cursor 3 itself: a fourth gap.
  expect(at.slice(0, 4).map((time) => time - at[0]!)).toEqual([0, 0, 500, 1_500])
  expect(seen.every(({ code }) => code === "gap")).toBeTrue()
})

test("gap after an outage: the same batches go again at once, whatever failed before", async () => {
  await using box = await openBox(half)
  const outbox = box.open()
  const gap = by(new Fake({ refuse: [{ refused: "gap", message: "moved", cursor: 0, head_op_id: null }] }))
  box.fates.push(fail("refused"), fail("refused"), fail("refused"), gap)
  record(box.stream(outbox), "1")
  await box.run(outbox.flush())
  const at = box.sent.map((post) => post.at)
  expect(at).toHaveLength(5)
  expect(at[4]).toBe(at[3]!)
})
