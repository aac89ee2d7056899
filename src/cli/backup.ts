/** `sturdy backup`: a consistent copy of an outbox that may be in use. */
import { Database } from "bun:sqlite"
import { statSync, truncateSync } from "node:fs"
import { findDamage } from "../store/suspect.ts"
import { hostTables } from "../inspect/outbox-file.ts"
import { readStatus } from "../inspect/status.ts"
import { SturdyError } from "../intent/error.ts"
import { bytesOf } from "../store/place.ts"
import { OutboxView } from "../store/reading.ts"
import type { Command, ExitCode, Input } from "./input/command.ts"
import { databaseError } from "./outbox/database-error.ts"
import { explained, readOutbox } from "./outbox/looking.ts"
import { dbHelp, dbOption, dbUsage, outboxPlace, type OutboxPlace, placeText } from "./outbox/outbox-place.ts"
import { ProgressLine } from "./output/progress.ts"
import { note, print, printable, printJson } from "./output/terminal.ts"
import { WholeFile } from "./output/whole-file.ts"
import { bytesText, count } from "./output/words.ts"

const poll_ms = 100

export const backup: Command = {
  name: "backup",
  summary: "a consistent copy of the outbox, while its host goes on",
  usage: `FILE ${dbUsage} [--json]`,
  help: `
Copies the outbox as it is at one instant into FILE, whole and checked, or not at all; FILE must not be there yet. The
host goes on meanwhile. The copy holds the secrets of the shares: it is made for you alone (0600), and stays so.

To restore: stop the host, move the old file away together with its -wal, put the copy in its place. What was sent since
is noticed as a twin: nothing is doubled. Two that send, the old one and the copy, are twins of each other for ever; that
is handled too, and counted.

${dbHelp}
  --json     one object`,
  options: { ...dbOption, "in-child": { type: "boolean" } },
  positionals: 1,
  async run(input) {
    const place = outboxPlace(input)
    const to = input.positionals[0]!
    if (input.options["in-child"]) return copyInto(place, to)
    return make(input, place, to)
  },
}

async function make(input: Input, place: OutboxPlace, to: string): Promise<ExitCode> {
  const { bytes: bytes_max } = readOutbox(input, (db) => {
    refuseHostDatabase(db, place)
    return { bytes: bytesOf(place.file) + bytesOf(`${place.file}-wal`) }
  })
  let child: Bun.Subprocess | undefined
  // The child goes first: what it writes to is gone then.
  const file = new WholeFile(to, () => child?.kill("SIGKILL"))
  try {
    child = Bun.spawn([process.execPath, Bun.main, "backup", "--in-child", "--db", place.file, "--", file.unfinished], {
      stdio: ["ignore", "ignore", "inherit"],
    })
    const code = await ended(child, file.unfinished, bytes_max)
    if (code !== 0) return code === 3 ? 3 : 1
    const copied = described(file.unfinished)
    file.keep()
    tell(input, to, copied)
    return 0
  } finally {
    file.abandon()
  }
}

/** It holds its thread until all is copied. */
async function ended(child: Bun.Subprocess, unfinished: string, bytes_max: number): Promise<number> {
  const progress = new ProgressLine()
  const timer = setInterval(() => {
    const mib = (bytes: number) => Math.ceil(bytes / 1024 / 1024)
    progress.show("copying MiB", mib(Math.min(bytesOf(unfinished), bytes_max)), mib(bytes_max))
  }, poll_ms)
  const code = await child.exited
  clearInterval(timer)
  progress.end()
  return code
}

/** In a process of its own, which may be killed at any moment. */
function copyInto(place: OutboxPlace, to: string): ExitCode {
  const reader = new OutboxView(place.file)
  try {
    reader.read((db) => {
      // Of an attempt before.
      truncateSync(to, 0)
      db.prepare("vacuum into ?").run(to)
    })
  } catch (error) {
    const known = databaseError(error)
    if (!(known instanceof SturdyError) || known.code !== "disk_full") throw explained(known, place)
    // Of the copy, not of the outbox, whose own disk may have room.
    note(`sturdy: there is no room for the copy. Name a FILE on a larger disk; nothing was left behind.`)
    return 1
  } finally {
    reader.close()
  }
  makeOwn(to)
  const copy = new OutboxView(to)
  try {
    const damage = copy.read((db) => findDamage(db))
    if (damage === undefined) return 0
    throw new SturdyError("storage_fault", `the copy is damaged: ${damage}`, "Check the disk that it is made on.")
  } finally {
    copy.close()
  }
}

/** VACUUM leaves the WAL mode behind; and nobody holds the lease of the copy, whoever holds that of the original. */
function makeOwn(file: string): void {
  const copy = new Database(file, { create: false, readwrite: true })
  try {
    copy.run("pragma journal_mode = wal")
    copy.run("update sturdy_lease set time_expires = 0")
  } finally {
    copy.close()
  }
}

/** Its tables may refer to their rows by numbers that a copy would give anew. */
function refuseHostDatabase(db: Database, place: OutboxPlace): void {
  const [table] = hostTables(db)
  if (table === undefined) return
  throw new SturdyError(
    "database_not_outbox",
    `${placeText(place)} is a database of the host's, in which the outbox lives beside tables of its own, e.g. ${table}`,
    "Back it up by the host's own means: the outbox is part of that.",
  )
}

interface Copied {
  bytes: number
  streams: number
  pending: number
  dead: number
}

function described(file: string): Copied {
  const reader = new OutboxView(file)
  try {
    const { pending, dead, streams } = reader.read((db) => readStatus(db))
    return { bytes: statSync(file).size, streams: streams.length, pending, dead }
  } finally {
    reader.close()
  }
}

function tell(input: Input, file: string, copied: Copied): void {
  if (input.options.json) {
    printJson({ version: 1, file, ...copied })
    return
  }
  const { bytes, streams, pending, dead } = copied
  print(
    `${printable(file)}: ${count(streams, "stream")}, ${count(pending, "pending op")}, ${count(dead, "dead letter")}, ${bytesText(bytes)}`,
  )
  note("It holds the secrets of the shares: keep it to yourself (it is 0600).")
  note("To restore: stop the host, move the old file and its -wal away, put the copy in its place.")
  note("Who sends from it is a twin of the outbox: that is noticed and counted, and nothing is doubled.")
}
