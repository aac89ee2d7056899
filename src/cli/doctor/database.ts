/** The outbox as a database: what opens it, its schema, and every page of it. */
import { Database } from "bun:sqlite"
import { closeSync, openSync, readSync } from "node:fs"
import { readSchema } from "../../inspect/outbox-file.ts"
import type { SturdyError } from "../../intent/error.ts"
import * as limit from "../../intent/limit.ts"
import { isOutbox } from "../../store/quarantine.ts"
import { application_id } from "../../store/place.ts"
import { version as schema_version } from "../../store/migrate.ts"
import packageJson from "../../../package.json" with { type: "json" }
import { commandLine } from "../outbox/command-line.ts"
import { isDamage, isDamageCode } from "../../store/fault.ts"
import { printable } from "../output/terminal.ts"
import { bytesText, count } from "../output/words.ts"
import { type Check, type Context, damageCure, type Observation } from "./check.ts"
import { schemaFaults } from "./golden-schema.ts"

export const runtimeCheck: Check = {
  name: "runtime",
  *run() {
    const { bun } = packageJson.engines
    const facts = { sqlite: sqliteVersion(), bun: Bun.version, sturdy: packageJson.version }
    const text = `sturdy ${facts.sturdy}, Bun ${facts.bun}, SQLite ${facts.sqlite}`
    if (!Bun.semver.satisfies(Bun.version, bun))
      yield { level: "wrong", message: `${text}: Sturdy needs Bun ${bun}`, cure: "Upgrade Bun.", ...facts }
    else yield { level: "ok", message: text, ...facts }
  },
}

function sqliteVersion(): string {
  using db = new Database(":memory:")
  const statement = db.prepare("select sqlite_version() as version")
  const { version } = statement.get() as { version: string }
  statement.finalize()
  return version
}

export const databaseCheck: Check = {
  name: "database",
  *run(context) {
    const { unopened } = context
    if (unopened) {
      yield unopenedFinding(context, unopened)
      return
    }
    const wal = isWal(context.file)
    yield* context.read((db) => [...databaseFaults(db, context, wal)])
  },
}

function unopenedFinding({ place, file }: Context, { message, hint, code }: SturdyError): Observation {
  if (!isDamageCode(code)) return { level: "wrong", message, cure: hint, code }
  if (isOutbox(file)) return { level: "wrong", message, ...damageCure(place), code }
  return {
    level: "wrong",
    message,
    cure: "Its first page is gone, so no program will take it for an outbox and put it aside. End those that have it open, get out of it what can be read, then move it and its -wal away:",
    command: commandLine(place, "export"),
    code,
  }
}

interface Pragmas {
  application_id: number
  auto_vacuum: number
  page_size: number
  page_count: number
  freelist_count: number
}

function pragmasOf(db: Database): Pragmas {
  const one = (name: keyof Pragmas) => (db.prepare(`pragma ${name}`).get() as Pragmas)[name]
  return {
    application_id: one("application_id"),
    auto_vacuum: one("auto_vacuum"),
    page_size: one("page_size"),
    page_count: one("page_count"),
    freelist_count: one("freelist_count"),
  }
}

/**
 * By the header of the file (https://www.sqlite.org/fileformat2.html#file_format_version_numbers): read as one that does
 * not change, SQLite says "delete" of any. Other modes than WAL are a connection's own. No handle of ours may be open.
 */
function isWal(file: string): boolean {
  const head = Buffer.alloc(20)
  const fd = openSync(file, "r")
  try {
    readSync(fd, head)
  } finally {
    closeSync(fd)
  }
  return head[18] === 2 && head[19] === 2
}

/** Of the default quota: a host may have set another, which is nowhere in the file. */
const quota_near = 0.8
const incremental = 2

function* databaseFaults(db: Database, { hostTables, place }: Context, wal: boolean): Generator<Observation> {
  const pragmas = pragmasOf(db)
  const { page_size, page_count, freelist_count } = pragmas
  const used = (page_count - freelist_count) * page_size
  const free = freelist_count * page_size
  const facts = { ...pragmas, wal, used_bytes: used, free_bytes: free }
  if (hostTables.length > 0) yield* hostFaults(hostTables, wal)
  else yield* ownFaults(pragmas, wal)
  if (used >= quota_near * limit.outbox_bytes_max)
    yield {
      level: "warning",
      message: `${bytesText(used)} are in it; at its quota, by default ${bytesText(limit.outbox_bytes_max)}, nothing more is recorded`,
      cure: "Let it drain; see what stands in the way, or raise outboxBytesMax in the host:",
      command: commandLine(place, "status"),
      ...facts,
    }
  yield {
    level: "ok",
    message: `${bytesText(used)} used, ${bytesText(free)} free${wal ? ", in WAL mode" : ""}`,
    ...facts,
  }
}

