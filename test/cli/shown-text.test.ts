/** Views in words: what a shell can be given, what a terminal must not get, and what lifts each block. */
import { resolve } from "node:path"
import { afterEach, beforeEach, describe, expect, test } from "bun:test"
import { styleText } from "node:util"
import { batchLines } from "../../src/cli/text/batch-text.ts"
import { cureOf, cureOfAll } from "../../src/cli/text/block-cure.ts"
import { leaseText } from "../../src/cli/text/lease-text.ts"
import { streamTable } from "../../src/cli/text/stream-table.ts"
import { commandLine, quoted } from "../../src/cli/outbox/command-line.ts"
import { payloadText } from "../../src/cli/output/payload.ts"
import { type Column, tableLines } from "../../src/cli/output/table.ts"
import { printable, toned } from "../../src/cli/output/terminal.ts"
import type { blockTable } from "../../src/flusher/block.ts"
import type { BatchSummary } from "../../src/inspect/batches.ts"
import type { LeaseSummary } from "../../src/inspect/lease.ts"
import type { OpSummary } from "../../src/inspect/ops.ts"
import type { StreamSummary } from "../../src/inspect/status.ts"

const place = { file: "/tmp/o.db", by: "--db" } as const

describe("a word of a command that is proposed", () => {
  const words = ["plain-1.db", "two words", "it's", `"$HOME" \`id\``, "~", "*", "a;b", "", "-x", "日本", "a\\b"]
  test("reaches the command as it was, by a shell", () => {
    const { stdout } = Bun.spawnSync(["sh", "-c", `printf '%s\\n' ${words.map(quoted).join(" ")}`])
    expect(stdout.toString()).toBe(words.map((word) => `${word}\n`).join(""))
  })

  const bash = Bun.which("bash")
  test.skipIf(!bash)("with control characters has none in what is printed, and bash reads them back", () => {
    const odd = ["red\u001b[31m", "two\nlines", "it's\ta \\ b", "\u009b"]
    for (const word of odd) expect(quoted(word)).not.toMatch(/\p{Cc}/u)
    const { stdout } = Bun.spawnSync([bash!, "-c", `printf '%s|' ${odd.map(quoted).join(" ")}`], {
      env: { LC_ALL: "C.UTF-8" },
    })
    expect(stdout.toString()).toBe(odd.map((word) => `${word}|`).join(""))
  })
})

test("what is printed moves no cursor, colours nothing, breaks no line and turns none around", () => {
  for (const code of [0x00, 0x07, 0x0a, 0x1b, 0x7f, 0x85, 0x9b, 0x2028, 0x2029, 0x200f, 0x202e, 0x2066, 0x2069])
    expect(printable(`a${String.fromCharCode(code)}b`)).toBe(`a\\u${code.toString(16).padStart(4, "0")}b`)
  expect(printable("é 日本 👨‍👩‍👧‍👦")).toBe("é 日本 👨‍👩‍👧‍👦")
})

describe("colour", () => {
  const names = ["NO_COLOR", "FORCE_COLOR", "TERM"]
  let before: (string | undefined)[]
  beforeEach(() => {
    before = names.map((name) => process.env[name])
  })
  afterEach(() =>
    names.forEach((name, index) => {
      if (before[index] === undefined) delete process.env[name]
      else process.env[name] = before[index]
    }),
  )
  const isColoured = (env: Record<string, string>) => {
    for (const name of names) delete process.env[name]
    Object.assign(process.env, env)
    return toned("bad", "x") === styleText("red", "x", { validateStream: false })
  }

  test("is forced by FORCE_COLOR, but not against NO_COLOR, nor by a 0", () => {
    expect(isColoured({ FORCE_COLOR: "1" })).toBeTrue()
    expect(isColoured({ FORCE_COLOR: "1", NO_COLOR: "1" })).toBeFalse()
    expect(isColoured({ FORCE_COLOR: "0" })).toBeFalse()
  })

  test("is the cell's own, outside of what its column measures", () => {
    process.env.FORCE_COLOR = "1"
    delete process.env.NO_COLOR
    const columns: Column<string>[] = [
      { title: "A", text: (row) => row, tone: (_, cell) => toned("bad", cell) },
      { title: "B", text: () => "b" },
    ]
    expect(tableLines(["x"], columns)[1]).toBe(`${toned("bad", "x")}  b`)
  })
})

