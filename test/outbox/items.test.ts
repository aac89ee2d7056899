/** What a catch-up is told of a stream, and how it keeps from overwriting what is newer. */
import { expect, test } from "bun:test"
import { join } from "node:path"
import { openOutbox } from "../../src/index.ts"
import { errorOf } from "../sturdy-error.ts"
import { tempDir } from "../temp-dir.ts"

function opened(dir: string) {
  const outbox = openOutbox(join(dir, "outbox.db"))
  outbox.pause()
  const stream = outbox.stream("notes", outbox.newRef("http://127.0.0.1:9/rpc/share"))
  const put = (key: string, text: string, more: object = {}) =>
    stream.record({ method: "put", args: [{ text }], key, onlyIfChanged: true, ...more })
  return { outbox, stream, put, [Symbol.asyncDispose]: () => outbox.close({ flush_ms: 0 }) }
}

test("items names the latest op of every key", async () => {
  await using dir = tempDir()
  await using box = opened(dir.path)
  box.put("a", "1")
  const a = box.put("a", "2")
  const b = box.put("b", "1")
  expect([...box.stream.items()]).toEqual([
    ["a", box.outbox.opId(a)],
    ["b", box.outbox.opId(b)],
  ])
})

test("a catch-up that compares does not overwrite what was recorded since it looked", async () => {
  await using dir = tempDir()
  await using box = opened(dir.path)
  box.put("a", "old")
  const known = box.stream.items()
  const newer = box.put("a", "new")
  const stale = (latest: (key: string) => string | undefined) => latest("a") !== known.get("a")
  box.put("a", "old, read before", { stale })
  expect(box.stream.items().get("a")).toBe(box.outbox.opId(newer))
  expect(box.stream.status().pending).toBe(1)
})

test("a catch-up that compares records what nobody has touched", async () => {
  await using dir = tempDir()
  await using box = opened(dir.path)
  box.put("a", "old")
  const known = box.stream.items()
  const stale = (latest: (key: string) => string | undefined) => latest("a") !== known.get("a")
  const caught = box.put("a", "missed", { stale })
  expect(box.stream.items().get("a")).toBe(box.outbox.opId(caught))
})

test("a stale that throws leaves nothing written", async () => {
  await using dir = tempDir()
  await using box = opened(dir.path)
  const stale = () => {
    throw new Error("of the host's own")
  }
  expect(() => box.put("a", "1", { stale })).toThrow("of the host's own")
  expect(box.stream.items().size).toBe(0)
  expect(box.stream.status().pending).toBe(0)
})

test("a stale that is neither a boolean nor a function is refused", async () => {
  await using dir = tempDir()
  await using box = opened(dir.path)
  expect(errorOf(() => box.put("a", "1", { stale: 1 })).code).toBe("invalid_argument")
})

test("captured tells which op stands for an event", async () => {
  await using dir = tempDir()
  await using box = opened(dir.path)
  const first = box.put("a", "1", { captureId: "event_1" })
  box.put("b", "late", { captureId: "event_0", stale: true })
  expect(box.stream.captured("event_1")).toEqual({ op_id: box.outbox.opId(first) })
  expect(box.stream.captured("event_0")).toEqual({ op_id: undefined })
  expect(box.stream.captured("event_2")).toBeUndefined()
})

test("onlyIfChanged with a text compares that text, and records the args as they are", async () => {
  await using dir = tempDir()
  await using box = opened(dir.path)
  box.stream.record({ method: "put", args: [{ a: 1, b: 2 }], key: "k", onlyIfChanged: "a1b2" })
  box.stream.record({ method: "put", args: [{ b: 2, a: 1 }], key: "k", onlyIfChanged: "a1b2" })
  expect(box.stream.status().recorded).toBe(1)
  box.stream.record({ method: "put", args: [{ a: 1, b: 2 }], key: "k", onlyIfChanged: "a1b3" })
  expect(box.stream.status().recorded).toBe(2)
})

test("onlyIfChanged that is neither a boolean nor a text is refused", async () => {
  await using dir = tempDir()
  await using box = opened(dir.path)
  expect(errorOf(() => box.put("a", "1", { onlyIfChanged: 1 })).code).toBe("invalid_argument")
})
