/**
 * Is the -wal whole? SQLite takes its frames up to the first whose checksum is wrong, and says nothing of those behind
 * it: after a byte that flipped, ops that were there, even synced ones, are gone without a word.
 *
 * A process that is killed leaves a prefix, and a last frame that is cut. A frame that ends a transaction and stands
 * *behind* a broken one is therefore damage, or the mark of a power loss, which may keep later sectors and lose earlier
 * ones. Not so two frames of a transaction that wrote before its COMMIT: pages that it writes again break the checksums
 * behind them, and until those are mended the frame of the COMMIT bears no salts (wal.c, walEncodeFrame). A COMMIT that
 * failed after it was written may leave such a frame too: that is told, never refused.
 * Format and checksum: https://www.sqlite.org/fileformat2.html#walformat
 */
import { readFileSync } from "node:fs"
import { endianness } from "node:os"
import * as limit from "../intent/limit.ts"
import { bytesOf, systemCode } from "./place.ts"

const header_bytes = 32
const frame_header_bytes = 24
/** A larger one (beside a long reader elsewhere) is not looked through: 16 MiB take 15 to 20 ms, 1 MiB 3. */
const examined_bytes_max = 4 * limit.wal_bytes_max

export type WalFault =
  /** Nothing in it is read any more. Its header is synced before a frame is written, so no power loss does this. */
  | { of: "header"; bytes: number }
  /** Frames that SQLite reads, and those that were there, in all. */
  | { of: "frame"; read: number; written: number }

/**
 * What is wrong with the -wal beside this file; undefined if nothing is, or there is none. Somebody who writes meanwhile
 * may make it look wrong.
 */
export function walFault(file: string): WalFault | undefined {
  const bytes = bytesOf(`${file}-wal`)
  if (bytes <= header_bytes || bytes > examined_bytes_max) return
  try {
    return examine(readFileSync(`${file}-wal`))
  } catch (error) {
    // Copied back and deleted since we looked; or not ours to read, and then SQLite says so.
    if (systemCode(error) === undefined) throw error
    return
  }
}

export function examine(wal: Buffer): WalFault | undefined {
  if (wal.length <= header_bytes) return
  const magic = wal.readUInt32BE(0)
  const isLittle = magic === 0x377f0682
  const sum = new Checksum(wal, isLittle)
  sum.add(0, 24)
  if (!(isLittle || magic === 0x377f0683) || !sum.isAt(24)) {
    // Zeros are what a file system leaves of a file that grew and was never written.
    return wal.every((byte) => byte === 0) ? undefined : { of: "header", bytes: wal.length }
  }
  const page_bytes = wal.readUInt32BE(8)
  const frame_bytes = frame_header_bytes + page_bytes
  const salts = wal.subarray(16, 24)
  // Those of an earlier round of the -wal have other salts.
  const isOurs = (at: number) => wal.subarray(at + 8, at + 16).equals(salts)
  const endsTransaction = (at: number) => wal.readUInt32BE(at + 4) !== 0
  let at = header_bytes
  let index = 1
  let read = 0
  for (; at + frame_bytes <= wal.length; at += frame_bytes, index++) {
    sum.add(at, 8)
    sum.add(at + frame_header_bytes, page_bytes)
    if (!isOurs(at) || !sum.isAt(at + 16)) break
    if (endsTransaction(at)) read = index
  }
  // The broken one itself may be the last that a killed process wrote.
  let written = read
  for (at += frame_bytes, index++; at + frame_bytes <= wal.length; at += frame_bytes, index++)
    if (isOurs(at) && endsTransaction(at)) written = index
  return written > read ? { of: "frame", read, written } : undefined
}

class Checksum {
  #first = 0
  #second = 0
  /** In the order that it was made with. */
  readonly #words: Uint32Array

  constructor(
    readonly wal: Buffer,
    isLittle: boolean,
  ) {
    const whole = wal.subarray(0, wal.length & ~3)
    const isAsHere = isLittle === (endianness() === "LE")
    const aligned = isAsHere && wal.byteOffset % 4 === 0 ? whole : Buffer.from(whole)
    if (!isAsHere) aligned.swap32()
    this.#words = new Uint32Array(aligned.buffer, aligned.byteOffset, aligned.length / 4)
  }

  /** From and for a multiple of 8 bytes, as header and frames are. */
  add(from: number, bytes: number): void {
    const words = this.#words
    const end = (from + bytes) / 4
    let first = this.#first
    let second = this.#second
    for (let at = from / 4; at < end; at += 2) {
      first = (first + words[at]! + second) | 0
      second = (second + words[at + 1]! + first) | 0
    }
    this.#first = first
    this.#second = second
  }

  /** Stored big-endian, whatever it was made with. */
  isAt(at: number): boolean {
    return this.wal.readInt32BE(at) === this.#first && this.wal.readInt32BE(at + 4) === this.#second
  }
}
