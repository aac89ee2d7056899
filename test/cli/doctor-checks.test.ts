/** Checks of `sturdy doctor`, each on a real outbox that is a little wrong, or looks so and is not. */
import { afterAll, describe, expect, test } from "bun:test"
import { chmodSync, chownSync, copyFileSync, statSync, writeFileSync } from "node:fs"
import { dirname } from "node:path"
import { clockCheck } from "../../src/cli/doctor/clock.ts"
import type { Check, Context, Finding, Observation } from "../../src/cli/doctor/check.ts"
import { databaseCheck, schemaCheck } from "../../src/cli/doctor/database.ts"
import { diskCheck, leftoverCheck, permissionCheck } from "../../src/cli/doctor/file.ts"
import { leaseCheck } from "../../src/cli/doctor/lease.ts"
import { sizeCheck, streamCheck } from "../../src/cli/doctor/streams.ts"
import * as limit from "../../src/intent/limit.ts"
import { openOutbox } from "../../src/outbox.ts"
import { processIdentity } from "../../src/store/process-identity.ts"
import { readingOutbox } from "../../src/store/reading.ts"
import { suspect } from "../../src/store/suspect.ts"
import { tempDir } from "../temp-dir.ts"
import { outboxWith, ref, tamper } from "./doctor-box.ts"

const isRoot = process.getuid?.() === 0
const hour_ms = 3_600_000

const base = tempDir()
afterAll(() => base[Symbol.asyncDispose]())
await outboxWith(base)

/** A copy of an outbox with three pending ops, changed; alone in a folder of its own. */
async function findingsOf(
  check: Check,
  change: (file: string) => unknown = () => {},
  more: Partial<Context> = {},
): Promise<Finding[]> {
  await using dir = tempDir()
  const file = dir.file()
  copyFileSync(base.file(), file)
  chmodSync(file, 0o600)
  change(file)
  const context: Context = {
    place: { file, by: "--db" },
    file,
    now: Date.now(),
    hostTables: [],
    unopened: undefined,
    found: [],
    offline: true,
    headersFor: () => ({}),
    read: (look) => readingOutbox(file, look),
    progress: () => {},
    ...more,
  }
  const found = await Array.fromAsync(check.run(context) as AsyncIterable<Observation>)
  return found.map((each) => ({ ...each, check: check.name, message: each.message.replaceAll(dir.path, "") }))
}

const sql =
  (...statements: string[]) =>
  (file: string) =>
    tamper(file, ...statements)

const levels = (found: Finding[]) => found.map(({ level }) => level)

describe("permissions", () => {
  test.each(["-wal", "-shm", "-journal", ".damaged-20260301T120000Z"])(
    "of a %s that others may read are wrong",
    async (suffix) => {
      const found = await findingsOf(permissionCheck, (file) => {
        writeFileSync(file + suffix, "x")
        chmodSync(file + suffix, 0o640)
      })
      expect(levels(found)).toEqual(["wrong"])
      expect(found[0]!.message).toContain(`outbox.db${suffix} is 0640`)
      expect(found[0]!.command).toMatch(/^chmod 600 \S+$/)
    },
  )

  test("of a file that is one with the host's tables are a warning: the host says what becomes of it", async () => {
    const open = (file: string) => chmodSync(file, 0o644)
    expect(levels(await findingsOf(permissionCheck, open, { hostTables: ["session"] }))).toEqual(["warning"])
  })

  test("of a folder like /tmp, in which nobody may touch another's files, are a note", async () => {
    // Bun 1.3.14's chmod() knows no sticky bit.
    const found = await findingsOf(permissionCheck, (file) => Bun.spawnSync(["chmod", "1777", dirname(file)]))
    expect(found[0]).toMatchObject({ level: "note", folder_mode: "1777" })
  })

  test("that are as they should be are ok", async () => {
    expect(levels(await findingsOf(permissionCheck))).toEqual(["ok"])
  })

  test.skipIf(!isRoot)("of another user's file are noted to root, who may do all", async () => {
    const found = await findingsOf(permissionCheck, (file) => chownSync(file, 12345, 12345))
    expect(found[0]).toMatchObject({ level: "note", owner: 12345 })
  })
})

