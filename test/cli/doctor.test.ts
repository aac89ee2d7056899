/** `sturdy doctor`: each thing that can be wrong is really made wrong, found, and nothing is changed by looking. */
import { describe, expect, test } from "bun:test"
import { chmodSync, copyFileSync, linkSync, readFileSync, statSync, symlinkSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { findingLines } from "../../src/cli/doctor/report.ts"
import { fileSystemOf } from "../../src/cli/doctor/file-system.ts"
import { serveShareService } from "../../src/service/index.ts"
import { suspect } from "../../src/store/suspect.ts"
import { openQuietOutbox } from "../store/box.ts"
import { leafOf, ruin } from "../store/damage.ts"
import { tempDir, type TempDir } from "../temp-dir.ts"
import { startChild } from "../torture/child.ts"
import type { BusyHostSaid } from "./busy-host-fixture.ts"
import { diagnose, type Found, outboxWith, picture, tamper } from "./doctor-box.ts"
import { expectOneLine } from "./one-line.ts"
import { run } from "./run.ts"

const isRoot = process.getuid?.() === 0

test("a healthy outbox with nothing to send is all ok, and ends with 0", async () => {
  await using dir = tempDir()
  const { code, odd, all } = await diagnose(await outboxWith(dir, 0), [])
  expect({ code, odd }).toEqual({ code: 0, odd: [] })
  const names = [...new Set(all.map(({ check }) => check))]
  expect(names).toEqual(
    "runtime file permissions disk leftovers wal database schema pages invariants lease clock streams sizes connection".split(
      " ",
    ),
  )
})

interface Fault {
  /** Makes it, in the file of a closed outbox with three pending ops. */
  make(file: string, dir: TempDir): void
  check: string
  level: string
  says: RegExp
  command?: RegExp
  code?: number
}

const hour = 3_600_000
const ahead = Date.now() + 30 * 24 * hour
const lease = (host: string, expires: number) =>
  `insert into sturdy_lease values (1, 7, 'o', '${host}', '', 4242, '1', ${expires})`

const faults: Record<string, Fault> = {
  "a file that others may read": {
    make: (file) => chmodSync(file, 0o644),
    check: "permissions",
    level: "wrong",
    says: /outbox\.db is 0644/,
    command: /^chmod 600 /,
  },
  "a folder in which others may write": {
    make: (_, dir) => chmodSync(dir.path, 0o777),
    check: "permissions",
    level: "warning",
    says: /others may write in its folder \(0777\)/,
    command: /^chmod go-w /,
  },
  "a folder into which others may look": {
    make: (_, dir) => chmodSync(dir.path, 0o755),
    check: "permissions",
    level: "note",
    says: /0755/,
  },
  "a second hard link": {
    make: (file, dir) => linkSync(file, dir.file("second.db")),
    check: "file",
    level: "wrong",
    says: /2 names \(hard links\)/,
    command: /-samefile/,
  },
  "a -journal": {
    make: (file) => writeFileSync(`${file}-journal`, "left", { mode: 0o600 }),
    check: "leftovers",
    level: "warning",
    says: /-journal of 4 B/,
  },
  "damage that a host has met": {
    make: (file) => suspect(file, "record", Date.now() - 3 * hour),
    check: "leftovers",
    level: "warning",
    says: /damage was met in it 3 h ago, by: record/,
  },
  "an outbox that was being put aside when the process ended": {
    make: (file) => suspect(file, "put aside", Date.now(), statSync(file).ino),
    check: "leftovers",
    level: "wrong",
    says: /being put aside as damaged <1 s ago/,
    command: /^sturdy doctor --quarantine/,
  },
  "a damaged outbox that was put aside": {
    make: (file) => copyFileSync(file, `${file}.damaged-20260301T120000Z`),
    check: "leftovers",
    level: "warning",
    says: /was put aside: outbox\.db\.damaged-20260301T120000Z/,
    command: /^sturdy export --db .*damaged-20260301T120000Z$/,
  },
  "a damaged -wal that was kept": {
    make: (file) => writeFileSync(`${file}-wal.damaged-20260301T120000Z`, "frames", { mode: 0o600 }),
    check: "leftovers",
    level: "warning",
    says: /damaged -wal was kept/,
  },
  "a page that is damaged": {
    make: (file) => ruin(file, leafOf(file, "sturdy_op")),
    check: "pages",
    level: "wrong",
    says: /pages are damaged/,
    command: /^sturdy doctor --quarantine/,
  },
  "a schema page that is damaged": {
    make: (file) => writeFileSync(file, readFileSync(file).fill(0xff, 100, 4096), { mode: 0o600 }),
    check: "database",
    level: "wrong",
    says: /damaged/,
    command: /^sturdy doctor --quarantine/,
  },
  "the mark of another program": {
    make: (file) => tamper(file, "pragma application_id = 42"),
    check: "database",
    level: "warning",
    says: /application_id is 42/,
  },
  "a file that is not in WAL mode": {
    make: (file) => tamper(file, "pragma journal_mode = delete"),
    check: "database",
    level: "warning",
    says: /not in WAL mode/,
  },
  "an index that is gone": {
    make: (file) => tamper(file, "drop index sturdy_dead_letter_op_id_idx"),
    check: "schema",
    level: "wrong",
    says: /missing: index sturdy_dead_letter_op_id_idx/,
  },
  "a column that another program added": {
    make: (file) => tamper(file, "alter table sturdy_op add column mine text"),
    check: "schema",
    level: "wrong",
    says: /not as Sturdy made it: table sturdy_op/,
  },
  "a trigger of another program": {
    make: (file) => tamper(file, "create trigger mine after insert on sturdy_op begin select 1; end"),
    check: "schema",
    level: "warning",
    says: /not of Sturdy, on a table of Sturdy's: trigger mine/,
  },
  "an outbox of a newer Sturdy that this one may use": {
    make: (file) => tamper(file, "update sturdy_meta set version = 99"),
    check: "schema",
    level: "note",
    says: /schema 99, of a newer Sturdy/,
  },
  "an outbox of a newer Sturdy that this one must not use": {
    make: (file) => tamper(file, "update sturdy_meta set version = 99, compatible_version = 99"),
    check: "database",
    level: "wrong",
    says: /needs Sturdy with schema 99/,
  },
  "a host's own database": {
    make: (file) => tamper(file, "create table session (id text primary key)"),
    check: "database",
    level: "note",
    says: /host's own database, beside its tables session/,
  },
  "a lease beyond any length": {
    make: (file) => tamper(file, lease("elsewhere", ahead)),
    check: "lease",
    level: "warning",
    says: /longer than any lease: its clock was ahead/,
  },
  "a lease of another host": {
    make: (file) => tamper(file, lease("elsewhere", Date.now() + 9_000)),
    check: "lease",
    level: "warning",
    says: /pid 4242 on elsewhere, another host than this/,
  },
  "an op that was recorded in the future": {
    make: (file) => tamper(file, `update sturdy_op set time_created = ${ahead}`),
    check: "clock",
    level: "warning",
    says: /3 ops were recorded in the future, up to \d+ d in the future/,
  },
  "an attempt that is far away": {
    make: (file) => tamper(file, `update sturdy_stream set attempts = 1, last_error = 'x', next_attempt_at = ${ahead}`),
    check: "clock",
    level: "warning",
    says: /stream notes: its next attempt is in \d+ d/,
  },
  "silence that is asked for too long": {
    make: (file) => tamper(file, `update sturdy_stream set retry_after_at = ${ahead}`),
    check: "clock",
    level: "warning",
    says: /asked for silence until in \d+ d/,
  },
  "a block": {
    make: (file) => tamper(file, "update sturdy_stream set block = 'revoked', block_message = 'gone'"),
    check: "streams",
    level: "wrong",
    says: /stream notes is blocked: revoked \(gone\)/,
    command: /^sturdy unblock notes --secret-file FILE/,
  },
  "a dead letter": {
    make: (file) => tamper(file, "update sturdy_stream set dead_count = 1"),
    check: "streams",
    level: "wrong",
    says: /stream notes: 1 dead letter/,
    command: /^sturdy dead list --stream notes/,
  },
  "ops that nobody sends": {
    make: (file) => tamper(file, `update sturdy_op set time_created = ${Date.now() - 2 * hour}`),
    check: "streams",
    level: "warning",
    says: /3 ops wait, the oldest from 2 h ago, and nobody sends/,
    command: /^sturdy flush/,
  },
  "a service that never answered": {
    make: (file) => tamper(file, "update sturdy_stream set attempts = 9, post_count = 9, last_error = 'refused'"),
    check: "streams",
    level: "warning",
    says: /never answered, in 9 attempts \(refused\)/,
  },
  "a resync that is owed": {
    make: (file) => tamper(file, "update sturdy_stream set resync_owed = 'twin', twin_count = 1"),
    check: "streams",
    level: "warning",
    says: /resync hook is still to be told: twin/,
  },
  "an op over what its service takes": {
    make: (file) => tamper(file, "update sturdy_stream set op_bytes_max = 20"),
    check: "sizes",
    level: "warning",
    says: /its service takes 20 B: it lowered its limit/,
  },
}

describe("finds, and says what to do about it:", () => {
  for (const [what, { make, check, level, says, command }] of Object.entries(faults))
    test(what, async () => {
      await using dir = tempDir()
      const file = await outboxWith(dir)
      make(file, dir)
      const before = picture(dir)
      const { code, of, out, err } = await diagnose(file)
      const found = of(check).find((each) => says.test(each.message))
      expect(found ?? of(check)).toMatchObject({ check, level })
      if (level === "wrong" || level === "warning") expect(found).toHaveProperty("cure")
      if (command) expect(found!.command).toMatch(command)
      if (level === "wrong") expect(code).toBe(3)
      expect(out + err).not.toContain("canary")
      expect(picture(dir)).toEqual(before)
    })
})

test("the command that is proposed for permissions mends them", async () => {
  await using dir = tempDir()
  const file = await outboxWith(dir, 0)
  chmodSync(file, 0o644)
  const [found] = (await diagnose(file)).of("permissions")
  expect(Bun.spawnSync(["sh", "-c", found!.command!]).exitCode).toBe(0)
  expect((await diagnose(file)).odd).toEqual([])
})

test.skipIf(isRoot)("an outbox that this user may not read is told, with what to do", async () => {
  await using dir = tempDir()
  const file = await outboxWith(dir, 0)
  chmodSync(file, 0)
  const { code, of } = await diagnose(file)
  expect(code).toBe(3)
  expect(of("permissions")[0]).toMatchObject({ level: "wrong", command: expect.stringContaining("chmod u+rw") })
})

test("an outbox by the name of a link is looked at where it lies, with its -wal", async () => {
  await using dir = tempDir()
  // Its time stands still: it does not write its -wal back meanwhile.
  await using owner = openQuietOutbox(dir.file())
  owner.notes.record({ method: "put", args: [1] })
  symlinkSync(dir.file(), dir.file("link.db"))
  const { all } = await diagnose(dir.file("link.db"))
  expect(all.find(({ check }) => check === "wal")!.bytes).toBeGreaterThan(0)
  expect(all.find(({ check }) => check === "connection")!.message).toContain("1 service not asked")
})

test.each<[string, (file: string) => void]>([
  ["a file that is not there", () => {}],
  ["an empty file", (file) => writeFileSync(file, "")],
  [
    "a text file",
    (file) => writeFileSync(file, "not a database at all, but longer than a header would be\n".repeat(9)),
  ],
  ["a database of another app", (file) => tamper(file, "create table invoice (id)")],
])("%s is no outbox: one line, exit 1, unchanged", async (_, make) => {
  await using dir = tempDir()
  make(dir.file())
  const before = picture(dir)
  const ran = await run(["doctor", "--db", dir.file()])
  expect(ran.code).toBe(1)
  expectOneLine(ran)
  expect(picture(dir)).toEqual(before)
})

test("beside a host that records and sends flat out it finds nothing wrong, and the host meets no lock", async () => {
  await using dir = tempDir()
  await using service = serveShareService({ file: dir.file("service.db"), port: 0, methods: { put: () => null } })
  const fixture = join(import.meta.dir, "busy-host-fixture.ts")
  await using host = startChild<BusyHostSaid>(fixture, { file: dir.file(), service: `${service.url}/rpc/share` })
  await host.heard((said): said is BusyHostSaid & { is: "recording" } => said.is === "recording")
  const wrong: Found[] = []
  for (let round = 0; round < 5; round++)
    wrong.push(...(await diagnose(dir.file(), [])).odd.filter(({ level }) => level === "wrong" || level === "warning"))
  host.finish()
  const ended = await host.heard((said): said is BusyHostSaid & { is: "ended" } => said.is === "ended")
  expect(wrong).toEqual([])
  expect(ended.errors).toEqual([])
  expect(ended.settled).toBe(ended.recorded)
})

test("what is printed for people fits 40 columns, but for commands, which are to be pasted", () => {
  const finding = {
    check: "permissions",
    level: "wrong",
    message: "others may read it, with the secrets of its shares: outbox.db is 0644",
    cure: "Let only its owner read and write:",
    command: "chmod 600 /a/path/that/is/longer/than/the/terminal/is/wide/outbox.db",
  } as const
  const lines = findingLines(finding, 40)
  for (const line of lines.slice(0, -1)) expect(Bun.stringWidth(line)).toBeLessThanOrEqual(40)
  expect(lines[0]).toStartWith("✗ permissions: others may read it")
  expect(lines.at(-1)!.trim()).toBe(finding.command)
})

test("file systems that several machines share, or that are a container's own, are told", () => {
  expect([0x6969, 0xff534d42, 0x01021997, 0x794c7630].map((type) => fileSystemOf(type, "linux")?.level)).toEqual(
    Array(4).fill("warning"),
  )
  // As a signed number, which statfs gives on some machines.
  expect(fileSystemOf(0xff534d42 | 0, "linux")?.name).toBe("CIFS")
  expect(fileSystemOf(0xef53, "linux")?.level).toBe("ok")
  expect(fileSystemOf(0x6969, "darwin")).toBeUndefined()
})

test("for people each finding has its mark, the cure below it, and the count in the end", async () => {
  await using dir = tempDir()
  const file = await outboxWith(dir)
  tamper(file, "update sturdy_stream set block = 'revoked', block_message = 'gone'")
  const { code, out, err } = await run(["doctor", "--offline", "--db", file])
  expect({ code, err }).toEqual({ code: 3, err: "" })
  expect(out).toMatch(/^✓ pages /m)
  expect(out).toMatch(/^✗ streams +stream notes is blocked: revoked/m)
  expect(out).toContain(`sturdy unblock notes --secret-file FILE --db ${file}\n`)
  expect(out).toMatch(/\n\d+ checks: 1 wrong; a person is needed\n$/)
})
