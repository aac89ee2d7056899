/** Freezing and settling: batches, what became of each op, dead letters, and who may write any of it. */
import { createHash } from "node:crypto"
import * as limit from "../../intent/limit.ts"
import { settlementOf, wholeWindow } from "./store-parts.ts"
import type { StoreCase } from "./store-case.ts"
import type { StoreTrial } from "./store-trial.ts"

const many = (count: number, op = {}) => Array.from({ length: count }, () => op)

const sent = (t: StoreTrial) => t.store.freeze().map(({ batch_id, ops }) => ({ batch_id, ops }))

export const settleCases: readonly StoreCase[] = [
  {
    name: `batches are whole, of at most ${limit.batch_ops_max} ops, in order, as many as the window takes`,
    run: (t) => {
      const ids = t.store.record(...many(250))
      const first = t.store.freeze({ batches_max: 2, bytes_max: limit.post_bytes_max })
      t.same(
        "ops of the first window",
        first.map(({ ops }) => ops.map((op) => op.op_id)),
        [ids.slice(0, 100), ids.slice(100, 200)],
      )
      t.store.settle({}, {}, first)
      t.same(
        "ops of the next",
        t.store.freeze().map(({ ops }) => ops.map((op) => op.op_id)),
        [ids.slice(200)],
      )
    },
  },
  {
    name: "the same batches go out again, with the same text, until they are settled, and when the place is opened again",
    run: (t) => {
      t.store.record({ args: ["ü\ud800"] }, {})
      const first = sent(t)
      t.store.record({ key: "a" })
      t.same("the first batch", sent(t).slice(0, 1), first)
      t.reopen()
      t.same("the first batch after a restart", sent(t).slice(0, 1), first)
    },
  },
  {
    name: "a unit is never split, and a frozen batch is cut between units only, with the text of its ops as it was",
    run: (t) => {
      t.store.record(...many(60))
      t.store.unit(many(90))
      t.store.record({})
      const before = t.store.freeze()
      const sizes = before.map((batch) => batch.ops.length)
      t.same("ops of each batch", sizes, [60, 91])
      t.store.freezer.cut(t.store.term(), before[1]!)
      const after = t.store.freeze()
      t.same(
        "ops of each batch, cut",
        after.map((batch) => batch.ops.length),
        [60, 90, 1],
      )
      const text = (batches: typeof before) => JSON.stringify(batches.flatMap((batch) => batch.ops))
      t.same("the text of the ops", text(after), text(before))
      t.same("distinct batch_ids", new Set(after.map((batch) => batch.batch_id)).size, 3)
    },
  },
  {
    name: "settling moves the cursor by exactly the ops of the batch, and says of each what became of it",
    run: (t) => {
      const [applied, dead, superseded, waiting] = t.store.record({ want_result: true }, {}, {}, ...many(100))
      const [batch] = t.store.freeze()
      t.store.settle({ [dead!]: "no_access", [superseded!]: "superseded" }, {}, [batch!])
      const states = [applied, dead, superseded, waiting].map((op_id) => t.store.stateOf(op_id!)?.state)
      t.same("states", states, ["applied", "dead", "superseded", "applied"])
      t.same("the result", t.store.stateOf(applied!), { state: "applied", result: '{"id":"r"}' })
      const { settled_op_id, base_cursor, base_head_op_id, dead_count } = t.reopen().stream()
      t.same("pending, dead, base", [t.store.pending(), dead_count, base_cursor], [3, 1, 100])
      t.same("settled and head", [settled_op_id, base_head_op_id], many(2, batch!.ops.at(-1)!.op_id))
    },
  },
  {
    name: "a settlement is written whole or not at all, and never for a batch that is not the next one",
    run: (t) => {
      t.store.record(...many(150))
      const batches = t.store.freeze()
      t.changesNothing("a settlement of the second batch alone", () => t.store.settle({}, {}, [batches[1]!]))
      t.store.db.run(
        `create temp trigger no_second before update of time_settled on sturdy_batch
         when new.first_seq = ${batches[1]!.first_seq} begin select raise(abort, 'no'); end`,
      )
      t.changesNothing("a settlement whose second batch fails", () => t.store.settle({}, {}, batches))
      t.store.db.run("drop trigger no_second")
      t.store.settle({}, {}, batches)
      t.changesNothing("the same settlement again", () => t.store.settle({}, {}, batches))
      t.same("pending", t.store.pending(), 0)
    },
  },
  {
    name: "attempts, the time of the next one, the last error and a block are there when the place is opened again",
    run: (t) => {
      const asked = { next_attempt_at: 77, retry_after_at: 76 }
      const kept = { attempts: 3, ...asked, last_error: "http_503", block: "revoked", block_message: "m" }
      t.store.record({})
      t.store.settle({}, { patch: kept }, [])
      const row = t.reopen().stream()
      const { attempts, next_attempt_at, retry_after_at, last_error, block, block_message } = row
      const found = { attempts, next_attempt_at, retry_after_at, last_error, block, block_message }
      t.same("the retry state", found, kept)
    },
  },
  {
    name: "only the holder of the lease freezes, cuts and settles: with a term that was lost not a row changes",
    run: (t) => {
      t.store.record({}, {})
      const term = t.store.term()
      const batches = t.store.freeze()
      t.store.record({})
      t.clock.turn(limit.lease_ms)
      t.same("another holder", t.foreignLease("somebody").acquire(), { held: true, term: term + 1 })
      const { freezer, settler, lease, stream_id } = t.store
      t.changesNothing("freezing", () => freezer.freeze(term, stream_id, () => wholeWindow))
      t.changesNothing("cutting", () => freezer.cut(term, batches[0]!))
      t.changesNothing("settling", () => settler.settle(term, stream_id, settlementOf(batches)))
      t.changesNothing("renewing", () => lease.renew(term))
      t.changesNothing("releasing", () => lease.release(term))
    },
  },
  {
    name: "the lease is held by one, its term grows by one, and it is free after its length though the wall clock went back",
    run: (t) => {
      const [one, two] = [t.foreignLease("one"), t.foreignLease("two")]
      t.same("taken", one.acquire(), { held: true, term: 1 })
      t.same("not taken twice", two.acquire().held, false)
      t.clock.turn(limit.lease_ms / 2)
      t.same("renewed", one.renew(1), true)
      t.clock.jump(-86_400_000)
      two.acquire()
      t.clock.turn(limit.lease_ms - 1)
      t.same("still held", two.acquire().held, false)
      t.clock.turn(1)
      t.same("taken over", two.acquire(), { held: true, term: 2 })
      t.same("the first one's word", [one.isHeld(1), one.renew(1)], [false, false])
      two.release(2)
      t.same("taken when it was given back", one.acquire(), { held: true, term: 3 })
    },
  },
  {
    name: "a dead letter is kept whole, and its retry is a new op of a derived id, with what hangs on it, once",
    run: (t) => {
      const [first] = t.store.record({ args: ["kept"], key: "a" })
      const [second] = t.store.record({ depends_on: [first!] })
      t.store.settle({ [first!]: "no_access", [second!]: "dependency_rejected" })
      t.reopen()
      const letters = t.store.deadLetters.page(t.store.stream_id, { args: true })
      const shown = letters.map(({ op_id, code, key, args }) => [op_id, code, key, args])
      t.same("the dead letters", shown, [
        [first, "no_access", "a", '[["kept"]]'],
        [second, "dependency_rejected", undefined, "[[]]"],
      ])
      const { retried } = t.store.deadLetters.retry(t.store.stream_id, first!)
      const as = [first!, second!].map((op_id) => derived(op_id))
      t.same(
        "what was recorded for them",
        retried.map((one) => one.as_op_id),
        as,
      )
      const again = () => t.store.deadLetters.retry(t.store.stream_id, first!)
      t.refuses("the same retry again", "dead_letter_decided", again)
      const ops = t.store.freeze().flatMap((batch) => batch.ops)
      t.same(
        "what goes out",
        ops.map(({ op_id, args, depends_on }) => [op_id, args, depends_on]),
        [
          [as[0], '[["kept"]]', []],
          [as[1], "[[]]", [as[0]]],
        ],
      )
    },
  },
  {
    name: "a dead letter that is discarded takes what hangs on it along, and is decided for good",
    run: (t) => {
      const [first] = t.store.record({})
      const [second] = t.store.record({ depends_on: [first!] })
      t.store.settle({ [first!]: "no_access", [second!]: "dependency_rejected" })
      t.same("given up", t.store.deadLetters.discard(t.store.stream_id, first!), [first, second])
      t.reopen()
      t.same("its state", t.store.stateOf(first!), { state: "discarded", code: "no_access" })
      t.refuses("a retry after that", "dead_letter_decided", () => t.store.deadLetters.retry(t.store.stream_id, first!))
      t.same("dead letters left", t.store.stream().dead_count, 0)
    },
  },
]

/** First 16 bytes of SHA-256 over the fixed text, as a ULID: copies of one outbox retry under the same id. */
function derived(op_id: string): string {
  const digest = createHash("sha256").update(`sturdy/dead-letter-retry/${op_id}/1`).digest()
  const bits = [...digest.subarray(0, 16)].reduce((sum, byte) => sum * 256n + BigInt(byte), 0n)
  const alphabet = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
  return Array.from({ length: 26 }, (_, at) => alphabet[Number((bits >> BigInt(5 * (25 - at))) & 31n)]).join("")
}
