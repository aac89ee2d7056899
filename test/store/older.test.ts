/** Two versions on one outbox file: the released one of schema 1 and this one, which adds columns. */
import { expect, test } from "bun:test"
import { checkInvariants } from "../../src/inspect/invariant/check.ts"
import { serveShareService } from "../../src/service/index.ts"
import { readingOutbox } from "../../src/store/reading.ts"
import { migrations } from "../../src/store/migration.gen.ts"
import type { Outbox } from "../../src/outbox.ts"
import type { TransportRequest } from "../../src/wire/transport.ts"
import { type Box, fixedRandom, openBox, record, responseOf, status } from "../flusher/box.ts"
import { openOutbox as openOlder } from "../fixture/older/outbox-schema-1.js"
import { openOutbox } from "../../src/outbox.ts"
import { ScopedDatabase } from "../scoped-database.ts"
import { tempDir } from "../temp-dir.ts"
import { startChild } from "./child.ts"

/** Two handles stand for two processes: each version has a registry of open files of its own. */
const openBoth = (box: Box) => {
  const transport = async ({ url, body }: { url: string; body: string }) => {
    const response = await box.service.fetch(new Request(url, { method: "POST", body }))
    return { status: response.status, retry_after: null, content_type: null, body: await response.text() }
  }
  const opened: Outbox[] = []
  const faults: unknown[] = []
  const opening = (open: typeof openOutbox) => () => {
    const outbox = open(box.dir.file(), { seams: box.seams, transport })
    outbox.on("fault", ({ cause }) => faults.push(cause))
    opened.push(outbox)
    return outbox
  }
  return {
    older: opening(openOlder),
    newer: opening(openOutbox),
    async [Symbol.asyncDispose]() {
      for (const outbox of opened) await box.run(outbox.close({ flush_ms: 0 }))
      expect(faults).toEqual([])
      const findings = readingOutbox(box.dir.file(), (db) => [...checkInvariants(db)])
      expect(findings.filter(({ kind }) => kind === "finding")).toEqual([])
    },
  }
}

const versionOf = (file: string) => {
  using db = new ScopedDatabase(file, { readonly: true })
  return (db.query("select version from sturdy_meta").get() as { version: number }).version
}

test("the older opens a file that the newer made: each records, each sends what both have recorded", async () => {
  await using box = await openBox()
  await using both = openBoth(box)
  const newer = both.newer()
  record(box.stream(newer), "1")
  const older = both.older()
  record(box.stream(older), "2")
  record(box.stream(newer), "3")
  expect(await box.run(older.flush())).toEqual({ settled: true, blocked: [] })
  record(box.stream(older), "4")
  record(box.stream(newer), "5")
  record(box.stream(older), "6")
  expect(await box.run(newer.flush())).toEqual({ settled: true, blocked: [] })
  expect(box.effects).toEqual(["1", "2", "3", "4", "5", "6"])
  expect([box.row().twin_count, box.row().gap_count, versionOf(box.dir.file())]).toEqual([0, 0, migrations.length])
})

test("the newer migrates while the older has it open, with its statements prepared, and both go on", async () => {
  await using box = await openBox()
  await using both = openBoth(box)
  const older = both.older()
  record(box.stream(older), "1 2")
  await box.run(older.flush())
  record(box.stream(older), "3")
  expect(versionOf(box.dir.file())).toBe(1)
  const newer = both.newer()
  expect(versionOf(box.dir.file())).toBe(migrations.length)
  record(box.stream(older), "4")
  record(box.stream(newer), "5")
  record(box.stream(older), "6")
  expect(await box.run(older.flush())).toEqual({ settled: true, blocked: [] })
  record(box.stream(older), "7")
  expect(await box.run(newer.flush())).toEqual({ settled: true, blocked: [] })
  expect(box.effects).toEqual(["1", "2", "3", "4", "5", "6", "7"])
})

test("a newer op replaces an older one of its key, whichever version recorded which", async () => {
  await using box = await openBox()
  await using both = openBoth(box)
  const outboxes = [both.newer(), both.older()]
  for (const outbox of outboxes) outbox.pause()
  const put = (outbox: Outbox, name: string) => box.stream(outbox).record({ method: "put", args: [name], key: "k" })
  for (const [n, name] of ["a", "b", "c", "d", "e"].entries()) put(outboxes[n % 2]!, name)
  for (const outbox of outboxes) outbox.resume()
  await box.run(outboxes[1]!.flush())
  expect(box.effects).toEqual(["e"])
})

