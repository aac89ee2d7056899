/** The schema in the file, beside the one that the migrations up to its version make. */
import { Database } from "bun:sqlite"
import { applyMigration, version as schema_version } from "../../store/migrate.ts"
import { migrations } from "../../store/migration.gen.ts"
import { readSchema } from "../../inspect/outbox-file.ts"
import { printable } from "../output/terminal.ts"
import type { Observation } from "./check.ts"

interface Thing {
  type: string
  name: string
  tbl_name: string
  sql: string | null
}

/** Ours, and what hangs on a table of ours. */
const ourSql = `select type, name, tbl_name, sql from sqlite_schema
  where tbl_name glob 'sturdy_*' or tbl_name = 'op_state' order by type, name`

export function schemaFaults(db: Database): Observation[] {
  const { version } = readSchema(db)
  const golden = goldenSchema(Math.min(version, schema_version))
  const found = thingsOf(db)
  const missing = [...golden.values()].filter(({ name }) => !found.has(name))
  // A newer Sturdy adds columns, tables and indexes.
  const isNewer = version > schema_version
  const changed = [...golden.values()].filter(
    (thing) => found.has(thing.name) && !isNewer && !isAlike(thing, found.get(thing.name)!),
  )
  const foreign = isNewer ? [] : [...found.values()].filter(({ name }) => !golden.has(name))
  const names = (things: Thing[]) => things.map(({ type, name }) => `${type} ${printable(name)}`).join(", ")
  const cure = "Another program has changed the outbox: keep a copy of the file, and record into a fresh one."
  const told = (level: "wrong" | "warning", what: string, things: Thing[]): Observation[] =>
    things.length === 0
      ? []
      : [{ level, message: `${what}: ${names(things)}`, cure, things: things.map((t) => t.name) }]
  return [
    ...told("wrong", "missing", missing),
    ...told("wrong", "not as Sturdy made it", changed),
    ...told("warning", "not of Sturdy, on a table of Sturdy's", foreign),
  ]
}

function goldenSchema(version: number): Map<string, Thing> {
  using db = new Database(":memory:")
  for (const migration of migrations.slice(0, version)) applyMigration(db, migration)
  return thingsOf(db)
}

function thingsOf(db: Database): Map<string, Thing> {
  const statement = db.prepare(ourSql)
  const things = statement.all() as Thing[]
  statement.finalize()
  return new Map(things.map((thing) => [thing.name, thing]))
}

const isAlike = (a: Thing, b: Thing) => plain(a.sql) === plain(b.sql)

const plain = (sql: string | null) => sql?.replaceAll(/\s+/g, " ")