test("the disk is told with its file system and what is free", async () => {
  const found = await findingsOf(diskCheck)
  expect(found.at(-1)).toMatchObject({ free_bytes: expect.any(Number), check: "disk" })
  expect(found.at(-1)).toHaveProperty("file_system")
})

describe("leftovers", () => {
  test("of another file that was being put aside are no reason to go on with it", async () => {
    const found = await findingsOf(leftoverCheck, (file) =>
      suspect(file, "put aside", Date.now(), statSync(file).ino + 1),
    )
    expect(found).toMatchObject([{ level: "warning" }])
    expect(found[0]).not.toHaveProperty("condemned")
  })

  test("of more than five damaged files are counted", async () => {
    const found = await findingsOf(leftoverCheck, (file) => {
      for (let n = 0; n < 7; n++) writeFileSync(`${file}.damaged-${n}`, "x")
    })
    expect(found).toHaveLength(6)
    expect(found.at(-1)).toMatchObject({ level: "warning", message: "and 2 more damaged files" })
  })
})

describe("the database", () => {
  test("that can never shrink is noted", async () => {
    const found = await findingsOf(databaseCheck, sql("pragma auto_vacuum = none", "vacuum"))
    expect(found[0]).toMatchObject({ level: "note", auto_vacuum: 0 })
  })

  test("of an older schema is noted with what brings it up", async () => {
    const found = await findingsOf(schemaCheck, sql("update sturdy_meta set version = 1"))
    expect(found.at(-1)).toMatchObject({ level: "note", version_of_file: 1 })
  })
})

describe("the lease", () => {
  const { host, boot_id, pid } = processIdentity()
  const lease = (row: { boot?: string; pid: number; expires: number }) =>
    sql(
      `insert into sturdy_lease values (1, 7, 'o', '${host}', '${row.boot ?? boot_id}', ${row.pid}, '1', ${row.expires})`,
    )

  test.skipIf(boot_id === "")("of another container is noted: its holder cannot be seen", async () => {
    const elsewhere = `${boot_id.split(" ")[0]} pid:[1]`
    const found = await findingsOf(leaseCheck, lease({ boot: elsewhere, pid: 4242, expires: Date.now() + 9_000 }))
    expect(found).toMatchObject([{ level: "note", place: "another namespace" }])
  })

  test.skipIf(boot_id === "")("of a process that has died is noted: the next takes it", async () => {
    const over = Bun.spawnSync(["true"]).pid
    const found = await findingsOf(leaseCheck, lease({ pid: over, expires: Date.now() + 9_000 }))
    expect(found).toMatchObject([{ level: "note", state: "dead" }])
  })

  test("that was given back is ok", async () => {
    expect(await findingsOf(leaseCheck, lease({ pid, expires: 0 }))).toMatchObject([{ level: "ok", state: "free" }])
  })
})

describe("clocks", () => {
  test("by which a stream was blocked in the future are told", async () => {
    const at = Date.now() + 9 * hour_ms
    const found = await findingsOf(
      clockCheck,
      sql(`update sturdy_stream set block = 'too_large', time_blocked = ${at}`),
    )
    expect(found).toMatchObject([{ level: "warning", time_blocked: at }])
    expect(found[0]!.message).toContain("it was blocked")
  })

  test("by which a Retry-After or a probe lies as far ahead as it may are right", async () => {
    for (const change of [
      `next_attempt_at = ${Date.now() + limit.retry_after_ms_max}, retry_after_at = ${Date.now() + limit.retry_after_ms_max}`,
      `block = 'too_large', next_attempt_at = ${Date.now() + limit.probe_delay_ms_max}`,
    ])
      expect(levels(await findingsOf(clockCheck, sql(`update sturdy_stream set ${change}`)))).toEqual(["ok"])
  })
})