test("the column that matters least is left out first, the next one after it", () => {
  const columns: Column<string>[] = [
    { title: "KEPT", text: (row) => row },
    { title: "FIRST", text: (row) => row, drop: 1 },
    { title: "THIRD", text: (row) => row, drop: 3 },
    { title: "SECOND", text: (row) => row, drop: 2 },
  ]
  const titles = (width: number) => tableLines(["x"], columns, width)[0]
  expect([26, 25, 18, 10].map(titles)).toEqual([
    "KEPT  FIRST  THIRD  SECOND",
    "KEPT  FIRST  SECOND",
    "KEPT  FIRST",
    "KEPT",
  ])
})

test("of two texts that do not fit the longer gives way", () => {
  const columns: Column<string>[] = [
    { title: "A", text: () => "short", shrink: 2 },
    { title: "B", text: () => "a long text of many", shrink: 2 },
  ]
  expect(tableLines(["x"], columns, 15)[1]).toBe("short  a long …")
})

test("of a stream its name, state, what is pending and dead stay, then why; what it has behind it goes first", () => {
  const stream = {
    stream: "a",
    state: "waiting",
    pending: 1,
    dead: 0,
    attempts: 2,
    last_error: "refused",
  } as StreamSummary
  const more = { cursor: 0, recorded: 1, block: null, next_attempt_at: 5_000, time_oldest: 0, time_last_ack: null }
  const titlesAt = (width: number) =>
    streamTable([{ ...stream, ...more }], { now: 9_000, lease: null, width })[0]!
      .trim()
      .split(/ +(?!ACK)/)
  const all = ["STREAM", "STATE", "PENDING", "OLDEST", "DEAD", "CURSOR", "LAST ACK", "TRIES", "NEXT", "WHY"]
  const without = (...gone: string[]) => all.filter((title) => !gone.includes(title))
  const seen = new Set(Array.from({ length: 80 }, (_, n) => titlesAt(99 - n).join()))
  const dropped = ["CURSOR", "LAST ACK", "TRIES", "OLDEST", "NEXT", "WHY"]
  expect([...seen]).toEqual(
    dropped.map((_, n) => without(...dropped.slice(0, n)).join()).concat(without(...dropped).join()),
  )
})

describe("what lifts a block", () => {
  const commands: Record<keyof typeof blockTable, string | undefined> = {
    revoked: "sturdy unblock 'a b' --secret-file FILE --db /tmp/o.db",
    expired: "sturdy unblock 'a b' --secret-file FILE --db /tmp/o.db",
    scope_denied: "sturdy unblock 'a b' --db /tmp/o.db",
    share_unknown: "sturdy ref show 'a b' --db /tmp/o.db",
    share_removed: undefined,
    server_reset: "sturdy unblock 'a b' --db /tmp/o.db",
    other_server: "sturdy unblock 'a b' --accept-server --db /tmp/o.db",
    unsupported: "sturdy unblock 'a b' --db /tmp/o.db",
    too_large: "sturdy unblock 'a b' --db /tmp/o.db",
    service_fault: "sturdy unblock 'a b' --db /tmp/o.db",
    damaged: "sturdy doctor --db /tmp/o.db",
    outbox_full: undefined,
    disk_full: undefined,
    database_moved: undefined,
  }
  test.each(Object.entries(commands))("%s is %p", (reason, command) => {
    expect(cureOf(reason, "a b", place).command).toBe(command!)
  })

  test("of several streams is one command for all where nothing is each one's own", () => {
    expect(cureOfAll("too_large", "a", place).command).toBe("sturdy unblock --all --reason too_large --db /tmp/o.db")
    for (const reason of ["revoked", "other_server", "share_unknown"])
      expect(cureOfAll(reason, "a", place)).toEqual({
        text: `${cureOf(reason, "a", place).text} (for each of them)`,
        command: cureOf(reason, "a", place).command,
      })
  })

  test("is not guessed for a reason that only a newer Sturdy knows", () => {
    for (const cure of [cureOf, cureOfAll])
      expect(cure("constructor", "a", place)).toEqual({
        text: expect.stringContaining("newer Sturdy"),
        command: undefined,
      })
  })
})

