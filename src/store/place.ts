/** Where the outbox file lies, and what only the file system can say of it. Opens nothing that SQLite may have open. */
import {
  closeSync,
  fsyncSync,
  lstatSync,
  mkdirSync,
  openSync,
  readlinkSync,
  realpathSync,
  statSync,
  type BigIntStats,
  type Stats,
} from "node:fs"
import { basename, dirname, join, resolve } from "node:path"
import { SturdyError } from "../intent/error.ts"

/** "Strd": marks an outbox file, beside its tables. */
export const application_id = 0x53747264

/** What every SQLite file begins with, in Latin-1. */
export const sqlite_magic = "SQLite format 3\0"

/** The real path, with folder and file created if they are not there. @throws SturdyError `database_unopenable`. */
export function locate(path: string, again = true): string {
  const folder = dirname(resolve(path))
  try {
    const made = mkdirSync(folder, { recursive: true, mode: 0o700 })
    if (made) syncFolders(folder, dirname(made))
    const file = join(realpathSync(folder), basename(path))
    const stats = statOf(file)
    if (!stats) closeSync(openSync(file, "wx", 0o600))
    return realPath(file)
  } catch (cause) {
    if (cause instanceof SturdyError) throw cause
    // Another process created it between our look and our create.
    if (systemCode(cause) === "EEXIST" && isFile(path)) return realPath(resolve(path))
    // Another process put it aside just now.
    if (systemCode(cause) === "ENOENT" && again) return locate(path, false)
    throw new SturdyError(
      "database_unopenable",
      `${path} cannot be created (${systemCode(cause) ?? cause})`,
      "Check that the folder exists and may be written.",
      { cause },
    )
  }
}

/**
 * Only links are followed: realpath() of a file asks the kernel how what it opened is called, and answers with the name
 * under which another process has put it aside meanwhile.
 */
function realPath(named: string): string {
  let file = named
  for (let hops = 0; lstatSync(file).isSymbolicLink(); hops++) {
    if (hops === hops_max) throw unopenable(named, "ELOOP")
    file = resolve(dirname(file), readlinkSync(file))
  }
  return join(realpathSync(dirname(file)), basename(file))
}

/** As Linux counts them (path_resolution(7)). */
const hops_max = 40

/** Where the file lies of which a link may be the name, with its -wal beside it; the name itself if there is none. */
export function followLinks(path: string): string {
  try {
    return realPath(resolve(path))
  } catch (error) {
    if (error instanceof SturdyError || systemCode(error) === undefined) throw error
    return path
  }
}

/** New names survive a power loss once their folder is synced; SQLite syncs only the folder of the file itself. */
export function syncFolders(from: string, to: string): void {
  for (let folder = from; ; folder = dirname(folder)) {
    const fd = openSync(folder, "r")
    fsyncSync(fd)
    closeSync(fd)
    if (folder === to || folder === dirname(folder)) return
  }
}

/**
 * What SQLite would not refuse: it takes an emptied outbox for a new one, and deletes the -wal beside it.
 *
 * @throws SturdyError `database_not_outbox`, `database_unsafe`, `database_corrupt`.
 */
export function refuseForeign(file: string): void {
  const stats = statOf(file)
  if (!stats) return
  if (!stats.isFile())
    throw new SturdyError(
      "database_not_outbox",
      `${file} is ${stats.isDirectory() ? "a directory" : "not a regular file"}`,
      "Name a file for the outbox.",
    )
  if (stats.nlink > 1)
    throw new SturdyError(
      "database_unsafe",
      `${file} has ${stats.nlink} hard links: two names lead to two WALs for one file`,
      "Keep one name for the outbox file.",
    )
  // In this order: who makes the file writes into it before there is a -wal.
  const wal = bytesOf(`${file}-wal`)
  if (wal > 0 && isEmpty(file)) throw corrupt(file, `it is empty but its -wal has ${wal} bytes`)
}

/** As SQLite sees it: one byte is an old workaround for a file system, and counts as none (os_unix.c, unixFileSize). */
export function isEmpty(file: string): boolean {
  return bytesOf(file) <= 1
}

export function corrupt(file: string, why: string, options: { cause?: unknown } = {}): SturdyError {
  return new SturdyError(
    "database_corrupt",
    `${file} is damaged: ${why}`,
    `Move the file away together with its -wal and keep both, or open it with { damaged: "quarantine" }, which does so; a new outbox is then created.`,
    options,
  )
}

/** A name for what is put aside: nothing that was is ever overwritten. */
export function nameAside(path: string, now: number, suffixes: readonly string[] = [""]): string {
  const stamp = new Date(now).toISOString().replace(/[-:]|\.\d+/g, "")
  for (let n = 1; ; n++) {
    const name = `${path}.damaged-${stamp}${n === 1 ? "" : `-${n}`}`
    if (suffixes.every((suffix) => !statOf(name + suffix))) return name
  }
}

/** Undefined if there is none. @throws SturdyError `database_unopenable` if that cannot be known. */
export function statOf(path: string): Stats | undefined {
  return lookedAt(path, () => statSync(path, { throwIfNoEntry: false }))
}

/** With times to the nanosecond. @throws SturdyError as `statOf` */
export function exactStatOf(path: string): BigIntStats | undefined {
  return lookedAt(path, () => statSync(path, { bigint: true, throwIfNoEntry: false }))
}

function lookedAt<T>(path: string, look: () => T | undefined): T | undefined {
  try {
    return look()
  } catch (error) {
    const code = systemCode(error)
    if (code === undefined) throw error
    // Below a file there is no file.
    if (code === "ENOTDIR") return
    throw unopenable(path, code, error)
  }
}

function unopenable(path: string, code: string, cause?: unknown): SturdyError {
  const isOurs = code !== "EACCES" && code !== "EPERM"
  return new SturdyError(
    "database_unopenable",
    `${path} cannot be looked at (${code}${code === "ELOOP" ? ", a loop of links" : ""})`,
    isOurs ? "Check the path." : "Run it as the user to whom the file and its folders belong.",
    { cause },
  )
}

/** 0 if there is no such file. */
export function bytesOf(path: string): number {
  return statOf(path)?.size ?? 0
}

/** Never throws: a path below a file is none. */
function isFile(path: string): boolean {
  try {
    return statSync(path).isFile()
  } catch {
    return false
  }
}

/** Node's code of an error of the system, e.g. `ENOENT`. */
export function systemCode(error: unknown): string | undefined {
  return typeof error === "object" && error !== null && "code" in error ? String(error.code) : undefined
}
