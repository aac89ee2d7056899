/** Recording: units, order, sizes, what was captured before, and what a newer op of the same key replaces. */
import * as limit from "../../intent/limit.ts"
import { idsFromBlob } from "../../store/id-blob.ts"
import type { StoreCase } from "./store-case.ts"
import type { StoreTrial } from "./store-trial.ts"

const oversized = { args: ["x".repeat(limit.op_bytes_max)] }
const odd = { args: [{ text: 'quotes " \\ \u0000 ü \ud800', when: new Date(5) }], actor_id: "ü", schema_version: 7 }

/** What each waiting op lists as superseded, in order. */
function supersedes({ store }: StoreTrial): string[][] {
  const rows = store.db.query<{ ids: Uint8Array | null }, [number]>(
    "select supersedes as ids from sturdy_op where seq > ? order by seq",
  )
  return rows.all(store.stream().cursor).map(({ ids }) => (ids ? idsFromBlob(ids) : []))
}

export const recordCases: readonly StoreCase[] = [
  {
    name: "record puts ops at the end of the stream, in order",
    run: (t) => {
      const ids = t.store.record({}, {}, {})
      t.same("what waits", [t.store.pendingIds(), t.store.pending()], [ids, 3])
    },
  },
  {
    name: "what was recorded is there when the place is opened again, and goes out with the same text",
    run: (t) => {
      const ids = t.store.record(odd, {})
      const text = JSON.stringify(t.store.freeze()[0]!.ops)
      t.reopen()
      t.same("what waits", t.store.pendingIds(), ids)
      t.same("the text of the ops", JSON.stringify(t.store.freeze()[0]!.ops), text)
    },
  },
  {
    name: "streams lie beside each other, each with an order, a count and a writer of its own",
    run: (t) => {
      const other = t.other()
      t.store.record({ key: "a" })
      t.store.recorder.record(other, [t.store.newOp({ key: "a" })])
      t.store.record({})
      const row = t.store.streams.get(other)
      t.same("pending of each", [t.store.pending(), t.store.streams.pendingCount(row)], [2, 1])
      t.same("the writers differ", row.writer_id === t.store.stream().writer_id, false)
      const { writer_id } = t.reopen().stream()
      t.same("the writer after a restart", writer_id === row.writer_id, false)
    },
  },
  {
    name: "a unit in which one op is refused leaves nothing: no op, no capture, no item, no bookmark",
    run: (t) => {
      const [old] = t.store.record({ key: "a" })
      t.store.record({ key: "a" })
      const first = { capture_id: "event_1", key: "b", only_if_changed: true, args: [1] }
      const bookmark = { source: "source", place: 5 }
      const unit = (last: object) => () => t.store.unit([first, last], bookmark)
      t.refuses("a unit with an op that is too large", "op_too_large", unit(oversized))
      const late = { depends_on: [old!], references: [old!] }
      t.refuses("a unit with a reference to a superseded op", "reference_superseded", unit(late))
      t.same("the bookmark", t.store.recorder.captures.bookmark("source"), undefined)
      t.same("the capture", t.store.recorder.captures.captured(t.store.stream_id, "event_1"), undefined)
      t.store.unit([first, {}], bookmark)
      t.same("pending after the unit was recorded without it", t.store.pending(), 3)
    },
  },
  {
    name: "sizes are checked when an op is recorded: op, unit, ops of a unit, in UTF-8 bytes",
    run: (t) => {
      const umlauts = { args: ["ü".repeat(limit.op_bytes_max / 2)] }
      const third = { args: ["x".repeat(3 * 1024 * 1024)] }
      const many = Array.from({ length: limit.batch_ops_max + 1 }, () => ({}))
      t.refuses("an op over the limit", "op_too_large", () => t.store.record(oversized))
      t.refuses("an op over it in bytes", "op_too_large", () => t.store.record(umlauts))
      t.refuses("a unit over the limit", "unit_too_large", () => t.store.unit([third, third, third]))
      t.refuses("a unit of too many ops", "unit_too_large", () => t.store.unit(many))
    },
  },
  {
    name: "a newer op of a key replaces the unfrozen one, takes the last place, and names all that it stands for",
    run: (t) => {
      const [a1, b, a2] = t.store.record({ key: "a" }, { key: "b" }, { key: "a" })
      t.same("what waits", t.store.pendingIds(), [b, a2])
      t.reopen()
      const [a3] = t.store.record({ key: "a" })
      t.same("what waits", [t.store.pendingIds(), t.store.pending()], [[b, a3], 2])
      t.same("what is superseded", supersedes(t), [[], [a2, a1]])
      t.same("what became of the oldest", t.store.stateOf(a1!), { state: "superseded", by_op_id: a2 })
    },
  },
  {
    name: "a frozen op is never replaced, also when what was recorded after it is not frozen yet",
    run: (t) => {
      const [a, b, c] = t.store.record({ key: "a" }, { key: "b" }, { key: "c" })
      t.store.freeze({ batches_max: 1, bytes_max: limit.post_bytes_max, seal_bytes_max: 1 })
      const newer = t.store.record({ key: "a" }, { key: "b" })
      t.same("what waits", t.store.pendingIds(), [a, c, ...newer])
      t.store.freeze()
      const newest = t.store.record({ key: "c" }, { key: "a" })
      t.same("what waits when all was frozen", t.store.pendingIds(), [a, c, ...newer, ...newest])
      t.same("the first one replaced", t.store.stateOf(b!)?.state, "superseded")
    },
  },
  {
    name: "an op is never replaced if one depends on it or on what it superseded, be it the newer one itself",
    run: (t) => {
      const [old, a] = t.store.record({ key: "a" }, { key: "a" })
      const [b] = t.store.record({ key: "b" })
      const [onOld, onB] = t.store.record({ depends_on: [old!] }, { key: "b", depends_on: [b!] })
      const newer = t.store.record({ key: "a" }, { key: "b" })
      t.same("what waits", t.store.pendingIds(), [a, b, onOld, newer[0], newer[1]])
      t.same("what is superseded", supersedes(t), [[old], [], [], [], [onB]])
    },
  },
  {
    name: "an op of a unit of several is never replaced, replaces none, and none is replaced past it",
    run: (t) => {
      const [a] = t.store.record({ key: "a" })
      const unit = t.store.unit([{ key: "a" }, { key: "b" }]).map((op) => op.op_id)
      const newer = t.store.record({ key: "a" }, { key: "b" })
      t.same("what waits", t.store.pendingIds(), [a, ...unit, ...newer])
    },
  },
  {
    name: `an op that names ${limit.supersedes_max} others takes no more replacements`,
    run: (t) => {
      for (let n = 0; n <= limit.supersedes_max + 1; n++) t.store.record({ key: "a" })
      const lists = supersedes(t).map((list) => list.length)
      t.same("how many each one names", lists, [limit.supersedes_max, 0])
    },
  },
  {
    name: "a captureId given again records nothing, in the same unit, later, and when its op was settled or rejected",
    run: (t) => {
      const [one, two] = t.store.unit([{ capture_id: "event_1" }, { capture_id: "event_1" }])
      t.same("the op that stands for it", [two!.op_id, t.store.pending()], [one!.op_id, 1])
      const [dead] = t.store.record({ capture_id: "event_2" })
      t.store.settle({ [dead!]: "no_access" })
      t.reopen()
      const again = t.store.record({ capture_id: "event_1" }, { capture_id: "event_2", args: ["other"] })
      t.same("the ops that stand for them", [again, t.store.pending()], [[one!.op_id, dead], 0])
    },
  },
  {
    name: "a bookmark is written with its unit, only grows, and is there when the place is opened again",
    run: (t) => {
      const at = (place: number) => ({ source: "source", place, mark: `event_${place}` })
      t.store.unit([{}], at(5))
      t.store.recorder.recordBookmark(at(3))
      t.same("the bookmark", t.reopen().recorder.captures.bookmark("source"), at(5))
    },
  },
  {
    name: "what did not change is skipped, a change and the change back are not, and an ended key is new",
    run: (t) => {
      const put = (value: number, key = "msg/1/a") => ({ key, only_if_changed: true, args: [value] })
      const record = (op: object) => {
        t.store.freeze()
        return t.store.record(op)[0]!
      }
      const first = record(put(1))
      t.same("the same again", record(put(1)), first)
      record(put(2))
      record(put(1))
      t.same("pending after a change and the change back", t.store.pending(), 3)
      record(put(1, "msg/10"))
      record({ ends_keys: "msg/1/" })
      record(put(1))
      record(put(1, "msg/10"))
      t.same("pending after the keys below msg/1/ were ended", t.store.pending(), 6)
    },
  },
  {
    name: "a dependency by key is the first op of the key, and an op that came too late is only noted",
    run: (t) => {
      const put = (value: number) => ({ key: "a", only_if_changed: true, args: [value] })
      const [first] = t.store.record(put(1))
      t.store.freeze()
      const [latest] = t.store.record(put(2))
      t.store.record({ depends_on_keys: ["a", "nothing"] })
      const late = t.store.unit([{ ...put(0), stale: true, capture_id: "event_1" }])[0]!
      t.same("the op of the newer state stands for it", [late.op_id, late.seq], [latest, undefined])
      t.same("it is noted", t.store.recorder.captures.captured(t.store.stream_id, "event_1"), { op_id: latest })
      t.same("dependencies", t.store.freeze().at(-1)!.ops.at(-1)!.depends_on, [first])
    },
  },
  {
    name: "at the quota nothing more is recorded, what is only retained makes room, and after a drain it goes on",
    run: (t) => {
      // Beside what the host has there, and the pages of our own tables.
      const page = (name: string) => Object.values(t.store.db.query(`pragma ${name}`).get() as object)[0] as number
      const used = (page("page_count") - page("freelist_count")) * page("page_size")
      t.reopen({ outbox_bytes_max: used + 400_000 })
      const op = { args: ["x".repeat(50_000)] }
      const fill = () => {
        for (let n = 0; n < 20; n++) {
          try {
            t.store.record(op)
          } catch {
            return n
          }
        }
        return 20
      }
      const held = fill()
      t.same("it held some, and not all", held > 0 && held < 20, true)
      t.refuses("one more", "outbox_full", () => t.store.record(op))
      t.store.settle()
      t.same("as many once they are settled", fill(), held)
    },
  },
]
