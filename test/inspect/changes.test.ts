/** What two looks at an outbox tell: a table of differences, then the same of a real outbox. */
import { describe, expect, test } from "bun:test"
import { changesBetween, type StreamChange } from "../../src/inspect/changes.ts"
import type { LeaseChange } from "../../src/inspect/lease-changes.ts"
import type { LeaseSummary } from "../../src/inspect/lease.ts"
import { type Look, readLook } from "../../src/inspect/look.ts"
import type { StreamSummary } from "../../src/inspect/status.ts"
import { openOutbox } from "../../src/outbox.ts"
import { ScopedDatabase } from "../scoped-database.ts"
import { tempDir } from "../temp-dir.ts"
import { summaryOf } from "./stream-summary.ts"

const idle = summaryOf({
  posts: 4,
  batches: 4,
  superseded: 1,
  protocol: "rpc",
  epoch: 1,
  recorded: 10,
  cursor: 10,
  time_last_ack: 500,
  retained_ops: 9,
  retained_bytes: 900,
})
const pending: StreamSummary = { ...idle, state: "pending", recorded: 15, pending: 5 }
const waiting: StreamSummary = {
  ...pending,
  state: "waiting",
  attempts: 2,
  next_attempt_at: 2_000,
  last_error: "refused",
}
const blocked: StreamSummary = { ...pending, state: "blocked", block: "revoked", block_message: "gone" }

const look = (...streams: StreamSummary[]): Look => ({ time: 1_000, outbox_id: "a", streams, lease: null })

const rows: [what: string, before: StreamSummary | undefined, after: StreamSummary, changes: object[]][] = [
  ["nothing happened", waiting, waiting, []],
  ["the grant was told", idle, { ...idle, url: "http://x/share/1", epoch: 2 }, []],
  ["ops were recorded", idle, pending, [{ type: "recorded", ops: 5 }]],
  [
    "a key was written twice before it was sent: one place more, as many pending",
    pending,
    { ...pending, recorded: 16, superseded: 2 },
    [
      { type: "recorded", ops: 1 },
      { type: "superseded", ops: 1 },
    ],
  ],
  [
    "some were settled",
    pending,
    { ...pending, cursor: 13, pending: 2, batches: 6 },
    [{ type: "settled", ops: 3, batches: 2 }],
  ],
  [
    "all were settled, with places between that were superseded before",
    { ...pending, pending: 4 },
    { ...idle, recorded: 15, cursor: 15, batches: 5 },
    [{ type: "settled", ops: 4, batches: 1 }, { type: "drained" }],
  ],
  [
    "ops came and went between the looks",
    idle,
    { ...idle, recorded: 17, cursor: 17, batches: 6, superseded: 2 },
    [
      { type: "recorded", ops: 7 },
      { type: "superseded", ops: 1 },
      { type: "settled", ops: 6, batches: 2 },
      { type: "drained" },
    ],
  ],
  [
    "an attempt failed",
    pending,
    { ...waiting, attempts: 1 },
    [{ type: "failed", probe: false, attempts: 1, error: "refused", next_attempt_at: 2_000 }],
  ],
  [
    "one failed, and before it some were settled: it counts from 1 again",
    { ...waiting, attempts: 1 },
    { ...waiting, attempts: 1, next_attempt_at: 3_000, pending: 3, cursor: 12, batches: 5 },
    [
      { type: "settled", ops: 2, batches: 1 },
      { type: "failed", probe: false, attempts: 1, error: "refused", next_attempt_at: 3_000 },
    ],
  ],
  ["the attempts are over", waiting, { ...pending, attempts: 0 }, []],
  [
    "the probe of a block failed",
    blocked,
    { ...blocked, attempts: 1, next_attempt_at: 9_000, last_error: "busy" },
    [{ type: "failed", probe: true, attempts: 1, error: "busy", next_attempt_at: 9_000 }],
  ],
  [
    "ops were rejected, and some decided by their Ack as applied",
    pending,
    { ...idle, recorded: 15, cursor: 15, dead: 2, batches: 5 },
    [{ type: "settled", ops: 5, batches: 1 }, { type: "drained" }, { type: "rejected", ops: 2 }],
  ],
  ["a person decided about dead letters", { ...idle, dead: 3 }, { ...idle, dead: 1 }, [{ type: "decided", ops: 2 }]],
  ["it was blocked", waiting, blocked, [{ type: "blocked", reason: "revoked", message: "gone" }]],
  ["it was unblocked", blocked, pending, [{ type: "unblocked", reason: "revoked" }]],
  [
    "another block took the place of one",
    blocked,
    { ...blocked, block: "expired", block_message: null },
    [
      { type: "unblocked", reason: "revoked" },
      { type: "blocked", reason: "expired", message: null },
    ],
  ],
  ["a twin was met", pending, { ...pending, twins: 1 }, [{ type: "twin" }]],
  [
    "the service lost what it had acknowledged, also dead letters: they are pending again, and none was decided by a person",
    { ...idle, dead: 1 },
    { ...idle, state: "pending", server_resets: 1, cursor: 2, pending: 8 },
    [{ type: "server_reset", ops: 8 }],
  ],
  ["its removal was recorded", pending, { ...pending, state: "removing" }, [{ type: "removing" }]],
  [
    "its share was removed: what was pending is not settled",
    { ...pending, state: "removing" },
    { ...idle, state: "removed", recorded: 15 },
    [{ type: "removed", discarded: 5 }],
  ],
  [
    "it was opened",
    undefined,
    { ...idle, recorded: 0, cursor: 0, posts: 0, batches: 0, superseded: 0 },
    [{ type: "opened", service: idle.service }],
  ],
  [
    "it was opened, and all sent",
    undefined,
    { ...idle, recorded: 3, cursor: 3, batches: 1, superseded: 1 },
    [
      { type: "opened", service: idle.service },
      { type: "recorded", ops: 3 },
      { type: "superseded", ops: 1 },
      { type: "settled", ops: 2, batches: 1 },
      { type: "drained" },
    ],
  ],
  [
    "it was opened, and blocked",
    undefined,
    { ...blocked, recorded: 5, cursor: 0, batches: 0, superseded: 0 },
    [
      { type: "opened", service: idle.service },
      { type: "recorded", ops: 5 },
      { type: "blocked", reason: "revoked", message: "gone" },
    ],
  ],
]