test("a batch that the one froze and never heard of is sent again by the other, with the same text", async () => {
  for (const first of ["older", "newer"] as const) {
    await using box = await openBox()
    const seen: string[] = []
    const file = box.dir.file()
    const lost = async ({ url, body }: { url: string; body: string }) => {
      await box.service.fetch(new Request(url, { method: "POST", body }))
      seen.push(body)
      throw new Error("the answer is lost")
    }
    const dying = (first === "older" ? openOlder : openOutbox)(file, { seams: box.seams, transport: lost })
    record(box.stream(dying), "1 2 3")
    await box.turn(100)
    await box.run(dying.close({ flush_ms: 0 }))
    await using both = openBoth(box)
    const next = first === "older" ? both.newer() : both.older()
    expect(await box.run(next.flush())).toEqual({ settled: true, blocked: [] })
    expect([seen.length > 0, box.effects]).toEqual([true, ["1", "2", "3"]])
    expect(box.answers.at(-1)).toMatchObject({ duplicates: { length: 3 } })
  }
})

test("what the newer was asked for, the older waits for; and a leftover of it holds up nobody", async () => {
  await using box = await openBox({ random: fixedRandom(0.99) })
  const told = [status(503, "60"), status(502)]
  const transport = async (request: TransportRequest) =>
    (told.shift() ?? ((deliver) => deliver()))(
      async () => responseOf(await box.service.fetch(new Request(request.url, { method: "POST", body: request.body }))),
      request,
    )
  const options = { seams: box.seams, transport }
  const newer = openOutbox(box.dir.file(), options)
  record(box.stream(newer), "1")
  await box.turn(100)
  await box.run(newer.close({ flush_ms: 0 }))
  const { retry_after_at } = box.row()
  // Set back, so that the leftover lies ahead: the longest that the older waits is an hour.
  box.clock.jump(-2 * 3_600_000)
  const older = openOlder(box.dir.file(), { ...options, leaseMs: 30_000 })
  await box.turn(3_599_000, 10_000)
  expect(told).toHaveLength(1)
  await box.turn(1_200)
  expect(told).toHaveLength(0)
  await box.run(older.close({ flush_ms: 0 }))
  expect(box.row()).toMatchObject({ retry_after_at, last_error: "http_502" })
  const again = openOutbox(box.dir.file(), options)
  await box.turn(1_000)
  expect(box.effects).toEqual(["1"])
  await box.run(again.close({ flush_ms: 0 }))
})

test("two processes, one of each version, record and send at the same time: nothing is lost, doubled or reordered", async () => {
  await using dir = tempDir()
  const names: string[] = []
  const service = serveShareService({
    file: dir.file("service.db"),
    port: 0,
    methods: { put: (_, name) => void names.push(String(name)) },
  })
  const ref = { service: `${service.url}/rpc/share`, share_id: "share_of_two_versions", secret: "s".repeat(43) }
  {
    const first = openOlder(dir.file())
    first.stream("s", ref, { create: { session_id: "ses_1" } })
    await first.flush()
    await first.close()
  }
  await using older = startChild([
    process.execPath,
    `${import.meta.dir}/older-fixture.ts`,
    dir.file(),
    JSON.stringify(ref),
    "200",
  ])
  expect(await older.line()).toBe("open")
  const newer = openOutbox(dir.file())
  const stream = newer.stream("s", ref)
  older.go()
  for (let n = 0; n < 200; n++) {
    stream.record({ method: "put", args: [`newer ${n}`] })
    await new Promise((resolve) => setImmediate(resolve))
  }
  expect(await newer.flush()).toEqual({ settled: true, blocked: [] })
  expect(JSON.parse((await older.line())!)).toEqual({ settled: true, blocked: [] })
  expect(await older.end()).toBe(0)
  await newer.close()
  await service.stop()
  const of = (who: string) => names.filter((name) => name.startsWith(who))
  const wanted = (who: string) => Array.from({ length: 200 }, (_, n) => `${who} ${n}`)
  expect([of("older"), of("newer"), names.length]).toEqual([wanted("older"), wanted("newer"), 400])
})
