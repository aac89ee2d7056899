import { expect, test } from "bun:test"
import { existsSync, statSync } from "node:fs"
import { openShareServiceFile } from "../../src/service/sql-bun.ts"
import type { SqlParam } from "../../src/service/sql-port.ts"
import { createShareService } from "../../src/service/bun.ts"
import { openCore } from "../../src/service/core.ts"
import { tempDir } from "./box.ts"

async function setup() {
  const dir = tempDir()
  const sql = openShareServiceFile(dir.file)
  sql.run(`CREATE TABLE t (n INTEGER, s TEXT, b BLOB) STRICT`)
  return {
    dir,
    sql,
    count: () => sql.get<{ n: number }>(`SELECT count(*) AS n FROM t`)!.n,
    async [Symbol.asyncDispose]() {
      sql.close()
      await dir[Symbol.asyncDispose]()
    },
  }
}

test("values come back as they went in, booleans as 0 and 1", async () => {
  await using it = await setup()
  expect(it.sql.run(`INSERT INTO t VALUES (?, ?, ?)`, true, "ü", new Uint8Array([1, 2]))).toBe(1)
  expect(it.sql.all(`SELECT * FROM t`)).toEqual([{ n: 1, s: "ü", b: new Uint8Array([1, 2]) }])
  expect(it.sql.get(`SELECT * FROM t WHERE n = ?`, 5)).toBeUndefined()
})

test("what the engines treat differently is refused", async () => {
  await using it = await setup()
  for (const value of [undefined, 1n, Number.NaN, Infinity, new Date(), {}] as unknown[])
    expect(() => it.sql.run(`INSERT INTO t (n) VALUES (?)`, value as SqlParam)).toThrow(TypeError)
  expect(() => it.sql.all(`SELECT ?`, ...Array.from({ length: 101 }, () => 1))).toThrow(RangeError)
  for (const query of ["BEGIN", " commit", "ROLLBACK", "SAVEPOINT x", "PRAGMA user_version"])
    expect(() => it.sql.run(query)).toThrow(TypeError)
})

test("a transaction commits when its body returns and rolls back when it throws, a nested one alone", async () => {
  await using it = await setup()
  it.sql.transaction(() => {
    it.sql.run(`INSERT INTO t (n) VALUES (1)`)
    expect(() =>
      it.sql.transaction(() => {
        it.sql.run(`INSERT INTO t (n) VALUES (2)`)
        throw new Error("inner")
      }),
    ).toThrow("inner")
    it.sql.transaction(() => it.sql.run(`INSERT INTO t (n) VALUES (3)`))
  })
  expect(it.sql.all(`SELECT n FROM t`)).toEqual([{ n: 1 }, { n: 3 }])
  expect(() =>
    it.sql.transaction(() => {
      it.sql.run(`DELETE FROM t`)
      throw new Error("outer")
    }),
  ).toThrow("outer")
  expect(it.count()).toBe(2)
})

test("a body that returns a promise is a type error, and rolls back at run time", async () => {
  await using it = await setup()
  expect(() =>
    // @ts-expect-error a transaction body must be synchronous
    it.sql.transaction(async () => it.sql.run(`INSERT INTO t (n) VALUES (1)`)),
  ).toThrow("synchronous")
  expect(it.count()).toBe(0)
})

test("the files are readable by their owner alone, also in a directory that is made for them", async () => {
  await using dir = tempDir()
  using sql = openShareServiceFile(`${dir.path}/deep/service.db`)
  sql.run(`CREATE TABLE t (n INTEGER) STRICT`)
  const mode = (path: string) => statSync(path).mode & 0o777
  expect(
    [`${dir.path}/deep`, ...["", "-wal", "-shm"].map((end) => `${dir.path}/deep/service.db${end}`)].map(mode),
  ).toEqual([0o700, 0o600, 0o600, 0o600])
})

test("what was committed survives a power loss: an Ack is a promise for ever", async () => {
  await using it = await setup()
  // 2 is FULL: the -wal is synced before COMMIT returns.
  expect(it.sql.get(`SELECT synchronous FROM pragma_synchronous`)).toEqual({ synchronous: 2 })
})

test("a database of a newer service is refused", async () => {
  await using dir = tempDir()
  using sql = openShareServiceFile(dir.file)
  openCore({ sql })
  sql.run(`INSERT INTO schema_version VALUES (99, 0)`)
  expect(() => createShareService({ file: dir.file })).toThrow("newer Sturdy")
})

test("closing lets go of the file at once: no -wal is left, and nothing locks it", async () => {
  await using dir = tempDir()
  createShareService({ file: dir.file }).close()
  expect(existsSync(`${dir.file}-wal`)).toBeFalse()
  const again = createShareService({ file: dir.file })
  again.sql.run(`CREATE TABLE effect (n INTEGER) STRICT`)
  again.close()
  expect(existsSync(`${dir.file}-wal`)).toBeFalse()
})
