/**
 * Looking into an outbox that others may have open: nothing is changed, nobody is waited for, and nobody can keep us out.
 * Where SQLite does, a copy is read.
 */
import type { Database } from "bun:sqlite"
import { SturdyError } from "../intent/error.ts"
import { systemClock } from "../intent/system.ts"
import { openDatabaseForReading } from "./database.ts"
import { storageError } from "./fault.ts"
import { bytesOf, followLinks } from "./place.ts"
import { hasHotJournal, signatureOf } from "./instant.ts"
import { fromPlainCopy } from "./plain-copy.ts"

/** Of reads during which the file changed under a handle that was told that it does not; and the time between two, ms. */
const tries_max = 30
const pause_ms = 3

export interface ReadingOptions {
  /** If not, who is kept out is told so: for who looks again and again, and would copy again and again. @default true */
  copies?: boolean
}

/** For as long as it takes to ask several questions. Close it: see `openDatabaseForReading`. */
export class OutboxView {
  #db: Database | undefined
  /** Of a file without a -wal, which is read without locks: who opens it now may change it. */
  #unlocked: string | undefined
  /** A transaction without a -wal changes the file itself: only SQLite could tell what it was before, and must write to do so. */
  #isUnfinished = false
  #copied = false
  /** What the reader should know about what is read, for people. */
  note: string | undefined

  /** Where it lies, if it was named by a link. */
  readonly path: string

  constructor(
    named: string,
    readonly options: ReadingOptions = {},
  ) {
    this.path = followLinks(named)
  }

  /** `body` may be run again: the file may have changed meanwhile, or somebody may have locked it. @throws SturdyError */
  read<T>(body: (db: Database) => T): T {
    for (let tries = 1; ; tries++) {
      try {
        const found = body((this.#db ??= this.#open()))
        if (!this.#isChanged()) return found
      } catch (error) {
        if (this.#isUnfinished && tries < tries_max) {
          this.#again()
          continue
        }
        if (!this.#isChanged()) this.#db = this.#openCopy(error)
      }
      if (!this.#isChanged()) continue
      if (tries >= tries_max)
        throw new SturdyError(
          "busy",
          `reading ${this.path}: it changed under every look`,
          "Call again in a moment; if it stays, see which process opens and closes it.",
        )
      this.#again()
    }
  }

  #again(): void {
    this.#release()
    systemClock.block(pause_ms)
  }

  close(): void {
    this.#release()
  }

  #open(): Database {
    this.#unlocked = bytesOf(`${this.path}-wal`) > 0 ? undefined : signatureOf(this.path)
    this.#isUnfinished = this.#unlocked !== undefined && hasHotJournal(this.path)
    if (this.#isUnfinished)
      throw new SturdyError(
        "busy",
        `reading ${this.path}: a transaction in it is being written, or was cut off and is still to be rolled back`,
        "Call again in a moment; if it stays, start the program whose database it is: that rolls it back.",
      )
    return openDatabaseForReading(this.path)
  }

  /** In place of the file itself, if that is what helps. @throws what was caught */
  #openCopy(error: unknown): Database {
    const mayCopy = this.options.copies !== false && !this.#copied
    const known = storageError(error, `reading ${this.path}`)
    const why = !mayCopy ? undefined : this.#isUnfinished ? unfinished : reasonToCopy(known)
    if (why === undefined) throw error
    this.#release()
    const copy = fromPlainCopy(this.path, systemClock, (file) => openedCopy(file, this.path))
    if (!copy) throw error
    this.#copied = true
    this.note = `${why}: read from a copy made just now`
    return copy.opened
  }

  #isChanged(): boolean {
    return this.#unlocked !== undefined && signatureOf(this.path) !== this.#unlocked
  }

  #release(): void {
    this.#db?.close()
    this.#db = undefined
    this.#unlocked = undefined
    this.#isUnfinished = false
  }
}

const unfinished = "in the middle of a transaction of another process, or of one that was killed"

function reasonToCopy(error: unknown): string | undefined {
  if (!(error instanceof SturdyError)) return
  if (error.code === "busy") return "locked by another process"
  if (error.code === "database_unopenable") return "its folder does not let SQLite read beside others"
  return
}

/** The copy is gone when this is told: it is the original that a person can look at. */
function openedCopy(copy: string, path: string): Database {
  try {
    return openDatabaseForReading(copy)
  } catch (error) {
    if (!(error instanceof SturdyError)) throw error
    const { code, message, hint, cause } = error
    throw new SturdyError(code, message.replaceAll(copy, path), hint, { cause })
  }
}

/** One question. */
export function readingOutbox<T>(
  path: string,
  read: (db: Database, reader: OutboxView) => T,
  options?: ReadingOptions,
): T {
  const reader = new OutboxView(path, options)
  try {
    return reader.read((db) => read(db, reader))
  } finally {
    reader.close()
  }
}
