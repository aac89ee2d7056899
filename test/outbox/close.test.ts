/** close(): what it can be told, and that it always ends with nothing running and the file free. */
import { Database } from "bun:sqlite"
import { describe, expect, test } from "bun:test"
import { openOutbox, type Seams } from "../../src/index.ts"
import { doEach } from "../../src/closing.ts"
import { fail, hold, openBox, record, type Box } from "../flusher/box.ts"
import { leafOf, page_bytes } from "../store/damage.ts"
import { rejectionOf } from "../sturdy-error.ts"
import { tempDir } from "../temp-dir.ts"

/** Sees every timer before it is set. */
function seamsWith({ clock, seams }: Box, onTimer: (delay_ms: number) => void): Seams {
  return {
    ...seams,
    clock: {
      now: () => clock.now(),
      monotonic: () => clock.monotonic(),
      soon: (callback) => clock.soon(callback),
      block: (delay_ms) => clock.block(delay_ms),
      timer(delay_ms, callback) {
        onTimer(delay_ms)
        return clock.timer(delay_ms, callback)
      },
    },
  }
}

const bad: [what: string, options: unknown][] = [
  ["NaN", { flush_ms: NaN }],
  ["a negative time", { flush_ms: -1 }],
  ["a text", { flush_ms: "5000" }],
  ["an object for a time", { flush_ms: {} }],
  ["a name that is none", { flushMs: 5 }],
  ["a number", 5],
]

describe("close refuses, and the outbox stays open, for", () => {
  test.each(bad)("%s", async (_, options) => {
    await using box = await openBox()
    const outbox = box.open()
    expect((await rejectionOf(outbox.close(options as never))).code).toBe("invalid_argument")
    record(box.stream(outbox), "1")
    await box.run(outbox.flush())
    expect(box.effects).toEqual(["1"])
  })
})

test("close(null) is close()", async () => {
  await using box = await openBox()
  const outbox = box.open()
  record(box.stream(outbox), "1")
  await box.run(outbox.close(null))
  expect(box.effects).toEqual(["1"])
})

for (const flush_ms of [Infinity, Number.MAX_VALUE, 2 ** 31])
  test(`close({ flush_ms: ${flush_ms} }) flushes as long as it takes, and starts no timer that is out of range`, async () => {
    await using box = await openBox()
    const delays: number[] = []
    const outbox = box.open({ seams: seamsWith(box, (delay_ms) => delays.push(delay_ms)) })
    box.always(fail("refused"))
    record(box.stream(outbox), "1")
    let closed = false
    const closing = outbox.close({ flush_ms }).then(() => {
      closed = true
    })
    await box.turn(60_000, 1_000)
    expect(closed).toBeFalse()
    box.always(undefined)
    await box.run(closing)
    expect(box.effects).toEqual(["1"])
    expect(Math.max(...delays)).toBeLessThan(2 ** 31)
  })

test("a second close with a shorter budget ends the flush of the first; disposing does not", async () => {
  await using box = await openBox()
  const outbox = box.open()
  box.always(fail("refused"))
  record(box.stream(outbox), "1")
  const ended: string[] = []
  const first = outbox.close({ flush_ms: Infinity }).then(() => ended.push("first"))
  void outbox[Symbol.asyncDispose]()
  await box.turn(60_000, 1_000)
  expect(ended).toEqual([])
  await box.run(Promise.all([first, outbox.close({ flush_ms: 1_000 })]), 2_000)
  expect(ended).toEqual(["first"])
})

test("close of a paused outbox does not wait for a flush that cannot happen", async () => {
  await using box = await openBox()
  const outbox = box.open()
  outbox.pause()
  record(box.stream(outbox), "1")
  const before = box.clock.monotonic()
  await outbox.close({ flush_ms: 60_000 })
  expect([box.clock.monotonic() - before, box.sent.length]).toEqual([0, 0])
})

describe("when damage is met in use", () => {
  async function damaged() {
    const dir = tempDir()
    {
      await using outbox = openOutbox(dir.file())
      outbox.pause()
      const stream = outbox.stream("s", outbox.newRef("http://share.example/rpc/share"))
      for (let n = 0; n < 300; n++) stream.record({ method: "put", args: ["x".repeat(2_000)] })
    }
    const page = leafOf(dir.file(), "sturdy_stream")
    const outbox = openOutbox(dir.file(), { transport: () => new Promise(() => {}) })
    const faults: string[] = []
    outbox.on("fault", ({ message }) => faults.push(message))
    // By another process: a descriptor closed in this one would drop SQLite's locks.
    const ruin = `seek=${page - 1}`
    const dd = ["dd", "if=/dev/urandom", `of=${dir.file()}`, `bs=${page_bytes}`, ruin, "count=1", "conv=notrunc"]
    expect(Bun.spawnSync(dd).exitCode).toBe(0)
    // Whoever writes makes this connection forget the pages that it holds.
    const write = `const db = new (require("bun:sqlite").Database)(process.argv[1]); db.run("update sturdy_meta set time_created = time_created + 1")`
    expect(Bun.spawnSync([process.execPath, "-e", write, dir.file()]).exitCode).toBe(0)
    return { dir, outbox, faults, [Symbol.asyncDispose]: () => dir[Symbol.asyncDispose]() }
  }

  for (const flush_ms of [0, 2_000])
    test(`close({ flush_ms: ${flush_ms} }) ends, and the file can be opened again with damaged: "quarantine"`, async () => {
      await using it = await damaged()
      expect((await rejectionOf(it.outbox.flush())).code).toBe("database_corrupt")
      await it.outbox.close({ flush_ms })
      await it.outbox.close()
      const next = openOutbox(it.dir.file(), { damaged: "quarantine" })
      expect(next.quarantined?.file).toContain(".damaged-")
      await next.close({ flush_ms: 0 })
    })
})

test("close stops every part and frees the file, also if a part throws, and rejects with what was thrown first", async () => {
  await using box = await openBox()
  let broken = false
  const bug = new Error("a clock that fails")
  const seams = seamsWith(box, () => {
    if (broken) throw bug
  })
  const outbox = openOutbox(box.dir.file(), { seams, transport: () => new Promise(() => {}) })
  record(outbox.stream("s", box.ref), "1")
  broken = true
  expect(await outbox.close().catch((error: unknown) => error)).toBe(bug)
  using db = new Database(box.dir.file(), { readonly: true }) as Database & Disposable
  expect(db.query("select count(*) as n from sturdy_op").get()).toEqual({ n: 1 })
  const next = box.open()
  await box.run(next.flush())
  expect(box.effects).toEqual(["1"])
})

test("a status can be read while the last flush runs, and says closed after it", async () => {
  await using box = await openBox()
  const outbox = box.open()
  const stream = box.stream(outbox)
  const held = hold()
  box.fates.push(held.fate)
  record(stream, "1")
  const closing = outbox.close()
  await box.calm()
  expect(stream.status().pending).toBe(1)
  held.release()
  await box.run(closing)
  expect(() => stream.status()).toThrow(expect.objectContaining({ code: "closed" }))
})

test("steps are done in order, each whatever the others throw", async () => {
  const done: number[] = []
  const step = (n: number) => async () => {
    done.push(n)
    await Promise.resolve()
    if (n > 1) throw new Error(String(n))
  }
  expect(await doEach([step(1), step(2), step(3)]).catch((error: Error) => error.message)).toBe("2")
  expect(done).toEqual([1, 2, 3])
})
