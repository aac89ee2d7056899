/** A disk that is really full: a small file system in memory. Needs root, since it is mounted. */
import { describe, expect, test } from "bun:test"
import { spawnSync } from "node:child_process"
import { mkdirSync, statSync } from "node:fs"
import { dirname } from "node:path"
import * as limit from "../../src/intent/limit.ts"
import type { Outbox } from "../../src/outbox.ts"
import { SturdyError } from "../../src/intent/error.ts"
import type { Stream } from "../../src/stream.ts"
import { hold, openBox } from "../flusher/box.ts"
import { tempDir } from "../temp-dir.ts"

const mount = (...args: string[]) => Bun.spawnSync(["mount", ...args]).exitCode === 0

async function canMount(): Promise<boolean> {
  if (process.platform !== "linux" || process.getuid?.() !== 0) return false
  await using dir = tempDir()
  if (!mount("-t", "tmpfs", "-o", "size=1m", "tmpfs", dir.path)) return false
  Bun.spawnSync(["umount", dir.path])
  return true
}

const mountable = await canMount()
if (!mountable) console.log("skipped: a disk that is really full needs Linux, root and mount")

/** An outbox on a disk of its own of 1 MiB; the service and its file are elsewhere. */
async function smallDisk() {
  const box = await openBox()
  const path = box.dir.file("disk")
  mkdirSync(path)
  mount("-t", "tmpfs", "-o", "size=1m", "tmpfs", path)
  const file = `${path}/outbox.db`
  let outbox: Outbox | undefined
  return {
    box,
    file,
    open() {
      outbox = box.open({}, file)
      return { outbox, stream: box.stream(outbox) }
    },
    moreSpace: () => mount("-o", "remount,size=8m", path),
    async [Symbol.asyncDispose]() {
      if (outbox) await box.close(outbox)
      // Lazy: the descriptor of the -wal is closed on a thread of its own.
      Bun.spawnSync(["umount", "--lazy", path])
      await box[Symbol.asyncDispose]()
    },
  }
}

const put = (stream: Stream, name: string) =>
  stream.record({ method: "put", args: [name, "x".repeat(3_000)], captureId: `event_${name}` })

/** Records until the disk is full: the names that were taken, and the error. */
function fill(stream: Stream): { names: string[]; error: SturdyError } {
  const names: string[] = []
  for (;;) {
    const name = `${names.length}`
    try {
      put(stream, name)
      names.push(name)
    } catch (error) {
      if (error instanceof SturdyError) return { names, error }
      throw error
    }
  }
}

describe.if(mountable)("a disk that its own -wal has filled", () => {
  test("takes no op: disk_full, each time, and what was recorded before is there", async () => {
    await using disk = await smallDisk()
    const { outbox, stream } = disk.open()
    outbox.pause()
    const { names, error } = fill(stream)
    expect([error.code, error.retriable, names.length > 20]).toEqual(["disk_full", true, true])
    for (let n = 0; n < 3; n++) expect(() => put(stream, "more")).toThrow("disk is full")
    expect([stream.status().pending, statSync(`${disk.file}-wal`).size > 700_000]).toEqual([names.length, true])
  })

  test("lets durable() be answered, and a checkpoint fails without a word into the host", async () => {
    await using disk = await smallDisk()
    const { outbox, stream } = disk.open()
    outbox.pause()
    const { names } = fill(stream)
    await outbox.durable()
    disk.box.clock.turn(limit.checkpoint_idle_ms)
    disk.box.clock.turn(10 * limit.checkpoint_idle_ms)
    expect(() => put(stream, "more")).toThrow("disk is full")
    expect(stream.status().pending).toBe(names.length)
  })

  test("once there is space again: the same handle records, the op that was refused too, and all is sent in order", async () => {
    await using disk = await smallDisk()
    const { box } = disk
    const { outbox, stream } = disk.open()
    outbox.pause()
    const { names } = fill(stream)
    box.clock.turn(limit.checkpoint_idle_ms)
    disk.moreSpace()
    put(stream, `${names.length}`)
    put(stream, `${names.length}`)
    await outbox.durable()
    outbox.resume()
    expect(await box.run(outbox.flush())).toEqual({ settled: true, blocked: [] })
    expect(box.effects).toEqual([...names, `${names.length}`])
    await box.turn(2 * limit.checkpoint_idle_ms)
    expect(statSync(`${disk.file}-wal`).size).toBe(0)
  })

  test("while ops are being sent: flush says that they stand, nothing is half settled, the service is not asked in vain, and it goes on by itself", async () => {
    await using disk = await smallDisk()
    const { box } = disk
    const { outbox, stream } = disk.open()
    outbox.pause()
    const { names } = fill(stream)
    // A few pages are left: enough to freeze, too few to settle, or neither.
    outbox.resume()
    expect(await box.run(outbox.flush())).toMatchObject({ settled: false, blocked: [{ reason: "disk_full" }] })
    await box.turn(600_000, 5_000)
    expect(stream.status()).toMatchObject({ pending: names.length, block: { reason: "disk_full" } })
    // At most the one whose answer met the full disk.
    expect(box.sent.length).toBeLessThan(2)
    disk.moreSpace()
    await box.turn(120_000, 1_000)
    expect(box.effects).toEqual(names)
    expect(stream.status()).toMatchObject({ pending: 0, block: undefined })
  })

  test("filled while a POST is out: its answer is not asked for again until it could be written down", async () => {
    await using disk = await smallDisk()
    const { box } = disk
    const { stream } = disk.open()
    const held = hold()
    box.fates.push(held.fate)
    put(stream, "first")
    await box.turn(100)
    // Nothing more is recorded, so that the next freezing writes nothing, and does not notice.
    spawnSync("dd", ["if=/dev/zero", `of=${dirname(disk.file)}/ballast`, "bs=1k"])
    held.release()
    await box.turn(600_000, 5_000)
    expect([box.sent.length, stream.status().block?.reason]).toEqual([1, "disk_full"])
    disk.moreSpace()
    await box.turn(120_000, 1_000)
    expect(box.effects).toEqual(["first"])
    expect(stream.status()).toMatchObject({ pending: 0, block: undefined })
  })

  test("a process that is killed meanwhile: the next one has every op, and goes on when there is space", async () => {
    await using disk = await smallDisk()
    const { box } = disk
    const child = Bun.spawn(
      [process.execPath, `${import.meta.dir}/fill-fixture.ts`, disk.file, JSON.stringify(box.ref)],
      {
        stdout: "pipe",
        stderr: "inherit",
      },
    )
    const names = (await new Response(child.stdout).text()).trim().split("\n")
    await child.exited
    disk.moreSpace()
    const { outbox } = disk.open()
    expect(await box.run(outbox.flush())).toEqual({ settled: true, blocked: [] })
    expect([child.signalCode, box.effects]).toEqual(["SIGKILL", names])
  })
})
