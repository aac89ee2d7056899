/** Blocks of the outbox itself: a full disk, a file that is gone, a full quota. They end by themselves. */
import { describe, expect, test } from "bun:test"
import { renameSync } from "node:fs"
import { hintOf } from "../../src/flusher/block.ts"
import type { Outbox } from "../../src/outbox.ts"
import { ScopedDatabase } from "../scoped-database.ts"
import { errorOf } from "../sturdy-error.ts"
import { fixedRandom, openBox, record } from "./box.ts"

const half = { random: fixedRandom(0.5) }

function heard(outbox: Outbox): string[] {
  const seen: string[] = []
  outbox.onAny((event) => {
    if (event.name === "blocked" || event.name === "unblocked" || event.name === "fault")
      seen.push(`${event.name} ${event.name === "fault" ? event.message : event.reason}`)
  })
  return seen
}

describe("disk_full", () => {
  /** A host's database on a "disk" that takes no further page; 90 ops whose dead letters would need some. */
  async function fullBox() {
    const box = await openBox(half)
    const database = new ScopedDatabase(box.dir.file("host.db"))
    database.run("pragma journal_mode = wal")
    const outbox = box.open({}, { database })
    const stream = box.stream(outbox)
    outbox.pause()
    for (let n = 0; n < 90; n++) stream.record({ method: "poison", args: ["x".repeat(500)] })
    const seen = heard(outbox)
    const { page_count } = database.query("pragma page_count").get() as { page_count: number }
    database.run(`pragma max_page_count = ${page_count}`)
    outbox.resume()
    return {
      box,
      outbox,
      stream,
      seen,
      free: () => database.run("pragma max_page_count = 1000000"),
      async [Symbol.asyncDispose]() {
        await box[Symbol.asyncDispose]()
        database.close()
      },
    }
  }

  test("while settling: said once, with what to do; flush says that the stream stands", async () => {
    await using it = await fullBox()
    await it.box.turn(60_000, 1_000)
    expect(it.seen).toEqual(["blocked disk_full"])
    expect(it.stream.status().block).toMatchObject({ reason: "disk_full", hint: hintOf("disk_full") })
    expect(await it.outbox.flush()).toMatchObject({ settled: false, blocked: [{ stream: "s", reason: "disk_full" }] })
    expect(it.stream.status()).toMatchObject({ pending: 90, dead: 0 })
  })

  test("the service is asked ever less often for an answer that cannot be written down", async () => {
    await using it = await fullBox()
    await it.box.turn(3_600_000, 5_000)
    expect(it.box.sent.length).toBeLessThan(3_600 / 30 + 15)
    expect(it.box.sent.length).toBeGreaterThan(10)
  })

  test("with space again everything is settled, with the same handle and without a call", async () => {
    await using it = await fullBox()
    await it.box.turn(10_000, 1_000)
    it.free()
    await it.box.turn(60_000, 1_000)
    expect(it.seen).toEqual(["blocked disk_full", "unblocked disk_full"])
    expect(it.stream.status()).toMatchObject({ pending: 0, dead: 90, block: undefined })
  })

  test("a record that meets it throws, says so, and the next that goes through ends it", async () => {
    await using box = await openBox(half)
    using database = new ScopedDatabase(box.dir.file("host.db"))
    const outbox = box.open({}, { database })
    const stream = box.stream(outbox)
    const seen = heard(outbox)
    const { page_count } = database.query("pragma page_count").get() as { page_count: number }
    database.run(`pragma max_page_count = ${page_count}`)
    const big = () => stream.record({ method: "put", args: ["x".repeat(100_000)] })
    expect([errorOf(big).code, errorOf(big).code]).toEqual(["disk_full", "disk_full"])
    database.run("pragma max_page_count = 1000000")
    big()
    expect(seen).toEqual(["blocked disk_full", "unblocked disk_full"])
    await box.close(outbox)
  })
})

describe("outbox_full", () => {
  const quota = { outboxBytesMax: 2 * 1024 * 1024 }
  const big = "x".repeat(100_000)

  test("is said once however many records are refused; sending goes on, and draining ends it without a record", async () => {
    await using box = await openBox(half)
    const outbox = box.open(quota)
    const stream = box.stream(outbox)
    const seen = heard(outbox)
    outbox.pause()
    let recorded = 0
    const refused = errorOf(() => {
      for (; recorded < 100; recorded++) stream.record({ method: "put", args: [`${recorded}`, big] })
    })
    expect(refused.code).toBe("outbox_full")
    for (let n = 0; n < 3; n++) errorOf(() => stream.record({ method: "put", args: ["more", big] }))
    expect(seen).toEqual(["blocked outbox_full"])
    expect(stream.status().block).toMatchObject({ reason: "outbox_full", hint: hintOf("outbox_full") })
    outbox.resume()
    // Recording stands, sending does not.
    expect(await box.run(outbox.flush())).toEqual({ settled: true, blocked: [] })
    await box.turn(2_000)
    expect(seen).toEqual(["blocked outbox_full", "unblocked outbox_full"])
    expect(box.effects).toHaveLength(recorded)
    record(stream, "again")
  })

  test("stays as long as nothing can be sent", async () => {
    await using box = await openBox(half)
    const outbox = box.open(quota)
    const stream = box.stream(outbox)
    const seen = heard(outbox)
    outbox.pause()
    errorOf(() => {
      for (let n = 0; n < 100; n++) stream.record({ method: "put", args: [big] })
    })
    await box.turn(120_000, 1_000)
    expect(seen).toEqual(["blocked outbox_full"])
  })
})

describe.if(process.platform === "linux")("database_moved", () => {
  test("is said once; the file put back, what was pending is sent, without a restart", async () => {
    await using box = await openBox(half)
    const outbox = box.open()
    const stream = box.stream(outbox)
    const seen = heard(outbox)
    outbox.pause()
    record(stream, "1")
    const file = box.dir.file()
    renameSync(file, `${file}.away`)
    for (let n = 0; n < 3; n++) errorOf(() => record(stream, "2"))
    outbox.resume()
    await box.turn(10_000, 500)
    expect(await outbox.flush()).toMatchObject({ settled: false, blocked: [{ reason: "database_moved" }] })
    expect([seen, box.sent.length]).toEqual([["blocked database_moved"], 0])
    expect(stream.status().block).toMatchObject({ reason: "database_moved", hint: hintOf("database_moved") })
    renameSync(`${file}.away`, file)
    await box.turn(5_000, 500)
    expect(seen).toEqual(["blocked database_moved", "unblocked database_moved"])
    // What threw said that it is not known: here it was written, into the file that came back.
    expect(box.effects).toEqual(["1", "2", "2", "2"])
  })

  test("while nothing is pending: a flush does not say that all is well", async () => {
    await using box = await openBox(half)
    const outbox = box.open()
    record(box.stream(outbox), "1")
    await box.run(outbox.flush())
    renameSync(box.dir.file(), box.dir.file("away.db"))
    expect(await box.run(outbox.flush())).toMatchObject({ settled: false, blocked: [{ reason: "database_moved" }] })
  })
})
