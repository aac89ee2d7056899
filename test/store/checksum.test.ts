/** A byte that flips within a row is seen before it is sent: SQLite itself has no checksums. */
import { describe, expect, test } from "bun:test"
import { copyFileSync, readFileSync, rmSync } from "node:fs"
import fc from "fast-check"
import type { WireOp } from "../../src/intent/op.ts"
import { openOutbox } from "../../src/outbox.ts"
import { errorOf } from "../sturdy-error.ts"
import { tempDir } from "../temp-dir.ts"
import { openBox, record } from "../flusher/box.ts"
import { openStore } from "./box.ts"
import { flip, overwrite } from "./damage.ts"

const offsetOf = (file: string, text: string) => {
  const at = readFileSync(file).lastIndexOf(text)
  if (at < 0) throw new Error(`${text} is not in ${file}`)
  return at
}

for (const when of ["unfrozen", "frozen"] as const)
  test(`a byte of the arguments of an op, ${when}, flipped on disk: the op is named, and nothing is sent`, async () => {
    await using dir = tempDir()
    let ids: string[] = []
    {
      using store = openStore(dir.file())
      ids = store.record({ args: ["first"] }, { args: ["needle"] }, { args: ["third"] })
      if (when === "frozen") store.freeze()
    }
    flip(dir.file(), offsetOf(dir.file(), "needle"))
    let posts = 0
    const transport = () => {
      posts += 1
      return Promise.reject(new Error("nothing may be sent"))
    }
    const outbox = openOutbox(dir.file(), { transport })
    const { settled, blocked } = await outbox.flush()
    expect([settled, blocked.map(({ reason }) => reason), posts]).toEqual([false, ["damaged"], 0])
    expect(blocked[0]!.message).toContain(`stream notes: op 2 (${ids[1]}) is damaged in the file`)
    expect(blocked[0]!.message).not.toContain("eedle")
    await outbox.close({ flush_ms: 0 })
    using store = openStore(dir.file())
    expect(store.pendingIds()).toEqual(ids)
  })

test("one stream stands, the others go on, and so does recording", async () => {
  await using box = await openBox()
  const other = box.freshRef()
  await box.createShare(other)
  {
    const outbox = box.open()
    outbox.pause()
    record(box.stream(outbox), "needle")
    record(box.stream(outbox, "other", other), "1")
    await box.close(outbox)
  }
  flip(box.dir.file(), offsetOf(box.dir.file(), "needle"))
  const outbox = openOutbox(box.dir.file(), {
    seams: box.seams,
    transport: async (request) => {
      const response = await box.service.fetch(new Request(request.url, { method: "POST", body: request.body }))
      return { status: response.status, retry_after: null, content_type: null, body: await response.text() }
    },
  })
  const stands: string[] = []
  outbox.on("blocked", ({ message }) => stands.push(message))
  await box.turn(1_000)
  record(box.stream(outbox, "other", other), "2")
  record(box.stream(outbox), "behind")
  await box.turn(1_000)
  expect(box.effects).toEqual(["1", "2"])
  expect(stands).toEqual([expect.stringContaining("is damaged in the file")])
  await box.run(outbox.close({ flush_ms: 0 }))
})

test("any bit of the row: what is sent is what was recorded, or nothing", async () => {
  await using dir = tempDir()
  const sound = dir.file("sound.db")
  let wire: WireOp | undefined
  let from = 0
  {
    using store = openStore(sound)
    const [on] = store.record({})
    store.settle()
    store.record({ args: ["needle"], depends_on: [on!], actor_id: "a", want_result: true, schema_version: 2 })
    wire = store.freeze()[0]!.ops[0]
    store.db.run("update sturdy_lease set time_expires = 0")
  }
  const bytes = readFileSync(sound)
  const to = offsetOf(sound, "needle") + '"needle"]'.length
  // The row: its length, its seq, a header of types, its columns; the op_id is the first of them.
  from = to - 110
  const outcomes = { same: 0, refused: 0 }
  for (let at = from; at < to; at++) {
    const file = dir.file("flipped.db")
    copyFileSync(sound, file)
    rmSync(`${file}-suspect`, { force: true })
    overwrite(file, at, new Uint8Array([bytes[at]! ^ (1 << (at % 8))]))
    using store = openStore(file)
    try {
      const ops = store.freeze().flatMap((batch) => batch.ops)
      expect([at, ops]).toEqual([at, [wire!]])
      outcomes.same += 1
    } catch (error) {
      if (!["SturdyError", "InvariantError"].includes((error as Error).name)) throw error
      outcomes.refused += 1
    }
  }
  expect(outcomes.refused).toBeGreaterThan(70)
})

test("an op that an older Sturdy recorded without a checksum is sent", async () => {
  await using dir = tempDir()
  using store = openStore(dir.file())
  const [op_id] = store.record({})
  store.db.run("update sturdy_op set checksum = null")
  expect(store.freeze()[0]!.ops.map((op) => op.op_id)).toEqual([op_id!])
})

describe("the checksum holds for whatever text is recorded", () => {
  test("and does for a thousand of them, read by another connection", async () => {
    await using dir = tempDir()
    const texts = fc.sample(fc.string({ unit: "binary", maxLength: 40 }), { numRuns: 1_000, seed: 3 })
    {
      using store = openStore(dir.file())
      for (const text of texts) store.record({ args: [text], method: `m${text.replaceAll("\0", "")}`, actor_id: text })
    }
    using store = openStore(dir.file())
    let sent = 0
    for (let batches = store.freeze(); batches.length > 0; batches = store.freeze()) {
      sent += batches.reduce((sum, { ops }) => sum + ops.length, 0)
      store.settle({}, {}, batches)
    }
    expect(sent).toBe(1_000)
  })
})

test("a row that was moved to another place is refused: the order is part of what was recorded", async () => {
  await using dir = tempDir()
  using store = openStore(dir.file())
  store.record({}, {}, {})
  store.db.run("update sturdy_op set seq = seq + 10 where seq % 4294967296 = 2")
  expect(errorOf(() => store.freeze()).code).toBe("op_damaged")
})
