/** Every place where an outbox can lie passes the suite of the store. */
import { Database } from "bun:sqlite"
import { describe, expect, test } from "bun:test"
import { eachStoreCheck, type StoreSubject } from "../../src/testing/conformance/index.ts"
import { tempDir } from "../temp-dir.ts"

const ownFile: StoreSubject = {
  make() {
    const dir = tempDir()
    return { where: dir.file(), close: () => dir[Symbol.asyncDispose]() }
  },
}

function hostDatabase(...pragmas: string[]): StoreSubject {
  return {
    host: true,
    make() {
      const dir = tempDir()
      const database = new Database(dir.file("host.db"))
      for (const pragma of pragmas) database.run(`pragma ${pragma}`)
      return {
        where: { database },
        async close() {
          database.close()
          await dir[Symbol.asyncDispose]()
        },
      }
    },
  }
}

const inMemory: StoreSubject = {
  host: true,
  make() {
    const database = new Database(":memory:")
    return { where: { database }, close: () => database.close() }
  },
}

const places: Record<string, StoreSubject> = {
  "a file of its own": ownFile,
  "the host's database in WAL": hostDatabase("journal_mode = wal", "synchronous = normal"),
  "the host's database with a rollback journal": hostDatabase("journal_mode = delete", "synchronous = full"),
  "the host's database with foreign keys, recursive triggers and pages of 16 KiB": hostDatabase(
    "page_size = 16384",
    "foreign_keys = on",
    "recursive_triggers = on",
    "case_sensitive_like = on",
  ),
  "a handle in memory": inMemory,
}

for (const [name, subject] of Object.entries(places))
  describe(`an outbox in ${name}`, () => {
    for (const { name, run, skip } of eachStoreCheck(subject)) if (!skip) test(name, run)
  })

test("only what is about the host's transaction is skipped, and only in a file of its own", () => {
  const skipped = eachStoreCheck(ownFile).filter((check) => check.skip !== undefined)
  expect(skipped.map((check) => check.skip)).toEqual(skipped.map(() => "the place is no database of a host's"))
  expect([skipped.length, eachStoreCheck(inMemory).filter((check) => check.skip)]).toEqual([3, []])
})
