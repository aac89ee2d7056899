/** A file that an older Sturdy made and no newer one has opened: it is looked at as it is. */
import { expect, test } from "bun:test"
import { hangingOn, readDeadLetters } from "../../src/inspect/dead-letters.ts"
import { OpExport } from "../../src/inspect/export/op-export.ts"
import { readOp } from "../../src/inspect/op.ts"
import { openDamaged } from "../../src/store/damaged-reading.ts"
import { firstSeq } from "../../src/store/stream.ts"
import { ScopedDatabase } from "../scoped-database.ts"
import { tempDir } from "../temp-dir.ts"
import { lived, viewed } from "./lived.ts"

/** The columns that schema 2 added to what is read here. */
function makeOlder(file: string): void {
  using db = new ScopedDatabase(file)
  const indexes = db
    .query(
      "select name from sqlite_schema where type = 'index' and tbl_name = 'sturdy_dead_letter' and sql is not null",
    )
    .all() as { name: string }[]
  for (const { name } of indexes) db.run(`drop index ${name}`)
  for (const column of ["key", "decision", "time_decided", "retried_op_id"])
    db.run(`alter table sturdy_dead_letter drop column ${column}`)
  db.run("alter table sturdy_op drop column checksum")
}

test("an outbox of an older schema shows its dead letters as undecided, and its ops as whole", async () => {
  await using dir = tempDir()
  const { poison, hanging } = lived(dir.file())
  makeOlder(dir.file())
  const { letters } = viewed(dir.file(), (db) => readDeadLetters(db, { limit: 9 }))
  expect(letters).toMatchObject([
    { op_id: poison, key: null, decision: null, retried_op_id: null },
    { op_id: hanging, key: null, decision: null, retried_op_id: null },
  ])
  const place = firstSeq(1) + 3
  const op = viewed(dir.file(), (db) => readOp(db, poison, place))
  expect(op.rejection).toMatchObject({ code: "no_access", decision: null, time_decided: null, retried_op_id: null })
  expect(viewed(dir.file(), (db) => hangingOn(db, poison, place))).toBeUndefined()
  using reader = Object.assign(openDamaged(dir.file()), { [Symbol.dispose]: () => reader.close() })
  const found = new OpExport(reader, { all: true })
  const exported = [...found.parts()].flat()
  expect([found.damaged_ops, found.losses, exported.length]).toEqual([0, [], 12])
})
