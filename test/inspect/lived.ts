/** An outbox in which each thing happened that a view tells of, in a file that nobody has open. */
import type { Database } from "bun:sqlite"
import { readingOutbox } from "../../src/store/reading.ts"
import { openStore, ref, type Op } from "../store/box.ts"

const each_alone = { batches_max: 8, bytes_max: 1_000_000, seal_bytes_max: 1 }

/** When its clock began, ms since the epoch; each step of the life is a second later. */
export const began = 1_700_000_000_000

/** op_ids by name. */
export type Lived = Record<
  | "first"
  | "result"
  | "poison"
  | "hanging"
  | "word"
  | "left"
  | "right"
  | "lone"
  | "draft"
  | "final"
  | "outside"
  | "one",
  string
>

/**
 * Stream `notes`: 1 applied; 2 applied, with a result; 3 dead, and 4, which depends on it; 5 superseded by the service's
 * word; 6 and 7 a unit and 8, two batches in flight; 9 replaced by 10; 11, which depends on 8. Stream `others`: nothing
 * but `one`.
 */
export function lived(file: string): Lived {
  using store = openStore(file)
  const one = (op: Op = {}) => {
    store.clock.turn(1_000)
    return store.record(op)[0]!
  }
  const first = one({ args: ["é"] })
  store.clock.turn(1_000)
  store.settle()
  const result = one({ want_result: true, key: "note/1", method: "create" })
  const poison = one({ key: "tag/[1]", method: "tag" })
  const hanging = one({ depends_on: [poison], method: "tag" })
  const word = one({ method: "title" })
  store.clock.turn(1_000)
  store.settle({ [poison]: "no_access", [hanging]: "dependency_rejected", [word]: "superseded" })
  store.clock.turn(1_000)
  const [left, right] = store.unit([{ method: "left" }, { method: "right" }]).map(({ op_id }) => op_id) as [
    string,
    string,
  ]
  const lone = one()
  store.freeze(each_alone)
  const draft = one({ key: "draft" })
  const final = one({ key: "draft" })
  const outside = one({ depends_on: [lone] })
  const others = store.streams.open("others", { ...ref, share_id: "another_share_of_the_test" })
  const [other] = store.recorder.record(others.stream_id, [store.newOp({ method: "put" })])
  return { first, result, poison, hanging, word, left, right, lone, draft, final, outside, one: other!.op_id }
}

/** What a view says of it. */
export function viewed<T>(file: string, view: (db: Database) => T): T {
  return readingOutbox(file, view)
}
