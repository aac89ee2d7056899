/** How an outbox stands: every number of a stream, told of one in which each thing happened. */
import { afterAll, describe, expect, test } from "bun:test"
import { copyFileSync } from "node:fs"
import { readLease } from "../../src/inspect/lease.ts"
import { needsPerson, readStatus, readStreams, type StreamSummary } from "../../src/inspect/status.ts"
import { outboxFileSummary } from "../../src/inspect/outbox-file.ts"
import { processIdentity } from "../../src/store/process-identity.ts"
import { ScopedDatabase } from "../scoped-database.ts"
import { tempDir } from "../temp-dir.ts"
import { began, lived, viewed } from "./lived.ts"

const dir = tempDir()
afterAll(() => dir[Symbol.asyncDispose]())
lived(dir.file())

let copies = 0

/** The same after somebody changed it. */
function changed(...statements: string[]): string {
  const file = dir.file(`changed-${(copies += 1)}.db`)
  copyFileSync(dir.file(), file)
  using db = new ScopedDatabase(file)
  for (const sql of statements) db.run(sql)
  return file
}

const streamAfter = (...statements: string[]): StreamSummary => viewed(changed(...statements), readStreams)[0]!

describe("a stream", () => {
  const [notes, others] = viewed(dir.file(), readStreams) as [StreamSummary, StreamSummary]

  test("has pending what is behind its cursor, without places whose op was replaced", () => {
    expect([notes.recorded, notes.cursor, notes.pending, notes.superseded]).toEqual([11, 5, 5, 1])
  })

  test("has in flight what was frozen and is not settled", () => {
    expect([notes.in_flight, others.in_flight]).toEqual([3, 0])
  })

  test("has the time of its oldest pending op, not of its newest", () => {
    expect([notes.time_oldest, others.time_oldest]).toEqual([began + 8_000, began + 12_000])
  })

  test("had its last Ack when its last settled batch was, whatever is in flight", () => {
    expect([notes.time_last_ack, others.time_last_ack]).toEqual([began + 7_000, null])
  })

  test("counts places of its own only", () => {
    expect([others.recorded, others.cursor, others.pending]).toEqual([1, 0, 1])
  })

  test("has kept what the retention holds, and its dead letters", () => {
    expect([notes.retained_ops, notes.dead, notes.batches]).toEqual([5, 2, 2])
  })

  test("that is removed has nothing pending, in flight or oldest", () => {
    expect(streamAfter("update sturdy_stream set time_removal = 1, time_closed = 2")).toMatchObject({
      state: "removed",
      pending: 0,
      in_flight: 0,
      time_oldest: null,
    })
  })
})

describe("the state of a stream", () => {
  const states: [state: StreamSummary["state"], change: string][] = [
    ["pending", "attempts = 0"],
    ["waiting", "attempts = 2, next_attempt_at = 9"],
    ["waiting", "attempts = 2"],
    ["waiting", "next_attempt_at = 9"],
    ["removing", "time_removal = 1, attempts = 2"],
    ["blocked", "block = 'revoked', time_removal = 1"],
    ["removed", "time_closed = 1, block = 'revoked'"],
  ]
  test.each(states)("is %s with %s", (state, change) => {
    expect(streamAfter(`update sturdy_stream set ${change} where stream_id = 1`).state).toBe(state)
  })

  test("is idle with nothing pending, though an attempt was announced", () => {
    const idle = "update sturdy_stream set cursor = cursor + 6, frozen_seq = cursor + 6, gap_count = 0"
    expect(streamAfter(idle, "update sturdy_stream set next_attempt_at = 9").state).toBe("idle")
  })
})

test.each([
  [null, 0, false],
  ["revoked", 0, true],
  [null, 1, true],
])("with the block %p and %i dead letters, a person is needed: %p", (block, dead, needed) => {
  expect(needsPerson({ block, dead })).toBe(needed)
})

test("the sums are those of all streams", () => {
  expect(viewed(dir.file(), readStatus)).toMatchObject({ version: 1, pending: 6, dead: 2, streams: { length: 2 } })
})

describe("the lease", () => {
  const { host, boot_id, pid, pid_started } = processIdentity()
  const now = 1_000_000
  const leaseOf = (row: { host?: string; boot?: string; pid?: number; expires: number }) => {
    const { host: of = host, boot = boot_id, pid: holder = pid, expires } = row
    const values = `7, 'o', '${of}', '${boot}', ${holder}, '${holder === pid ? pid_started : "1"}', ${expires}`
    const file = changed("delete from sturdy_lease", `insert into sturdy_lease values (1, ${values})`)
    return viewed(file, (db) => readLease(db, now))
  }
  const over = Bun.spawnSync(["true"]).pid

  test("of a process that lives is held, and it is alive", () => {
    expect(leaseOf({ expires: now + 1 })).toMatchObject({ state: "held", alive: boot_id === "" ? null : true })
  })

  test("that was given back is free, whoever had it", () => {
    expect(leaseOf({ expires: 0 })!.state).toBe("free")
    expect(leaseOf({ expires: 0, pid: over })!.state).toBe("free")
  })

  test("whose time is over is not held", () => {
    expect(leaseOf({ expires: now })!.state).toBe("expired")
  })

  test.skipIf(boot_id === "")("of a process of here that has ended is dead, though its time is not over", () => {
    expect(leaseOf({ expires: now + 9_000, pid: over })).toMatchObject({ state: "dead", alive: false })
  })

  test("of another host or boot is held, and of its holder nothing is known", () => {
    expect(leaseOf({ expires: now + 1, host: "elsewhere", pid: over })).toMatchObject({ state: "held", alive: null })
    expect(leaseOf({ expires: now + 1, boot: "another", pid: over })).toMatchObject({ state: "held", alive: null })
  })

  test("that nobody ever took is none", () => {
    expect(viewed(changed("delete from sturdy_lease"), (db) => readLease(db, now))).toBeNull()
  })
})

test("what was put aside beside an outbox is named once, without its own -wal", async () => {
  await using folder = tempDir()
  const names = [
    "outbox.db",
    "outbox.db.damaged-1",
    "outbox.db.damaged-1-wal",
    "outbox.db-wal.damaged-2",
    "other.db.damaged-3",
  ]
  for (const name of names) await Bun.write(folder.file(name), "x")
  const { put_aside, bytes, wal_bytes } = outboxFileSummary(folder.file())
  expect(put_aside).toEqual([folder.file("outbox.db-wal.damaged-2"), folder.file("outbox.db.damaged-1")])
  expect([bytes, wal_bytes]).toEqual([1, 0])
})
