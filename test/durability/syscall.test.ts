/** A sample of the faults at system calls, and the controls; all of them: `npm run test:long -- --only syscall`. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test"
import { tempDir, type TempDir } from "../temp-dir.ts"
import { buildLibraries, canBuild, type Libraries, type ModeName, modes } from "./syscall/fault.ts"
import { live } from "./syscall/life.ts"
import { loop } from "./syscall/loop.ts"
import { wrongOf } from "./syscall/wrong.ts"

if (!canBuild) console.log("skipped: faults at system calls need Linux and gcc")

/** Every so many calls: six or so of each mode, other ones in each. */
const step = 73

/** Built once for all tests of this file, and the calls of a life without a fault. */
let dir: TempDir
let libraries: Libraries
let calls: string[]

beforeAll(async () => {
  if (!canBuild) return
  dir = tempDir()
  libraries = await buildLibraries(dir.path)
  calls = (await live(libraries, undefined)).calls
})

afterAll(() => dir?.[Symbol.asyncDispose]())

const isSync = (call: string) => call.includes(" fdatasync ")

describe.if(canBuild)("one fault at a write or sync of a life:", () => {
  test("without one nothing is wrong, the same life makes the same calls, and they are of every kind", async () => {
    const life = await live(libraries, undefined)
    expect([life.status, wrongOf(life), life.calls]).toEqual([0, [], calls])
    const kinds = new Set(calls.map((line) => line.split(" ").slice(1, 3).join(" ")))
    for (const kind of ["pwrite outbox.db", "pwrite outbox.db-wal", "pwrite outbox.db-shm", "fsync outbox.db"])
      expect([...kinds]).toContain(kind)
    for (const kind of ["fdatasync outbox.db-wal", "fsync outbox.db-wal", "ftruncate outbox.db-wal", "fsync ."])
      expect([...kinds]).toContain(kind)
    expect([...kinds]).toContain("unlink outbox.db-wal")
  })

  for (const mode of Object.keys(modes) as ModeName[])
    test(`${mode}: nothing is lost, doubled, reordered, split or untold`, async () => {
      const { points, missed, wrong } = await loop(libraries, mode, calls, { step })
      expect([missed, wrong]).toEqual([0, []])
      expect(points).toBeGreaterThan(3)
    }, 60_000)

  // Found by the long run: a checkpoint after a sync that had failed, and the power lost in the middle of it.
  for (const [at, sync, what] of [
    [241, 8, "durable()'s"],
    [373, 18, "the last close's"],
  ] as const)
    test(`power that fails in a checkpoint after ${what} sync did leaves the outbox whole`, async () => {
      const life = await live(libraries, { ...modes.power_after_eio, at, sync, seed: at * 1_000 + sync - 1 })
      expect([wrongOf(life), life.status]).toEqual([[], 66])
    }, 60_000)

  for (const mode of ["eio", "eio_sticky", "enospc"] as const)
    test(`${mode} at each sync of durable(): it does not resolve`, async () => {
      const { points, wrong } = await loop(libraries, mode, calls, { only: isSync })
      expect(wrong).toEqual([])
      expect(points).toBeGreaterThan(3)
    }, 60_000)
})

describe.if(canBuild)("the controls are found out:", () => {
  test("an op acknowledged before it is recorded is lost in a crash", async () => {
    const { wrong } = await loop(libraries, "crash", calls, { sabotage: "early", step: 17, untilWrong: true })
    expect(wrong.join("\n")).toContain("lost: ")
  }, 60_000)

  test("an op whose record threw and was taken for recorded is lost after EIO", async () => {
    const { wrong } = await loop(libraries, "eio", calls, { sabotage: "silent", step: 17, untilWrong: true })
    expect(wrong.join("\n")).toContain("lost: ")
  }, 60_000)

  test("durable() that does not hear of its sync's EIO", async () => {
    const { wrong } = await loop(libraries, "eio", calls, {
      only: isSync,
      env: { FAULT_SWALLOW: "1" },
      untilWrong: true,
    })
    expect(wrong.join("\n")).toContain("durable() resolved, and its sync had failed")
  }, 60_000)

  test("durable() that does not hear of it loses what it promised when the power fails", async () => {
    // The first durable()'s, and the power soon afterwards.
    const fault = { ...modes.power_after_eio, at: 150, sync: 8 }
    const wrong = wrongOf(await live(libraries, fault, { env: { PL_SWALLOW: "1" } }))
    expect(wrong.join("\n")).toContain("lost: ")
  }, 60_000)
})
