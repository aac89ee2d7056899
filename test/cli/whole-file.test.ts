/** A file that a command makes: whole, its owner's alone, in nobody's place, or not there. */
import { existsSync, readdirSync, readFileSync, statSync, symlinkSync, writeFileSync } from "node:fs"
import { expect, test } from "bun:test"
import { FileRefused, WholeFile } from "../../src/cli/output/whole-file.ts"
import { tempDir } from "../temp-dir.ts"

test("is there under its name when it is kept, and not before; nothing is left beside it", async () => {
  await using dir = tempDir()
  const file = new WholeFile(dir.file("out"))
  file.write("one ")
  file.write("two")
  expect(existsSync(dir.file("out"))).toBeFalse()
  expect(statSync(file.unfinished).mode & 0o777).toBe(0o600)
  file.keep()
  expect(readdirSync(dir.path)).toEqual(["out"])
  expect(readFileSync(dir.file("out"), "utf8")).toBe("one two")
  expect(statSync(dir.file("out")).mode & 0o777).toBe(0o600)
})

test("that is abandoned leaves nothing, also when it is abandoned twice", async () => {
  await using dir = tempDir()
  const file = new WholeFile(dir.file("out"))
  file.write("one")
  file.abandon()
  file.abandon()
  expect(readdirSync(dir.path)).toEqual([])
})

test("takes no other's place, also one that came while it was made, and no link's to nowhere", async () => {
  await using dir = tempDir()
  writeFileSync(dir.file("there"), "of another")
  symlinkSync(dir.file("nowhere"), dir.file("link"))
  for (const name of ["there", "link"]) expect(() => new WholeFile(dir.file(name))).toThrow(FileRefused)
  const file = new WholeFile(dir.file("late"))
  writeFileSync(dir.file("late"), "of another")
  expect(() => file.keep()).toThrow(FileRefused)
  expect(readFileSync(dir.file("late"), "utf8")).toBe("of another")
  expect(readdirSync(dir.path).toSorted()).toEqual(["late", "link", "there"])
})

test("in a folder that is not there is refused, and no signal is listened to any more", async () => {
  await using dir = tempDir()
  const listening = () => ["SIGINT", "SIGTERM", "SIGHUP"].map((signal) => process.listenerCount(signal))
  const before = listening()
  expect(() => new WholeFile(dir.file("nowhere/out"))).toThrow("cannot be written (ENOENT)")
  new WholeFile(dir.file("out")).keep()
  expect(listening()).toEqual(before)
})
