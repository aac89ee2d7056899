/** A -wal of which a sync failed, made one that can be synced. */
import { fstatSync, readSync, writeSync } from "node:fs"
import { SturdyError } from "../intent/error.ts"

const chunk_bytes = 1024 * 1024

/**
 * Writes the bytes of the file as they are, so that the kernel must take them to the disk again: after a write error it
 * calls the pages clean and keeps what they hold (Rebello et al., "Can Applications Recover from fsync Failures?",
 * ATC'20). Call with the write lock: nobody else writes then, and who reads sees no change.
 *
 * @throws SturdyError `storage_fault`: some of it may be as it was, which loses nothing.
 */
export function writeAgain(fd: number, path: string): void {
  try {
    const { size } = fstatSync(fd)
    const chunk = Buffer.alloc(Math.min(size, chunk_bytes))
    for (let at = 0; at < size;) {
      const read = readSync(fd, chunk, 0, Math.min(chunk.length, size - at), at)
      if (read === 0) return
      for (let written = 0; written < read;) written += writeSync(fd, chunk, written, read - written, at + written)
      at += read
    }
  } catch (cause) {
    throw new SturdyError(
      "storage_fault",
      `${path} could not be written again (${cause instanceof Error ? cause.message : cause}), and an earlier write of it may not be on disk`,
      "Check the disk; what was recorded still survives the death of the process.",
      { cause },
    )
  }
}