describe("streams", () => {
  const old = `update sturdy_op set time_created = ${Date.now() - 2 * hour_ms}`

  test("whose ops are old and that nobody sends are told, unless somebody holds the lease or they are tried", async () => {
    const { host, boot_id } = processIdentity()
    const held = `insert into sturdy_lease values (1, 7, 'o', '${host}', '${boot_id} other', 1, '1', ${Date.now() + 9_000})`
    expect(levels(await findingsOf(streamCheck, sql(old)))).toEqual(["warning"])
    expect(levels(await findingsOf(streamCheck, sql(old, held)))).toEqual(["ok"])
    expect(levels(await findingsOf(streamCheck, sql(old, "update sturdy_stream set attempts = 1")))).toEqual(["ok"])
  })

  test("whose ops were recorded just now are ok", async () => {
    expect(levels(await findingsOf(streamCheck))).toEqual(["ok"])
  })

  test("that met twins and resets are noted: they were handled", async () => {
    const found = await findingsOf(streamCheck, sql("update sturdy_stream set twin_count = 2, reset_count = 1"))
    expect(found).toMatchObject([{ level: "note", twins: 2, server_resets: 1 }])
  })

  test("that stand for a damaged op get out what is whole, and are not sent to the doctor again", async () => {
    const found = await findingsOf(streamCheck, sql("update sturdy_stream set block = 'damaged'"))
    expect(found).toMatchObject([{ level: "wrong", command: expect.stringMatching(/^sturdy export /) }])
  })

  test("that are many and wrong in one way are counted from the eleventh on, as wrong", async () => {
    await using dir = tempDir()
    const outbox = openOutbox(dir.file())
    outbox.pause()
    for (let n = 1; n <= 12; n++) outbox.stream(`s${n}`, { ...ref, share_id: `share_of_the_test_${n}` })
    await outbox.close({ flush_ms: 0 })
    tamper(dir.file(), "update sturdy_stream set block = 'revoked'")
    const found = await findingsOf(streamCheck, (file) => copyFileSync(dir.file(), file))
    expect(found).toHaveLength(11)
    expect(found.at(-1)).toMatchObject({ level: "wrong", message: "and 2 more streams like these" })
  })
})

describe("sizes", () => {
  const post_room_bytes = limit.post_bytes_max - limit.post_overhead_bytes

  test("that no POST can carry are wrong", async () => {
    const grow = `update sturdy_op set args = '"' || replace(hex(zeroblob(${post_room_bytes / 2})), '0', 'x') || '"' where seq = (select max(seq) from sturdy_op)`
    expect(await findingsOf(sizeCheck, sql(grow))).toMatchObject([
      { level: "wrong", bytes: post_room_bytes + 2, command: expect.stringContaining("--state pending") },
    ])
  })

  test("near what the service takes are noted, and well below it ok", async () => {
    const bytes = Buffer.byteLength(JSON.stringify([[{ n: 0, secret: ref.secret }]]))
    const takes = (most: number) => sql(`update sturdy_stream set op_bytes_max = ${most}`)
    expect(levels(await findingsOf(sizeCheck, takes(bytes - 1)))).toEqual(["warning"])
    expect(levels(await findingsOf(sizeCheck, takes(bytes + 1)))).toEqual(["note"])
    expect(levels(await findingsOf(sizeCheck, takes(bytes * 2)))).toEqual(["ok"])
  })

  test("of what was settled are of no account", async () => {
    const settled = "update sturdy_stream set op_bytes_max = 1, cursor = cursor + 3, frozen_seq = cursor + 3"
    expect(levels(await findingsOf(sizeCheck, sql(settled)))).toEqual(["ok"])
  })
})