describe("of a stream", () => {
  for (const [what, before, after, changes] of rows)
    test(what, () => {
      const found = changesBetween(look(...(before ? [before] : [])), look(after))
      const expected = changes.map((change) => ({ stream: "notes", ...change }) as StreamChange)
      expect(found).toEqual(expected)
    })
})

const held: LeaseSummary = { term: 3, state: "held", host: "vm", pid: 7, alive: true, time_expires: 5_000 }
const holder = { host: "vm", pid: 7, term: 3 }
const next: LeaseSummary = { ...held, term: 4, pid: 8 }

const leases: [what: string, before: LeaseSummary | null, after: LeaseSummary | null, changes: LeaseChange[]][] = [
  ["nothing was ever flushed", null, null, []],
  ["it was renewed", held, { ...held, time_expires: 9_000 }, []],
  ["it was taken for the first time", null, held, [{ type: "lease_taken", after: null, ...holder }]],
  ["it was given back", held, { ...held, state: "free", time_expires: 0 }, [{ type: "lease_given_back", ...holder }]],
  [
    "it was taken again, and given back",
    { ...held, state: "free", term: 2 },
    { ...held, state: "free" },
    [
      { type: "lease_taken", after: { ...holder, term: 2, state: "free" }, ...holder },
      { type: "lease_given_back", ...holder },
    ],
  ],
  ["its holder died", held, { ...held, state: "dead", alive: false }, [{ type: "lease_left", dead: true, ...holder }]],
  ["it was not renewed", held, { ...held, state: "expired" }, [{ type: "lease_left", dead: false, ...holder }]],
  [
    "another took it over from the dead",
    { ...held, state: "dead" },
    next,
    [{ type: "lease_taken", after: { ...holder, state: "dead" }, host: "vm", pid: 8, term: 4 }],
  ],
  ["it was renewed late", { ...held, state: "expired" }, held, []],
]

describe("of the lease", () => {
  for (const [what, before, after, changes] of leases)
    test(what, () => {
      expect(changesBetween({ ...look(), lease: before }, { ...look(), lease: after })).toEqual(changes)
    })
})

test("another outbox in its place is compared with nothing", () => {
  const other = { ...look({ ...pending, stream: "other" }), outbox_id: "b", lease: held }
  expect(changesBetween(look(idle), other)).toEqual([{ type: "replaced", outbox_id: "b" }])
})

test("a real outbox, looked at before and after, tells what was recorded, replaced and opened", async () => {
  await using dir = tempDir()
  await using outbox = openOutbox(dir.file())
  outbox.pause()
  const looked = () => {
    using db = new ScopedDatabase(dir.file(), { readonly: true })
    return readLook(db, 1_000)
  }
  const ref = { service: idle.service, share_id: "share_of_the_test_0", secret: "canary_secret_0123456789abcdef" }
  const notes = outbox.stream("notes", ref)
  const before = looked()
  for (const title of ["a", "b", "c"])
    notes.record({ method: "put", args: [title], key: title === "c" ? "k/1" : "k/2" })
  outbox.stream("drafts", { ...ref, share_id: "share_of_the_test_1" })
  expect(changesBetween(before, looked())).toEqual([
    { type: "recorded", stream: "notes", ops: 3 },
    { type: "superseded", stream: "notes", ops: 1 },
    { type: "opened", stream: "drafts", service: idle.service },
  ])
  void outbox.close({ flush_ms: 0 })
})

test("a look is of one instant: what a host does between its reads is in none of them", async () => {
  await using dir = tempDir()
  await using outbox = openOutbox(dir.file())
  outbox.pause()
  const ref = { service: idle.service, share_id: "share_of_the_test_0", secret: "canary_secret_0123456789abcdef" }
  const notes = outbox.stream("notes", ref)
  using db = new ScopedDatabase(dir.file(), { readonly: true })
  const prepare = db.prepare.bind(db)
  // As a host would between the first read and the next.
  db.prepare = ((sql: string) => {
    if (sql.includes("sturdy_stream stream")) notes.record({ method: "put", args: [1] })
    return prepare(sql)
  }) as typeof db.prepare
  expect(readLook(db, 1_000).streams).toMatchObject([{ pending: 0 }])
  expect(readLook(db, 1_000).streams).toMatchObject([{ pending: 1 }])
  void outbox.close({ flush_ms: 0 })
})