describe("the lease in words", () => {
  const now = 1_000_000
  const lease: LeaseSummary = { term: 3, state: "held", host: "vm", pid: 7, alive: true, time_expires: now + 9_000 }
  test.each<[Partial<LeaseSummary>, string]>([
    [{}, "held by pid 7 on vm (alive), term 3"],
    [{ alive: null }, "held by pid 7 on vm, of which nothing is known here, term 3; over in 9 s if not renewed"],
    [{ state: "free", time_expires: 0 }, "free, term 3; last held by pid 7 on vm"],
    [{ state: "dead", alive: false }, "of pid 7 on vm, which has died; term 3; the next that flushes takes it at once"],
    [
      { state: "expired", time_expires: now - 5_000 },
      "over for 5 s, term 3: pid 7 on vm did not give it back; the next that flushes takes it",
    ],
  ])("%j", (more, text) => {
    expect(leaseText({ ...lease, ...more }, now)).toBe(text)
  })

  test("whoever holds it sends; else it is sent when somebody flushes", () => {
    const stream = { stream: "a", state: "pending", pending: 1, block: null, next_attempt_at: null } as StreamSummary
    const row = (held: LeaseSummary | null) =>
      streamTable(
        [{ ...stream, cursor: 0, recorded: 1, dead: 0, attempts: 0, time_oldest: now, time_last_ack: null }],
        {
          now,
          lease: held,
          width: undefined,
        },
      )[1]
    expect(row(lease)).toContain("being sent")
    for (const none of [null, { ...lease, state: "free" }] as const) expect(row(none)).toContain("when flushed")
  })
})

describe("a payload", () => {
  const long = "x".repeat(500)
  test("is shortened, and says to what it was, unless it is asked for in full", () => {
    expect(payloadText(long, false)).toBe(`${"x".repeat(400)}… (500 characters: --payload shows all)`)
    expect(payloadText(long, true)).toBe(long)
  })

  test("holds no control character, shortened or not", () => {
    for (const full of [false, true]) expect(payloadText("\u009b[31m", full)).toBe("\\u009b[31m")
  })
})

describe("a batch", () => {
  const batch: BatchSummary = {
    batch_id: "b",
    stream: "a",
    state: "in_flight",
    first_seq: 6,
    last_seq: 7,
    ops: 2,
    bytes: 9,
    rejected: 0,
    time_frozen: 0,
    time_settled: null,
  }
  const op = (op_id: string, seq: number, more: Partial<OpSummary> = {}): OpSummary => ({
    op_id,
    seq,
    stream: "a",
    state: "in_flight",
    method: "put",
    key: null,
    depends_on: [],
    bytes: 4,
    time_created: 0,
    continues: false,
    ...more,
  })

  test("names what its ops depend on beyond it, which the graph cannot draw", () => {
    const [first, second] = batchLines(
      batch,
      [op("x", 6, { depends_on: ["w"] }), op("y", 7, { depends_on: ["x"] })],
      9,
    ).slice(3)
    expect(first).toEndWith("put  ← w")
    expect(second).toEndWith("put")
  })

  test("whose ops are not kept any more says so", () => {
    expect(batchLines({ ...batch, rejected: 1 }, [], 9)).toEqual([
      "batch b  in_flight",
      expect.stringMatching(/; 1 rejected$/),
      "",
      "  its ops are not kept any more",
    ])
  })
})

test("a command is proposed for any folder, with the outbox that was named, and without one that nobody named", () => {
  expect(commandLine({ file: "my outbox.db", by: "--db" }, "flush")).toBe(
    `sturdy flush --db '${resolve("my outbox.db")}'`,
  )
  expect(commandLine({ file: "/x", by: "STURDY_DB" }, "flush")).toBe("sturdy flush --db /x")
  expect(commandLine({ file: "/x", by: "opencode" }, "flush")).toBe("sturdy flush")
})
