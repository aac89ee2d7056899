import { expect, test } from "bun:test"
import { codeOf, op, openBox } from "./box.ts"

async function setup() {
  const box = await openBox({ methods: { make: () => ({ id: "n1" }), take: () => undefined } })
  box.create()
  return box
}

test("readShare gives applied ops by share-wide position, with references replaced", async () => {
  await using box = await setup()
  const [one, two] = [box.writer(), box.writer()]
  const made = op("make", [], { actor_id: "anna" })
  const take = op("take", [], { args: `[[["$ref","${made.op_id}",["id"]]]]`, depends_on: [made.op_id] })
  one.append(made, op("unknown"))
  box.clock.turn(7)
  two.append(take)
  const time_applied = box.clock.now()
  const { ops, next } = one.share.readShare({})
  expect(ops).toEqual([
    {
      position: 1,
      op_id: made.op_id,
      method: "make",
      codec: "capnweb",
      args: "[[]]",
      schema_version: 1,
      actor_id: "anna",
      time_created: made.time_created,
      time_applied: time_applied - 7,
    },
    {
      position: 2,
      op_id: take.op_id,
      method: "take",
      codec: "capnweb",
      args: '[["n1"]]',
      schema_version: 1,
      time_created: take.time_created,
      time_applied,
    },
  ])
  expect(next).toBeNull()
})

test("readShare pages: next is null at the end only", async () => {
  await using box = await setup()
  const writer = box.writer()
  writer.append(...Array.from({ length: 5 }, () => op("make")))
  const page = (after: number, limit?: number) => {
    const { ops, next } = writer.share.readShare(limit === undefined ? { after } : { after, limit })
    return [ops.map(({ position }) => position), next]
  }
  expect([page(0, 2), page(2, 2), page(4, 2), page(3, 2), page(5), page(99)]).toEqual([
    [[1, 2], 2],
    [[3, 4], 4],
    [[5], null],
    [[4, 5], null],
    [[], null],
    [[], null],
  ])
  for (const input of [{ limit: 0 }, { after: -1 }, { after: "1" }] as object[])
    expect(codeOf(() => writer.share.readShare(input))).toBe("malformed")
})

test("a page ends when it has grown to the size of a batch", async () => {
  await using box = await setup()
  const writer = box.writer()
  for (let n = 0; n < 4; n++) writer.append(op("take", ["x".repeat(3 * 1024 * 1024)]))
  const { ops, next } = writer.share.readShare({})
  expect([ops.length, next]).toEqual([3, 3])
})
