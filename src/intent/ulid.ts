/**
 * Ids. An op_id or batch_id is a canonical ULID: 26 characters of Crockford base32, 128 bits. Nothing reads its time:
 * order comes from the database. Stored as 16 bytes where there is one per op.
 */
import { monotonicFactory } from "ulid"
import { assert } from "./error.ts"
import type { Clock, Random } from "./seam.ts"

const alphabet = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
// The `ulid` package's own check also takes lower case and numbers beyond 128 bits.
const canonical = /^[0-7][0-9A-HJKMNP-TV-Z]{25}$/

export function isUlid(text: unknown): text is string {
  return typeof text === "string" && canonical.test(text)
}

export type UlidFactory = () => string

/** Ascending within one factory, also when the clock stands still or goes back. */
export function ulidFactory(clock: Clock, random: Random): UlidFactory {
  const next = monotonicFactory(strongFraction(random))
  // A falsy seed makes the package read the system clock.
  return () => next(Math.max(1, clock.now()))
}

/** Bytes drawn at once: a ULID of a new millisecond takes 16. */
const pool_bytes = 256

/** The package asks for a fraction per character. From strong bytes: op_ids must not be guessed by whoever may append. */
function strongFraction(random: Random): () => number {
  let pool = random.bytes(pool_bytes)
  let used = 0
  return () => {
    if (used === pool.length) {
      pool = random.bytes(pool_bytes)
      used = 0
    }
    return pool[used++]! / 256
  }
}

const valueOf = new Uint8Array(128)
for (let i = 0; i < alphabet.length; i++) valueOf[alphabet.charCodeAt(i)] = i

/** 26 characters → 16 bytes. The input must be canonical. */
export function ulidToBytes(text: string): Uint8Array {
  assert(text.length === 26, `a ULID has 26 characters, got ${text.length}`)
  const bytes = new Uint8Array(16)
  // 130 bits come in, the first two are zero: start as if two bits had been consumed.
  let accumulator = 0
  let bits = -2
  let at = 0
  for (let i = 0; i < 26; i++) {
    accumulator = ((accumulator << 5) | valueOf[text.charCodeAt(i)]!) & 0x1fff
    bits += 5
    if (bits < 8) continue
    bits -= 8
    bytes[at++] = (accumulator >> bits) & 0xff
  }
  return bytes
}

/** 16 bytes → 26 characters. */
export function ulidFromBytes(bytes: Uint8Array): string {
  assert(bytes.length === 16, `a ULID has 16 bytes, got ${bytes.length}`)
  let text = ""
  let accumulator = 0
  let bits = 2
  for (let i = 0; i < 16; i++) {
    accumulator = ((accumulator << 8) | bytes[i]!) & 0x1fff
    bits += 8
    while (bits >= 5) {
      bits -= 5
      text += alphabet[(accumulator >> bits) & 31]
    }
  }
  return text
}

/** Random text of `bits` bits, in the alphabet that the contract allows for share_id, writer_id and secret. */
export function randomId(random: Random, bits: number): string {
  return Buffer.from(random.bytes(Math.ceil(bits / 8))).toString("base64url")
}

const idPattern = /^[A-Za-z0-9_-]{16,128}$/

/** The form of share_id, writer_id and secret on the wire. A malformed one is unknown, never an error of its own. */
export function isId(text: unknown): text is string {
  return typeof text === "string" && idPattern.test(text)
}
