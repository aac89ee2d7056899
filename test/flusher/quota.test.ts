/** The quota: what is settled makes room, what is pending never does. */
import { expect, test } from "bun:test"
import type { Stream } from "../../src/stream.ts"
import { errorOf } from "../sturdy-error.ts"
import { openBox } from "./box.ts"

const outboxBytesMax = 4 * 1024 * 1024
const big = "x".repeat(200_000)

function put(stream: Stream, count: number, from = 0): string[] {
  return Array.from({ length: count }, (_, n) => {
    const name = `${stream.name}/${from + n}`
    stream.record({ method: "put", args: [name, big] })
    return name
  })
}

test("at the quota what is settled makes room, of all streams and also of those that are idle", async () => {
  await using box = await openBox()
  const outbox = box.open({ outboxBytesMax })
  const names: string[] = []
  for (const name of ["a", "b", "c", "d", "e"]) {
    const ref = box.freshRef()
    await box.createShare(ref)
    // Twelve do not fit beside the twelve before.
    names.push(...put(box.stream(outbox, name, ref), 12))
    await box.run(outbox.flush())
  }
  expect(box.effects).toEqual(names)
})

test("at the quota what is pending stays, and recording goes on once it was sent", async () => {
  await using box = await openBox()
  const outbox = box.open({ outboxBytesMax })
  const ref = box.freshRef()
  await box.createShare(ref)
  const [idle, busy] = [box.stream(outbox, "idle", ref), box.stream(outbox, "busy")]
  const names = put(idle, 5)
  await box.run(outbox.flush())
  outbox.pause()
  const full = errorOf(() => {
    for (let n = 0; n < 100; n++) names.push(...put(busy, 1, n))
  })
  expect(full.code).toBe("outbox_full")
  const waiting = names.length - 5
  expect(waiting).toBeGreaterThan(15)
  expect(busy.status()).toMatchObject({ pending: waiting, recorded: waiting })
  outbox.resume()
  await box.run(outbox.flush())
  names.push(...put(busy, 10, waiting))
  await box.run(outbox.flush())
  expect(box.effects).toEqual(names)
})

test("an op, or a unit, larger than the whole quota is refused as too large: nothing to wait for, and no block", async () => {
  await using box = await openBox()
  const quota = 512 * 1024
  const outbox = box.open({ outboxBytesMax: quota })
  const stream = box.stream(outbox)
  const heard: string[] = []
  outbox.on("blocked", ({ reason }) => heard.push(reason))
  const put = (bytes: number) => stream.record({ method: "put", args: ["x".repeat(bytes)] })
  const op = errorOf(() => put(quota))
  const unit = errorOf(() => outbox.unit(() => [put(quota / 2), put(quota / 2)]))
  expect([op.code, unit.code]).toEqual(["op_too_large", "unit_too_large"])
  for (const { message } of [op, unit])
    expect(message).toMatch(/ takes 52\d{4} bytes .* quota is 524288; nothing was written/)
  expect([heard, stream.status().block, stream.status().recorded]).toEqual([[], undefined, 0])
  put(1_000)
  await box.run(outbox.flush())
  expect(box.effects).toHaveLength(1)
})