function* hostFaults(hostTables: readonly string[], wal: boolean): Generator<Observation> {
  const shown = hostTables.slice(0, 3).map(printable).join(", ")
  const more = hostTables.length > 3 ? ` and ${count(hostTables.length - 3, "more", "more")}` : ""
  const mode = wal
    ? ""
    : "; it is not in WAL mode, and whether the host's own mode survives a power loss is not to be seen from outside"
  yield {
    level: "note",
    message: `it lives in a host's own database, beside its tables ${shown}${more}: file and pragmas are the host's to say${mode}`,
    tables: hostTables.length,
  }
}

function* ownFaults({ application_id: found, auto_vacuum }: Pragmas, wal: boolean): Generator<Observation> {
  if (found !== application_id)
    yield {
      level: "warning",
      message: `application_id is ${found}, not Sturdy's: another program has marked this file as its own`,
      cure: "See which other program uses this file, and give the outbox one of its own.",
      application_id: found,
    }
  if (!wal)
    yield {
      level: "warning",
      message: "it is not in WAL mode: another program has changed it",
      cure: "The next program that opens the outbox sets it back.",
    }
  if (auto_vacuum !== incremental)
    yield {
      level: "note",
      message: "the file never shrinks: auto_vacuum was not set when it was made, or another program changed it",
      auto_vacuum,
    }
}

export const schemaCheck: Check = {
  name: "schema",
  needs: "database",
  *run({ read }) {
    const { schema, faults } = read((db) => ({ schema: readSchema(db), faults: schemaFaults(db) }))
    yield* faults
    const { version, compatible_version } = schema
    const facts = { version_of_file: version, compatible_version, version_of_sturdy: schema_version }
    if (compatible_version > schema_version)
      yield {
        level: "wrong",
        message: `the file has schema ${version} and needs a Sturdy with schema ${compatible_version}; this one has ${schema_version}`,
        cure: "Upgrade Sturdy.",
        ...facts,
      }
    else if (version > schema_version)
      yield {
        level: "note",
        message: `the file has schema ${version}, of a newer Sturdy; this one has ${schema_version} and may still use it`,
        ...facts,
      }
    else if (version < schema_version)
      yield {
        level: "note",
        message: `the file has schema ${version}; the next program that opens it with this Sturdy brings it to ${schema_version}`,
        ...facts,
      }
    else if (faults.length === 0)
      yield { level: "ok", message: `version ${version}, as this Sturdy makes it`, ...facts }
  },
}

/** What SQLite tells of a damaged file at most. */
const page_faults_max = 100

export const pageCheck: Check = {
  name: "pages",
  needs: "database",
  *run({ read, progress, place }) {
    progress("looking at every page")
    const { pages, faults } = read((db) => ({
      pages: pragmasOf(db).page_count,
      faults: pageFaults(db),
    }))
    if (faults.length === 0) {
      yield { level: "ok", message: `${count(pages, "page")}, each as SQLite writes it`, pages }
      return
    }
    const shown = faults.slice(0, 3).map(printable).join("; ")
    const more = faults.length > 3 ? `; and ${count(faults.length - 3, "more", "more")}` : ""
    yield {
      level: "wrong",
      message: `pages are damaged: ${shown}${more}`,
      ...damageCure(place),
      faults,
    }
  },
}

/** All of them, where one that stands in the way of looking further is the last. */
function pageFaults(db: Database): string[] {
  try {
    const rows = db.prepare(`pragma quick_check(${page_faults_max})`).all() as { quick_check: string }[]
    return rows
      .flatMap((row) => row.quick_check.split("\n"))
      .filter((line) => line !== "ok" && !line.startsWith("*** in database"))
  } catch (error) {
    if (isDamage(error)) return [error.message]
    throw error
  }
}
