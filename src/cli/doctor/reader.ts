/** Who holds a read transaction on a database in WAL mode for long, as the kernel's list of locks says. Linux only. */
import { readFileSync } from "node:fs"
import { statOf } from "../../store/place.ts"
import { systemClock } from "../../intent/system.ts"

export interface Reader {
  pid: number
  name: string
}

/** A transaction that ends sooner is in nobody's way. */
const long_ms = 1_000
/**
 * Bytes of the -shm that readers lock, the first of them for those that need no frame of the -wal
 * (https://www.sqlite.org/walformat.html#wal_locks).
 */
const read_locks = { from: 124, to: 127 }

export function longReaders(file: string): Reader[] {
  const before = readersOf(file)
  if (before.size === 0) return []
  systemClock.block(long_ms)
  const after = readersOf(file)
  return [...before].filter((pid) => after.has(pid)).map((pid) => ({ pid, name: nameOf(pid) }))
}

function readersOf(file: string): Set<number> {
  const shm = statOf(`${file}-shm`)
  const pids = new Set<number>()
  if (!shm) return pids
  for (const line of textOf("/proc/locks").split("\n")) {
    const [, pid, ino, from, to] =
      /POSIX\s+ADVISORY\s+READ\s+(\d+) [\da-f]+:[\da-f]+:(\d+) (\d+) (\d+)/.exec(line) ?? []
    const isRead = Number(from) >= read_locks.from && Number(to) <= read_locks.to
    if (Number(ino) === shm.ino && isRead && Number(pid) !== process.pid) pids.add(Number(pid))
  }
  return pids
}

function nameOf(pid: number): string {
  return textOf(`/proc/${pid}/comm`).trim() || "?"
}

function textOf(path: string): string {
  try {
    return readFileSync(path, "utf8")
  } catch {
    return ""
  }
}
