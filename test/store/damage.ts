/** Outbox files as processes leave them, and real damage to their bytes. */
import { closeSync, copyFileSync, openSync, readdirSync, readFileSync, rmSync, statSync, writeSync } from "node:fs"
import { many } from "../many.ts"
import type { TempDir } from "../temp-dir.ts"
import { ScopedDatabase } from "../scoped-database.ts"
import { openStore, type Op } from "./box.ts"

export const page_bytes = 4096

/**
 * sha256 of every file of a directory, but for the shared index, which holds lock marks and nothing of its own, and an
 * empty -wal, which whoever looks may leave.
 */
export function hashes(dir: TempDir): Record<string, string> {
  const names = readdirSync(dir.path).filter((name) => !name.endsWith("-shm"))
  return Object.fromEntries(
    names
      .filter((name) => statSync(dir.file(name)).isFile())
      .filter((name) => !(name.endsWith("-wal") && statSync(dir.file(name)).size === 0))
      .map((name) => [name, hashOf(dir.file(name))]),
  )
}

export const hashOf = (file: string) => new Bun.CryptoHasher("sha256").update(readFileSync(file)).digest("hex")

/** An outbox with these ops, closed: all of it is in the main file. */
export function closedOutbox(file: string, ops: Op[] = [{}]): string[] {
  using store = openStore(file)
  return store.record(...ops)
}

/** One of so many ops, closed, in hundreds: soon made. */
export function largeOutbox(file: string, ops: number): void {
  using store = openStore(file)
  for (let n = 0; n < ops; n += 100) store.unit(many(100))
}

/**
 * What a process leaves that was killed: the main file with the ops of `before`, and a -wal with those of `after`; without
 * a checkpoint all of it is in the -wal. Copied while it was open, as a kill would leave it.
 */
export function killedOutbox(
  file: string,
  { before = [{}], after = [{}], checkpoint = true }: { before?: Op[]; after?: Op[]; checkpoint?: boolean } = {},
) {
  const alive = `${file}.alive`
  const store = openStore(alive)
  const ids = store.record(...before)
  if (checkpoint) store.db.run("pragma wal_checkpoint(truncate)")
  ids.push(...store.record(...after))
  for (const suffix of ["", "-wal"]) copyFileSync(alive + suffix, file + suffix)
  store.close()
  for (const suffix of ["", "-wal", "-shm"]) rmSync(alive + suffix, { force: true })
  return ids
}

export function overwrite(file: string, from: number, bytes: Uint8Array): void {
  const fd = openSync(file, "r+")
  writeSync(fd, bytes, 0, bytes.length, from)
  closeSync(fd)
}

/** One bit of one byte. */
export function flip(file: string, at: number): void {
  overwrite(file, at, new Uint8Array([readFileSync(file)[at]! ^ 1]))
}

/** Every byte of a page of the main file. Pages count from 1. */
export function ruin(file: string, page: number): void {
  overwrite(file, (page - 1) * page_bytes, new Uint8Array(page_bytes).fill(0xa5))
}

/** Number of a leaf page of the table, neither the first nor the last. The file must not be open. */
export function leafOf(file: string, table: string): number {
  using db = new ScopedDatabase(file, { readonly: true })
  const { rootpage } = db.query("select rootpage from sqlite_schema where name = ?").get(table) as { rootpage: number }
  const bytes = readFileSync(file)
  const start = (rootpage - 1) * page_bytes
  // File format, 1.6: 0x05 is an interior page of a table; its cell pointers follow a header of 12 bytes.
  if (bytes[start] !== 5) return rootpage
  const cells = bytes.readUInt16BE(start + 3)
  const cell = bytes.readUInt16BE(start + 12 + 2 * Math.floor(cells / 2))
  return bytes.readUInt32BE(start + cell)
}
