/** Thousands may wait for their results at once: each is looked up when it is there, and not at every settlement. */
import { expect, spyOn, test } from "bun:test"
import { Knowledge } from "../../src/store/knowledge.ts"
import { Streams } from "../../src/store/stream.ts"
import { fail, openBox } from "../flusher/box.ts"

async function counted() {
  const box = await openBox()
  const outbox = box.open()
  outbox.pause()
  const looks = spyOn(Knowledge.prototype, "stateOf")
  const rows = spyOn(Streams.prototype, "get")
  return {
    box,
    outbox,
    stream: box.stream(outbox),
    looks: () => looks.mock.calls.length,
    rows: () => rows.mock.calls.length,
    async [Symbol.asyncDispose]() {
      looks.mockRestore()
      rows.mockRestore()
      await box[Symbol.asyncDispose]()
    },
  }
}

test("a settlement looks up the results that it brought, and no row for those that it did not reach", async () => {
  await using it = await counted()
  const count = 2_000
  const intents = Array.from({ length: count }, (_, n) =>
    it.stream.record<{ name: string }>({ method: "put", args: [String(n)], wantResult: true }),
  )
  const results = intents.map((intent) => it.outbox.result(intent))
  await it.box.calm()
  // Once when it was asked for.
  expect(it.looks()).toBe(count)
  const rows = it.rows()
  it.outbox.resume()
  await it.box.run(it.outbox.flush())
  // Once more when it was there.
  expect(it.looks()).toBe(2 * count)
  // 3 POSTs, a few looks at the stream each.
  expect(it.box.sent).toHaveLength(3)
  expect(it.rows() - rows).toBeLessThan(100)
  expect((await Promise.all(results)).map(({ name }) => name)).toEqual(intents.map((_, n) => String(n)))
})

test("whoever waits for an op that is replaced hears of it while the newer one still pends", async () => {
  await using it = await counted()
  const replace = (name: string) => it.stream.record({ method: "put", args: [name], key: "k", wantResult: true })
  const replaced = it.outbox.result(replace("1")).catch((error: unknown) => error)
  const newer = it.outbox.result(replace("2"))
  it.box.always(fail("refused"))
  it.outbox.resume()
  expect(await it.box.run(replaced)).toMatchObject({ code: "op_superseded" })
  it.box.always(undefined)
  expect(await it.box.run(newer)).toMatchObject({ name: "2" })
})

test("whoever waits for a result hears of the removal of its share", async () => {
  await using it = await counted()
  const intent = it.stream.record({ method: "put", args: ["1"], wantResult: true })
  const result = it.outbox.result(intent).catch((error: unknown) => error)
  it.stream.remove()
  it.outbox.resume()
  expect(await it.box.run(result)).toMatchObject({ code: "op_discarded" })
})
