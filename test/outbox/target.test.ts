/** Calls on results: the op names the result as its target. */
import { expect, test } from "bun:test"
import { openBox } from "../flusher/box.ts"
import { errorOf, rejectionOf } from "../sturdy-error.ts"

test("a call on a result names it as its target and depends on it; a server without such calls rejects it", async () => {
  await using box = await openBox()
  const outbox = box.open()
  const stream = box.stream(outbox)
  const put = (name: string) => stream.record<{ list: { id: string }[] }>({ method: "put", args: [name] })
  const one = put("1")
  const first = stream.record({ target: one, method: "rename", args: ["x"], wantResult: true })
  const two = put("2")
  const second = stream.record({ target: one.list[0]!, method: "rename", args: [two], wantResult: true })
  const errors = await box.run(Promise.all([first, second].map((intent) => rejectionOf(outbox.result(intent)))))
  expect(errors.map(({ code }) => code)).toEqual(["op_rejected", "op_rejected"])
  for (const { message } of errors) expect(message).toContain("unknown_target")

  const [oneId, twoId] = [outbox.opId(one), outbox.opId(two)]
  const { ops } = box.sent[0]!.batches[0]!
  // A property is a text in a path, also of an array.
  const targets = ops.map(({ target }) => target?.map(String))
  expect(targets).toEqual([undefined, [oneId], undefined, [oneId, "list", "0"]])
  expect(ops.map(({ depends_on }) => depends_on.toSorted())).toEqual([[], [oneId], [], [oneId, twoId].toSorted()])
  expect(box.effects).toEqual(["1", "2"])
})

test("a call on a result of another stream is refused, and nothing is written", async () => {
  await using box = await openBox()
  const outbox = box.open()
  const note = box.stream(outbox).record({ method: "put", args: ["1"] })
  const other = box.stream(outbox, "other", box.freshRef())
  expect(errorOf(() => other.record({ target: note, method: "rename", args: [] })).code).toBe("reference_foreign")
  expect(other.status().recorded).toBe(0)
})
